"""Architecture search: the sizes of the best student within a budget of bytes and milliseconds.

>>> from lilliput.search import SearchProblem, exact_search
>>> best = exact_search(SearchProblem(budget_bytes=3_000_000))
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
from lilliput.search.exact import exact_paper, exact_search, top
from lilliput.search.genetic import PAPER_SETTINGS, GeneticSettings, genetic_search
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
from lilliput.search.objective import DEFAULT_OBJECTIVE, OBJECTIVES, PaperProblem, Problem, SearchProblem, SearchResult
from lilliput.search.pareto import pareto_front
from lilliput.search.space import DEFAULT_SPACE, PAPER_SPACE, Architecture, Architectures, SearchSpace, bag_space

__all__ = [
    "CALIBRATION_DESIGN",
    "DEFAULT_OBJECTIVE",
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
    "Problem",
    "SearchProblem",
    "SearchResult",
    "SearchSpace",
    "StudentShape",
    "artifact_bytes",
    "bag_space",
    "calibrate",
    "exact_paper",
    "exact_search",
    "flops",
    "genetic_search",
    "measure_all",
    "paper_fitness",
    "paper_flops",
    "paper_parameters",
    "parameters",
    "pareto_front",
    "top",
]
