"""Ranges of activations by observation: one interface, and a table of methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lilliput.formats.precision import ActivationRange
from lilliput.quantize.histogram import Histogram, extremes

Array = NDArray[np.float32]

MINMAX, PERCENTILE, MSE, ENTROPY = "minmax", "percentile", "mse", "entropy"

INSIDE = 0.9999
"""Share of the values that :func:`percentile` keeps inside the range."""

STEPS, STEPS_OF_A_HALVING = 64, 8
"""Of :func:`least_squares`: number of steps between the ranges tried, and steps in which the range halves."""

ENTROPY_BINS, ENTROPY_STRIDE, LEVELS = 4096, 8, 256
"""Of :func:`least_divergence`: most bins over all values, bins from one range tried to the next, and codes."""


class Observer(Protocol):
    """Observes the values of one activation, part by part."""

    def add(self, values: Array) -> None:
        """Observe values of any shape; raises :class:`ValueError` if one is infinite or NaN."""

    def range(self) -> ActivationRange:
        """The range for all values observed."""


class Extremes:
    """The range of all values."""

    def __init__(self) -> None:
        self.low = self.high = 0.0

    def add(self, values: Array) -> None:
        """See :class:`Observer`."""
        self.low, self.high = extremes(values, self.low, self.high)

    def range(self) -> ActivationRange:
        """See :class:`Observer`."""
        return ActivationRange(self.low, self.high)


class Counted:
    """A range chosen from a histogram.

    Args:
        choose: maps the histogram to the range.
    """

    def __init__(self, choose: Callable[[Histogram], ActivationRange]) -> None:
        self.choose, self.histogram = choose, Histogram()

    def add(self, values: Array) -> None:
        """See :class:`Observer`."""
        self.histogram.add(values)

    def range(self) -> ActivationRange:
        """See :class:`Observer`."""
        return self.choose(self.histogram)


def percentile(seen: Histogram, inside: float = INSIDE) -> ActivationRange:
    """The range that leaves out the same share of the values at each end."""
    outside = (1 - inside) / 2 * seen.total
    low, high = _quantile(seen, outside), _quantile(seen, seen.total - outside)
    return ActivationRange(min(0.0, max(seen.low, low)), max(0.0, min(seen.high, high)))


def _quantile(seen: Histogram, rank: float) -> float:
    """The value below which ``rank`` values lie, assuming that a bin's values are spread evenly."""
    if not seen.total:
        return 0.0
    below = np.cumsum(seen.counts)
    place = min(int(np.searchsorted(below, rank)), len(below) - 1)
    inside = (rank - (below[place] - seen.counts[place])) / max(1, seen.counts[place])
    return float((seen.first + place + inside) * seen.width)


def clipped(seen: Histogram, largest: float) -> ActivationRange:
    """The values' range, without magnitudes beyond ``largest``."""
    return ActivationRange(max(seen.low, -largest), min(seen.high, largest))


def least_squares(seen: Histogram) -> ActivationRange:
    """The range of least squared error among those clipped at a share of the largest magnitude."""
    there = np.flatnonzero(seen.counts)
    counts, centers = seen.counts[there], seen.centers[there]
    largest = max(-seen.low, seen.high)
    tried = [clipped(seen, largest * 2.0 ** (-step / STEPS_OF_A_HALVING)) for step in range(STEPS + 1)]

    def error(found: ActivationRange) -> float:
        codes = np.clip(np.rint(centers / found.scale) + found.zero_point, 0, LEVELS - 1)
        return float(counts @ np.square((codes - found.zero_point) * found.scale - centers))

    return min(tried, key=error)  # the widest on ties


def least_divergence(seen: Histogram) -> ActivationRange:
    """The range whose codes preserve the distribution of the values best, by Kullback-Leibler divergence.

    This is TensorRT's calibration ("8-bit inference with TensorRT", Migacz, GTC 2017), for values of both signs: for
    each clipping magnitude, the histogram with clipped values in its outermost bins is compared to the same histogram
    in as many levels as there are codes, each level spread over its non-empty bins.
    """
    coarse = seen.coarser(ENTROPY_BINS)
    last = coarse.first + len(coarse.counts)
    reach = max(-coarse.first, last)
    best, found = np.inf, clipped(seen, max(-seen.low, seen.high))
    for bins in range(reach, 0, -ENTROPY_STRIDE):
        begin, end = max(coarse.first, -bins), min(last, bins)
        if end - begin < LEVELS:
            break
        divergence = _divergence(coarse.counts, begin - coarse.first, end - coarse.first)
        if divergence < best:
            best, found = divergence, clipped(seen, bins * coarse.width)
    return found


def _divergence(counts: NDArray[np.int64], begin: int, end: int) -> float:
    """Divergence (nats) of ``counts[begin:end]``, clipped values in its ends, from itself in :data:`LEVELS` levels."""
    inside = counts[begin:end].astype(np.float64)
    reference = inside.copy()
    reference[0] += counts[:begin].sum()
    reference[-1] += counts[end:].sum()
    there = reference > 0
    level = np.arange(len(inside)) * LEVELS // len(inside)
    share = np.bincount(level, inside) / np.maximum(1, np.bincount(level, there))
    spread = share[level][there]
    if not spread.all():  # clipped values fall into an end bin where the levels have none
        return float(np.inf)
    reference = reference[there] / reference.sum()
    return float(reference @ np.log(reference / (spread / spread.sum())))


OBSERVERS: Mapping[str, Callable[[], Observer]] = {
    MINMAX: Extremes,
    PERCENTILE: partial(Counted, percentile),
    MSE: partial(Counted, least_squares),
    ENTROPY: partial(Counted, least_divergence),
}
"""Name of a method -> factory of its observers."""
