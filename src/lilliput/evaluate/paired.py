"""Ratios of two models timed in turn, round after round, unless the machine is too noisy.

A ratio is one of medians over rounds. Its interval is a bootstrap over rounds (Efron, "Bootstrap Methods: Another Look
at the Jackknife", 1979) that draws whole rounds: whatever slows a round down slows both models, and so cancels.

A ratio is refused where it would mean little: where the time of a constant reference workload varied widely over the
rounds, or where the ratio's own interval is wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.evaluate.intervals import Estimate, over_resamples

MOST_SPREAD = 0.15
"""Maximum interquartile range of the reference's times over their median."""

WIDEST = 1.5
"""Maximum upper end of a ratio's interval over its lower end."""

MOST_IDLE = 0.05
"""Maximum number of cores that a model may keep busy during another model's turn."""

FEWEST = 6
"""Fewest rounds for a 95 % interval of a median: n values all lie on one side of it with a probability of ``2 / 2^n``,
which is 6 % for 5. With fewer, the bootstrap gives little more than the range."""


@dataclass(frozen=True)
class Ratio:
    """A figure of the original divided by that of another model.

    Attributes:
        estimate: the ratio with its interval; with fewer than :data:`FEWEST` rounds, the bootstrap's ends are not a
            95 % interval. ``None``: refused.
        refusal: the reason for refusing; empty where the ratio is given.
    """

    estimate: Estimate | None
    refusal: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values: ``value``, ``low`` and ``high`` are ``null`` where the ratio is refused, with a reason.

        With fewer than :data:`FEWEST` rounds, ``low`` and ``high`` are ``null``, but ``value`` is not.
        """
        found = self.estimate
        if found is None:
            return {"value": None, "low": None, "high": None, "n": None, "reason": self.refusal}
        low, high = (None, None) if found.n < FEWEST else (found.low, found.high)
        return {"value": found.value, "low": low, "high": high, "n": found.n, "reason": None}


def median(values: Sequence[float], seed: int = 0) -> Estimate:
    """The median of ``values`` with its 95 % percentile interval over resamples.

    Raises:
        ValueError: there are fewer than :data:`FEWEST` values.
    """
    numbers = np.asarray(values, np.float64)
    if len(numbers) < FEWEST:
        raise ValueError(f"a median of {len(numbers)} values has no 95 % interval")
    drawn = over_resamples(lambda rows: np.median(numbers[rows], axis=1), len(numbers), seed)
    return _estimate(float(np.median(numbers)), drawn, len(numbers))


def ratio_of(original: Sequence[float], other: Sequence[float], obstacle: str = "", seed: int = 0) -> Ratio:
    """Median of ``original`` over median of ``other``: for times, how many times as fast the other is.

    Args:
        original, other: positive figures, one per round, of the same rounds.
        obstacle: a reason to refuse any ratio, whatever the figures; empty: none.
        seed: of the resamples.

    Raises:
        ValueError: there are no figures, or their numbers differ.
    """
    if len(original) != len(other):
        raise ValueError(f"{len(original)} and {len(other)} figures are not of the same rounds")
    if not len(original):
        raise ValueError("no values have no median")
    if obstacle:
        return Ratio(None, f"too noisy: {obstacle}")
    pair = np.array([original, other], np.float64)
    if not (pair > 0).all():
        return Ratio(None, "too small to be measured")
    medians = over_resamples(lambda rows: np.median(pair[:, rows], axis=2), pair.shape[1], seed)
    top, bottom = np.median(pair, axis=1)
    found = _estimate(float(top / bottom), medians[0] / medians[1], pair.shape[1])
    if found.high > WIDEST * found.low:
        return Ratio(None, f"too noisy: the ratio may be {found.low:.2g} to {found.high:.2g}")
    return Ratio(found)


def spread(values: Sequence[float]) -> float:
    """Interquartile range over the median, quartiles by linear interpolation."""
    low, middle, high = np.percentile(np.asarray(values, np.float64), (25, 50, 75))
    return float((high - low) / middle)


def obstacle_of(reference: Mapping[str, Sequence[float]], idle: Mapping[str, float]) -> str:
    """Why this machine could not compare models during these rounds; empty: it could.

    Args:
        reference: constant workload -> its times, one per round.
        idle: model -> cores that it kept busy during the other models' turns.
    """
    worst = max(map(spread, reference.values()))
    if worst > MOST_SPREAD:
        return f"reference varied by {worst:.0%}".replace("%", " %")
    busiest = max(idle, key=lambda name: idle[name])
    if idle[busiest] > MOST_IDLE:
        return f"{busiest} kept {idle[busiest]:.2f} cores busy while it was not its turn"
    return ""


def _estimate(value: float, drawn: NDArray[np.floating], n: int) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high), n)
