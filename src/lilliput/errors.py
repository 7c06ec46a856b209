"""Errors addressed to the user.

Every error that a user can cause is a :class:`UserError`: it names the file, line or field, what is wrong, and what to
do about it. The command line prints it without a traceback and exits with code 2; the Python API raises it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path

from lilliput.constants import MOST


class UserError(Exception):
    """An error that the caller can fix.

    Args:
        problem: what is wrong, in one sentence.
        remedy: what to do about it, in one sentence.
        where: the file (with ``line`` if a line is at fault) or the option concerned.
        line: 1-based line number inside ``where``.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        remedy: str = "",
        where: str | Path | None = None,
        line: int | None = None,
    ) -> None:
        self.problem = problem
        self.remedy = remedy
        self.where = None if where is None else str(where)
        self.line = line
        super().__init__(str(self))

    def __str__(self) -> str:
        place = "" if self.where is None else self.where
        if self.line is not None:
            place = f"{place}, line {self.line}"
        text = f"{place}: {self.problem}" if place else self.problem
        return f"{text} {self.remedy}" if self.remedy else text


def require_whole(value: object, least: int, where: str) -> int:
    """Return ``value`` if it is a whole number of at least ``least``.

    Raises:
        UserError: it is not; ``where`` is the option or the argument.
    """
    if type(value) is not int or value < least:
        raise UserError(
            f"must be {least} or more, a whole number; it is {value!r}.", where=where, remedy=f"Give {least} or more."
        )
    return value


def refuse_absurd(values: Mapping[str, object]) -> None:
    """Refuse numbers above the largest value for their names (:data:`~lilliput.constants.MOST`).

    Raises:
        UserError: a number is too large; the message names it and the largest accepted value.
    """
    for name, value in values.items():
        if isinstance(value, int) and name in MOST and value > MOST[name]:
            raise UserError(f"{value:,} is too large.", where=name, remedy=f"Give {MOST[name]:,} at most.")


def refuse_unused(options: Mapping[str, tuple[bool, str]]) -> None:
    """Reject options that were given but would have no effect.

    Args:
        options: option -> whether it was given without effect, and a sentence on what it needs or excludes.

    Raises:
        UserError: an option has no effect; the message names the first such option.
    """
    for option, (unused, words) in options.items():
        if unused:
            raise UserError(f"{words}.", where=option, remedy="Leave it out.")


class DataError(UserError):
    """A data file that is not of the expected format."""


def require_text(value: object, where: str) -> str:
    """Return ``value`` if it is text that can be encoded as UTF-8.

    Raises:
        DataError: it is not; the message calls it ``where``.
    """
    if not isinstance(value, str):
        raise DataError(f"is not a string but {type(value).__name__}.", where=where, remedy="Give text.")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise DataError("holds a lone surrogate, which is not valid Unicode.", where=where, remedy="Remove it.")
    return str(value)


def is_plain(text: str) -> bool:
    """Whether text has no control characters, which a terminal would interpret, and no lone surrogates."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)


def plain(text: str) -> str:
    """Escape control characters and lone surrogates (``\\x1b``) for a terminal."""
    return text if is_plain(text) else "".join(c if is_plain(c) else ascii(c)[1:-1] for c in text)


class CheckpointError(UserError):
    """A checkpoint (teacher) that cannot be opened."""


class ArtifactError(UserError):
    """An artifact that is damaged, altered, or of a schema that this version does not know."""


class BudgetError(UserError):
    """A budget in bytes or milliseconds that no architecture of the space can meet."""


class NumericError(UserError):
    """A model that computes infinity or NaN."""


class MissingExtra(UserError):
    """A function that needs packages outside the core install."""
