"""The architecture search: which sizes give the best student within a budget of bytes and milliseconds.

>>> from lilliput.search import SearchProblem, exact
>>> best = exact(SearchProblem(budget_bytes=3_000_000))
"""

from lilliput.search.cost import (
    StudentShape,
    artifact_bytes,
    flops,
    paper_fitness,
    paper_flops,
    paper_parameters,
    parameters,
)
from lilliput.search.exact import exact, exact_paper, top
from lilliput.search.genetic import PAPER_SETTINGS, GeneticSettings, genetic
from lilliput.search.latency import (
    CALIBRATION_DESIGN,
    VALIDATION_DESIGN,
    Conditions,
    LatencyError,
    LatencyModel,
    Measurement,
    calibrate,
    measure_all,
)
from lilliput.search.objective import OBJECTIVES, PaperProblem, SearchProblem, SearchResult
from lilliput.search.pareto import pareto_front
from lilliput.search.space import DEFAULT_SPACE, PAPER_SPACE, Architecture, Architectures, SearchSpace

__all__ = [
    "CALIBRATION_DESIGN",
    "DEFAULT_SPACE",
    "OBJECTIVES",
    "PAPER_SETTINGS",
    "PAPER_SPACE",
    "VALIDATION_DESIGN",
    "Architecture",
    "Architectures",
    "Conditions",
    "GeneticSettings",
    "LatencyError",
    "LatencyModel",
    "Measurement",
    "PaperProblem",
    "SearchProblem",
    "SearchResult",
    "SearchSpace",
    "StudentShape",
    "artifact_bytes",
    "calibrate",
    "exact",
    "exact_paper",
    "flops",
    "genetic",
    "measure_all",
    "paper_fitness",
    "paper_flops",
    "paper_parameters",
    "parameters",
    "pareto_front",
    "top",
]
