"""``robustness``: how a model handles rewritten code. One module per kind of model; ``tasks.py`` lists the tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lilliput.lazily import on_first_use

if TYPE_CHECKING:
    from lilliput.verbs.robustness.classifier import RobustnessResult, robustness, spoken
    from lilliput.verbs.robustness.generator import GeneratorRobustness, robustness_generator
else:
    # A run measures one kind of model and loads only that.
    __getattr__ = on_first_use(
        __name__,
        {
            "GeneratorRobustness": ".generator",
            "RobustnessResult": ".classifier",
            "robustness": ".classifier",
            "robustness_generator": ".generator",
            "spoken": ".classifier",
        },
    )

__all__ = ["GeneratorRobustness", "RobustnessResult", "robustness", "robustness_generator", "spoken"]
