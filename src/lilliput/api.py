"""The verbs of the command line as functions: ``from lilliput import api``, then ``api.shrink(...)``.

Each is imported when it is first used, because most need an extra that others do without. They are not attributes of
:mod:`lilliput` itself: some would have the name of the room they work in.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lilliput.runtime.loading import load
    from lilliput.verbs.compare import compare
    from lilliput.verbs.complete import complete
    from lilliput.verbs.demo import demo
    from lilliput.verbs.evaluate import evaluate
    from lilliput.verbs.evaluate_generator import evaluate_generator
    from lilliput.verbs.finetune import finetune
    from lilliput.verbs.inspect import inspect
    from lilliput.verbs.predict import predict
    from lilliput.verbs.quantize import quantize
    from lilliput.verbs.report import report
    from lilliput.verbs.robustness import robustness
    from lilliput.verbs.robustness_generator import robustness_generator
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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lilliput.api' has no attribute {name!r}")
    home = "lilliput.runtime.loading" if name == "load" else f"lilliput.verbs.{name}"
    return getattr(import_module(home), name)
