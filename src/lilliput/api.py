"""The verbs of the command line as functions: ``from lilliput import api``, then ``api.shrink(...)``.

Each is imported on first use, because most need an extra that the others do not. They are not attributes of
:mod:`lilliput` itself, where some would clash with a subpackage of the same name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lilliput.lazily import on_first_use

if TYPE_CHECKING:
    from lilliput.runtime.loading import load
    from lilliput.verbs.compare import compare
    from lilliput.verbs.complete import complete
    from lilliput.verbs.demo import demo
    from lilliput.verbs.evaluate import (
        evaluate,
        evaluate_generator,
        evaluate_repository,
        evaluate_summarization,
    )
    from lilliput.verbs.finetune import finetune
    from lilliput.verbs.inspect import inspect
    from lilliput.verbs.predict import predict
    from lilliput.verbs.quantize import quantize
    from lilliput.verbs.report import report
    from lilliput.verbs.robustness import robustness, robustness_generator
    from lilliput.verbs.score import score
    from lilliput.verbs.search import search
    from lilliput.verbs.shrink import shrink
    from lilliput.verbs.study import study

__all__ = [
    "compare",
    "complete",
    "demo",
    "evaluate",
    "evaluate_generator",
    "evaluate_repository",
    "evaluate_summarization",
    "finetune",
    "inspect",
    "load",
    "predict",
    "quantize",
    "report",
    "robustness",
    "robustness_generator",
    "score",
    "search",
    "shrink",
    "study",
]


def __dir__() -> list[str]:
    return sorted(__all__)


_ELSEWHERE = {
    "evaluate_generator": "lilliput.verbs.evaluate",
    "evaluate_repository": "lilliput.verbs.evaluate",
    "evaluate_summarization": "lilliput.verbs.evaluate",
    "load": "lilliput.runtime.loading",
    "robustness_generator": "lilliput.verbs.robustness",
}
__getattr__ = on_first_use(__name__, {name: _ELSEWHERE.get(name, f"lilliput.verbs.{name}") for name in __all__})
