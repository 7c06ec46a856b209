"""``evaluate``: accuracy and its cost. One module per kind of task; ``tasks.py`` lists the tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lilliput.lazily import on_first_use

if TYPE_CHECKING:
    from lilliput.verbs.evaluate.classifier import Evaluation, evaluate, measure
    from lilliput.verbs.evaluate.generator import GeneratorEvaluation, evaluate_generator
    from lilliput.verbs.evaluate.repository import RepositorySettings, evaluate_repository
    from lilliput.verbs.evaluate.summarization import SummarizationSettings, evaluate_summarization
else:
    # A run measures one kind of task and loads only that. And ``footprint.py`` runs as a program, so this package must
    # not have imported it as a module before.
    __getattr__ = on_first_use(
        __name__,
        {
            "Evaluation": ".classifier",
            "GeneratorEvaluation": ".generator",
            "RepositorySettings": ".repository",
            "SummarizationSettings": ".summarization",
            "evaluate": ".classifier",
            "evaluate_generator": ".generator",
            "measure": ".classifier",
            "evaluate_repository": ".repository",
            "evaluate_summarization": ".summarization",
        },
    )

__all__ = [
    "Evaluation",
    "GeneratorEvaluation",
    "RepositorySettings",
    "SummarizationSettings",
    "evaluate",
    "evaluate_generator",
    "evaluate_repository",
    "evaluate_summarization",
    "measure",
]
