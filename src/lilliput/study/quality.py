"""Measures of quality, and the loss of a point against the reference.

Points are measured on the same pieces and problems, so comparisons are paired: differences in difficulty cancel, and
the interval of the difference is far narrower than that of either figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import UserError
from lilliput.evaluate.intervals import Estimate, bootstrap_mean, bounded_mean
from lilliput.study.jobs import JobResult

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Quality:
    """A measure of quality.

    Attributes:
        name: as in ``--quality``.
        title: heading in tables.
        higher: whether higher is better.
        percent: whether it is a fraction that is shown as percent.
        estimate: returns the estimate of a result; ``None``: not measured.
        units: returns the figures that the bootstrap draws, one per piece or problem.
        loss: how much worse, from the mean of differences ``other - reference`` of ``units``.
        words: the unit of ``loss``, in words.
    """

    name: str
    title: str
    higher: bool
    percent: bool
    estimate: Callable[[JobResult], Estimate | None]
    units: Callable[[JobResult], Mapping[str, float]]
    loss: Callable[[float], float]
    words: str


def _estimate(values: Mapping[str, Any] | None) -> Estimate | None:
    return None if values is None else Estimate(*(values[name] for name in ("value", "low", "high", "n")))


def _pieces(result: JobResult) -> dict[str, float]:
    pieces = [] if result.perplexity is None else result.perplexity["pieces"]
    return {str(place): cost for place, cost in enumerate(pieces)}


def _worst(result: JobResult) -> Estimate | None:
    found = result.robust.get("worst")
    return None if found is None else _estimate(found["robust_pass"])


def _shares(outcomes: Mapping[str, Any] | None) -> dict[str, float]:
    return {} if outcomes is None else {name: float(passed) for name, passed in outcomes["outcomes"].items()}


_DROP = "percentage points fewer"

QUALITIES: Mapping[str, Quality] = {
    quality.name: quality
    for quality in (
        Quality(
            name="perplexity",
            title="perplexity",
            higher=False,
            percent=False,
            estimate=lambda result: _estimate(result.perplexity),
            units=_pieces,
            loss=math.expm1,  # of the mean difference of log-likelihoods: the relative increase of perplexity
            words="percent more perplexity",
        ),
        Quality(
            name="pass@1",
            title="pass@1",
            higher=True,
            percent=True,
            estimate=lambda result: _estimate(result.passed),
            units=lambda result: _shares(result.passed),
            loss=lambda difference: -difference,
            words=f"{_DROP} problems solved",
        ),
        Quality(
            name="robust-pass",
            title="robust pass",
            higher=True,
            percent=True,
            estimate=_worst,
            units=lambda result: _shares(result.robust.get("worst")),
            loss=lambda difference: -difference,
            words=f"{_DROP} problems solved in all their versions",
        ),
    )
}
"""Name -> measure."""


def quality_named(name: str) -> Quality:
    """Return the measure called ``name``.

    Raises:
        UserError: there is none.
    """
    if name not in QUALITIES:
        raise UserError(
            f"there is no measure '{name}'.", where="--quality", remedy=f"Choose one of: {', '.join(QUALITIES)}."
        )
    return QUALITIES[name]


def loss(quality: Quality, other: JobResult, reference: JobResult, seed: int = 0) -> Estimate | None:
    """How much worse ``other`` is than ``reference``, as a fraction (see ``quality.words``), with its paired interval.

    Negative where it is better; ``None`` where the two have no pieces or problems in common.
    """
    one, two = quality.units(other), quality.units(reference)
    common = [name for name in two if name in one]
    if not common:
        return None
    differences: Floats = np.array([one[name] - two[name] for name in common])
    # Differences are bounded for problems, which are solved or not, but unbounded for log-likelihoods.
    mean = bounded_mean(differences, -1.0, 1.0, seed) if quality.percent else bootstrap_mean(differences, seed)
    ends = sorted((quality.loss(mean.low), quality.loss(mean.high)))
    return Estimate(quality.loss(mean.value) + 0.0, ends[0] + 0.0, ends[1] + 0.0, mean.n)  # + 0.0 turns -0.0 into 0.0
