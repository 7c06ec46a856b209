"""Precision and recall of a binary classifier at several thresholds.

An example is flagged where the probability of the positive class is at least the threshold. Precision is the share of
flagged examples that are positive, recall the share of positive examples that are flagged; both are proportions with
Wilson's 95 % interval. Precision depends on the share of positives: :func:`at_share` gives it for other shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import DataError
from lilliput.evaluate.intervals import wilson

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""From many flagged examples to few."""


@dataclass(frozen=True)
class Operating:
    """A classifier's counts at one threshold.

    Attributes:
        threshold: the least probability that is flagged.
        flagged: number of examples at or above it.
        right: number of positive ones among them.
    """

    threshold: float
    flagged: int
    right: int


@dataclass(frozen=True)
class OperatingPoints:
    """A classifier's counts at several thresholds.

    Attributes:
        n: number of examples.
        positives: number of examples of the positive class.
        points: by ascending threshold.
    """

    n: int
    positives: int
    points: tuple[Operating, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; precision and recall are fractions with their intervals, ``null`` where there is none."""
        rows = [
            {
                "threshold": point.threshold,
                "flagged": point.flagged,
                "right": point.right,
                "precision": _proportion(point.right, point.flagged),
                "recall": _proportion(point.right, self.positives),
            }
            for point in self.points
        ]
        return {"n": self.n, "positives": self.positives, "points": rows}


def operating_points(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    positive: int = 1,
    thresholds: Sequence[float] = THRESHOLDS,
) -> OperatingPoints:
    """Count what is flagged at each of ``thresholds``.

    Args:
        probabilities: of the positive class, ``[n]``.
        labels: class indices, ``[n]``.
        positive: index of the positive class.
        thresholds: ascending.

    Raises:
        DataError: there are no examples, or the numbers of probabilities and labels differ.
    """
    if probabilities.shape != labels.shape or labels.ndim != 1 or not len(labels):
        shapes = f"{list(probabilities.shape)} and {list(labels.shape)}"
        raise DataError(f"probabilities and labels of shapes {shapes} do not go together.", remedy="Give one of each.")
    is_positive = labels == positive
    flags = [probabilities >= threshold for threshold in thresholds]
    points = tuple(
        Operating(threshold, int(flag.sum()), int((flag & is_positive).sum()))
        for threshold, flag in zip(thresholds, flags, strict=True)
    )
    return OperatingPoints(len(labels), int(is_positive.sum()), points)


def at_share(point: Operating, n: int, positives: int, share: float) -> tuple[float, float, float] | None:
    """The precision (value, low, high) expected where ``share`` of all examples are positive, all else equal.

    By Bayes' theorem, from the shares of positives and of negatives that are flagged. The interval takes both at the
    worse, or better, end of their own 95 % intervals, so it is conservative. ``None``: nothing is flagged.

    Args:
        point: counts at a threshold.
        n: number of examples counted.
        positives: number of positive ones among them; neither none nor all.
        share: above 0, at most 1.
    """
    if not point.flagged:
        return None
    hits = wilson(point.right, positives)
    alarms = wilson(point.flagged - point.right, n - positives)

    def precision(hit: float, alarm: float) -> float:
        flagged = hit * share + alarm * (1 - share)
        return hit * share / flagged if flagged else 0.0

    return precision(hits.value, alarms.value), precision(hits.low, alarms.high), precision(hits.high, alarms.low)


def _proportion(part: int, whole: int) -> list[float] | None:
    """Value, low, high; rounded, because they are written into artifacts, where bytes count."""
    if not whole:
        return None
    found = wilson(part, whole)
    return [round(value, 4) for value in (found.value, found.low, found.high)]
