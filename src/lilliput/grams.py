"""Token n-grams as rows of a small table: what a student looks up to tell which phrases of code are there.

An n-gram's row is its hash: the exclusive or of one pseudo-random number a token and place (tabulation hashing; Zobrist
1970; Carter and Wegman 1979, section 1). That takes look-ups and one bitwise operation, which every engine computes
exactly in 32-bit integers. Hashed features: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning"
(ICML 2009).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import UserError

LONGEST = 4
"""Tokens of the longest n-gram."""

MEAN_SCALE = 16.0
"""What the mean of a function's rows is multiplied by, so that they can be of the size of other weights."""

SCALES = ("mean", "root", "norm")
"""What becomes of the sum of a function's rows, see :class:`Grams`."""

STORED_BYTES = {"int8": 1, "fp16": 2, "fp32": 4}
"""How a table can be stored -> bytes of each of its numbers; ``int8`` has one scale for all, four bytes more."""


def table_storage(name: str, bits: int) -> str:
    """How a student's table of that name is stored where its other weights have ``bits``.

    Of a linear model, few weights are twenty times as large as most: with one scale for all, 8 bits round two thirds of
    them to zero, and a third of a point of accuracy away (``docs/research/vulnerability.md``).
    """
    if bits == 32:
        return "fp32"
    return "fp16" if name == "linear" else "int8"


NORM_EPSILON = 1e-5
"""Added to the variance where the sum is normalized."""

MOST_BITS = 22
"""Bits of the largest table's row numbers."""


@dataclass(frozen=True)
class Grams:
    """The table of n-grams a student has beside its layers.

    Attributes:
        order: tokens of the longest n-gram; all shorter ones are looked up too.
        bits: the table has ``2 ** bits`` rows, which n-grams share by chance.
        width: numbers a row.
        scale: what becomes of the sum of a function's rows. ``mean``: their mean, times :data:`MEAN_SCALE`, which
            fades as a function grows, since unlike rows cancel. ``root``: over the root of their number, as long for a
            long function as for a short one if rows are unlike. ``norm``: its mean over the numbers subtracted, then
            over their standard deviation (layer norm, Ba et al. 2016, without weights), whatever the number of rows.
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
        """From ``order=2,bits=16,width=16,scale=mean``; what is left out is as there.

        Raises:
            UserError: it says something else.
        """
        kinds: Kinds = {"order": int, "bits": int, "width": int, "scale": str}
        sizes = {"order": 2, "bits": 16, "width": 16}
        return parsed_as(lambda **given: cls(**{**sizes, **given}), text, kinds, "table of n-grams", "--grams", _SUCH)

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return 1 << self.bits

    def hashes(self, vocabulary: int) -> NDArray[np.int32]:
        """A number below :attr:`rows` for each place in an n-gram and each token: ``[order, vocabulary]``."""
        numbers = np.arange(self.order * vocabulary, dtype=np.uint64).reshape(self.order, vocabulary)
        return (_scrambled(numbers) >> np.uint64(64 - self.bits)).astype(np.int32)


_SUCH = "order=2,bits=16,width=16"

Kinds = Mapping[str, Callable[[str], Any]]
"""Name -> what makes its value of what was written."""

Made = TypeVar("Made")


def parsed_as(make: Callable[..., Made], text: str, kinds: Kinds, what: str, where: str, such: str) -> Made:
    """What ``make`` makes of the sizes that ``text`` names.

    Args:
        make: takes them by name; a ``ValueError`` says what is wrong with them.
        text: such as ``order=2,bits=16``.
        kinds: the names there are.
        what, where, such: what is made, the option, and sound sizes, for people.

    Raises:
        UserError: ``text`` says something else, or they are not sound.
    """
    try:
        return make(**_parts(text, kinds))
    except ValueError as error:
        raise UserError(
            f"'{text}' is no {what}: {error}.", where=where, remedy=f"Give its sizes, such as {such}."
        ) from error


def _parts(text: str, kinds: Kinds) -> dict[str, Any]:
    """``order=2,bits=16`` as names and values, each of its kind.

    Raises:
        ValueError: it says something else, or names what is not in ``kinds``.
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
    """Each number's pseudo-random 64 bits: SplitMix64 (Steele et al. 2014, figure 16), whose state is the number."""
    with np.errstate(over="ignore"):
        mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))
