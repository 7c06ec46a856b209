"""Histograms of values, in memory that does not grow with their number."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BINS = 1 << 16
"""Most bins; half as many if the range is just too wide for narrower ones. A few values a thousand times larger than
most often set the range of activations, and the rest must not all fall into one bin."""

NARROWEST = -100
"""Exponent of the narrowest bins, so that dividing float32 by their width does not overflow."""

Array = NDArray[np.float32]


class Histogram:
    """Counts in bins of equal width, the smallest power of two with which :data:`BINS` bins cover all values and zero.

    Bins of one width nest in those of the next, so widening them never moves a value into a wrong bin, and the order in
    which values are added does not matter.

    Attributes:
        counts: count of each bin.
        first: the first bin starts at ``first`` times the width.
        exponent: the base-2 exponent of the width.
        low, high: the extremes of all values and zero.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(1, np.int64)
        self.first, self.exponent = 0, NARROWEST
        self.low = self.high = 0.0

    @property
    def width(self) -> float:
        """Width of a bin."""
        return float(2.0**self.exponent)

    @property
    def total(self) -> int:
        """Number of values counted."""
        return int(self.counts.sum())

    @property
    def centers(self) -> NDArray[np.float64]:
        """Centers of the bins."""
        places: NDArray[np.float64] = self.first + np.arange(len(self.counts), dtype=np.float64) + 0.5
        return places * self.width

    def add(self, values: Array) -> None:
        """Count values of any shape.

        Raises:
            ValueError: a value is infinite or NaN.
        """
        flat = values.reshape(-1)
        self.low, self.high = extremes(flat, self.low, self.high)
        self._widen(max(self.exponent, _exponent(self.low, self.high, BINS)))
        first, last = (math.floor(end / self.width) for end in (self.low, self.high))
        counts = np.zeros(last - first + 1, np.int64)
        counts[self.first - first : self.first - first + len(self.counts)] = self.counts
        bins = np.floor(flat * np.float32(2.0**-self.exponent)).astype(np.int32)
        bins -= first
        counts += np.bincount(bins, minlength=len(counts))
        self.counts, self.first = counts, first

    def coarser(self, bins: int) -> Histogram:
        """The same values in at most ``bins`` bins."""
        copy = Histogram()
        copy.counts, copy.first, copy.exponent = self.counts, self.first, self.exponent
        copy.low, copy.high = self.low, self.high
        copy._widen(max(self.exponent, _exponent(self.low, self.high, bins)))
        return copy

    def _widen(self, exponent: int) -> None:
        """Make the bins ``2 ** exponent`` wide."""
        for _ in range(self.exponent, exponent):
            before = self.first % 2
            after = (before + len(self.counts)) % 2
            self.counts = np.pad(self.counts, (before, after)).reshape(-1, 2).sum(axis=1)
            self.first //= 2
        self.exponent = exponent


def extremes(values: Array, low: float = 0.0, high: float = 0.0) -> tuple[float, float]:
    """The smallest and the largest of ``values``, ``low`` and ``high``.

    Raises:
        ValueError: a value is infinite or NaN.
    """
    smallest, largest = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    if values.size and not (math.isfinite(smallest) and math.isfinite(largest)):
        raise ValueError("values that are not finite")
    return min(low, smallest), max(high, largest)


def _exponent(low: float, high: float, bins: int) -> int:
    """The smallest exponent of a width with which ``bins`` bins, one of them starting at 0, reach from low to high."""
    if low == high:
        return NARROWEST
    _, exponent = math.frexp((high - low) / bins)  # narrower bins would be too many, wherever they start
    exponent = max(exponent, NARROWEST)
    while math.floor(high / 2.0**exponent) - math.floor(low / 2.0**exponent) >= bins:
        exponent += 1
    return exponent
