"""Token n-grams as rows of a small table, which a student looks up to tell which phrases of code occur.

An n-gram's row is its hash: the exclusive or of one pseudo-random number per token and place (tabulation hashing;
Zobrist 1970; Carter and Wegman 1979, section 1). That takes table look-ups and one bitwise operation, which every
engine computes exactly in 32-bit integers. Hashed features: Weinberger et al., "Feature Hashing for Large Scale
Multitask Learning" (ICML 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import UserError

LONGEST = 4
"""Length of the longest n-gram, in tokens."""

MEAN_SCALE = 16.0
"""Factor for the mean of a function's rows, so that the rows can be as large as other weights."""

SCALES = ("mean", "root", "norm")
"""Ways to scale the sum of a function's rows, see :class:`Grams`."""

STORED_BYTES = {"int8": 1, "fp16": 2, "fp32": 4}
"""Storage of a table -> bytes per number; ``int8`` has one scale for the whole table, four bytes more."""


def table_storage(name: str, bits: int) -> str:
    """How a student whose other weights have ``bits`` stores the table ``name``.

    A few weights of a linear model are twenty times as large as most: with a single scale, 8 bits round two thirds of
    them to zero and lose a third of a point of accuracy (``docs/research/vulnerability.md``).
    """
    if bits == 32:
        return "fp32"
    return "fp16" if name == "linear" else "int8"


NORM_EPSILON = 1e-5
"""Added to the variance when the sum is normalized."""

MOST_BITS = 22
"""Bits of the row index of the largest table."""


@dataclass(frozen=True)
class Grams:
    """The n-gram table that a student has beside its layers.

    Attributes:
        order: length of the longest n-gram, in tokens; all shorter ones are looked up too.
        bits: the table has ``2 ** bits`` rows, which n-grams share when their hashes collide.
        width: numbers per row.
        scale: how the sum of a function's rows is scaled. ``mean``: their mean, times :data:`MEAN_SCALE`, which fades
            as a function grows, since dissimilar rows cancel. ``root``: divided by the square root of their number, so
            that its norm does not depend on the function's length if rows are dissimilar. ``norm``: layer norm (Ba et
            al. 2016) without weights, whatever the number of rows.
    """

    order: int
    bits: int
    width: int
    scale: str = "mean"

    def __post_init__(self) -> None:
        sound = {
            "order": (1 <= self.order <= LONGEST, f"must be 1 to {LONGEST}"),
            "bits": (4 <= self.bits <= MOST_BITS, f"must be 4 to {MOST_BITS}"),
            "width": (1 <= self.width <= 1024, "must be 1 to 1,024"),
        }
        for name, (fine, complaint) in sound.items():
            if not fine or type(getattr(self, name)) is not int:
                raise ValueError(f"'{name}' of the n-grams {complaint}, not {getattr(self, name)!r}")
        if self.scale not in SCALES:
            raise ValueError(f"'scale' of the n-grams must be one of {', '.join(SCALES)}, not {self.scale!r}")

    @classmethod
    def parsed(cls, text: str) -> Grams:
        """Parse ``order=2,bits=16,width=16,scale=mean``; these are also the defaults.

        Raises:
            UserError: ``text`` is malformed, or a size is out of range.
        """
        kinds: Kinds = {"order": int, "bits": int, "width": int, "scale": str}
        sizes = {"order": 2, "bits": 16, "width": 16}
        return parsed_as(lambda **given: cls(**{**sizes, **given}), text, kinds, "table of n-grams", "--grams", _SUCH)

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return 1 << self.bits

    def hashes(self, vocabulary: int) -> NDArray[np.int32]:
        """A hash below :attr:`rows` for each place in an n-gram and each token: ``[order, vocabulary]``."""
        numbers = np.arange(self.order * vocabulary, dtype=np.uint64).reshape(self.order, vocabulary)
        return (_scrambled(numbers) >> np.uint64(64 - self.bits)).astype(np.int32)


_SUCH = "order=2,bits=16,width=16"

Kinds = Mapping[str, Callable[[str], Any]]
"""Name -> parser of its value."""

Made = TypeVar("Made")


def parsed_as(make: Callable[..., Made], text: str, kinds: Kinds, what: str, where: str, such: str) -> Made:
    """Call ``make`` with the sizes in ``text``.

    Args:
        make: takes the sizes as keyword arguments; raises ``ValueError`` for invalid ones.
        text: such as ``order=2,bits=16``.
        kinds: the allowed names, and parsers of their values.
        what, where, such: name of the result, option, and example of valid sizes, for error messages.

    Raises:
        UserError: ``text`` is malformed, or its sizes are invalid.
    """
    try:
        return make(**_parts(text, kinds))
    except ValueError as error:
        raise UserError(
            f"'{text}' is not a valid {what}: {error}.", where=where, remedy=f"Give its sizes, such as {such}."
        ) from error


def _parts(text: str, kinds: Kinds) -> dict[str, Any]:
    """Parse ``order=2,bits=16`` into names and values.

    Raises:
        ValueError: ``text`` is malformed, or has a name that is not in ``kinds``.
    """
    named = [part.split("=") for part in text.split(",")]
    if any(len(part) != 2 for part in named):
        raise ValueError("its parts are not each a name, '=' and a value")
    parts = {key.strip(): value.strip() for key, value in named}
    if len(parts) < len(named):
        raise ValueError("it names something twice")
    for key in parts:
        if key not in kinds:
            raise ValueError(f"there is no '{key}', only {', '.join(kinds)}")
    return {key: kinds[key](value) for key, value in parts.items()}


def _scrambled(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """64 pseudo-random bits per number: SplitMix64 (Steele et al. 2014, figure 16) with the number as its state."""
    with np.errstate(over="ignore"):
        mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
