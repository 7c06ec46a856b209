"""Grids: the points of a study, read from a file or by name, and the combinations left out, with reasons."""

from __future__ import annotations

import hashlib
import itertools
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.data.lines import listed, shown
from lilliput.errors import UserError
from lilliput.formats.weights import FORMATS, ROUNDINGS
from lilliput.quantize.activations import MODES
from lilliput.quantize.observe import OBSERVERS
from lilliput.study.grids import NAMED
from lilliput.study.point import KINDS, Point, checked_field, point

LARGEST_FILE = 1_000_000
"""Maximum bytes of a grid file or a recipe file."""

MOST_POINTS = 10_000
"""Maximum points of a grid, including those left out."""

_FORM = 'Write axes as lists, such as weights = ["int8", "int4"], at the top or in tables called [[products]].'


@dataclass(frozen=True)
class LeftOut:
    """A combination that is left out.

    Attributes:
        values: of the combination.
        reason: for leaving it out.
    """

    values: Mapping[str, Any]
    reason: str

    @property
    def label(self) -> str:
        """The values in one line."""
        return ", ".join(f"{name} {_word(value)}" for name, value in self.values.items())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"values": dict(self.values), "reason": self.reason}


@dataclass(frozen=True)
class Grid:
    """The points to try.

    Attributes:
        name: of the grid or its file.
        points: without duplicates, in the grid's order.
        left_out: combinations that are invalid or would be refused.
    """

    name: str
    points: tuple[Point, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def sha256(self) -> str:
        """Hash of the points: grids with the same hash are the same study."""
        return hashlib.sha256(json.dumps([item.as_dict() for item in self.points]).encode()).hexdigest()


def read_grid(source: str | Path) -> Grid:
    """Return the grid named ``source``, or read the TOML file ``source``.

    A file has either axes as lists at its top level, whose product is the grid, or tables ``[[products]]``, whose
    products together are the grid; axes at the top level apply to every table that does not define them itself.

    Raises:
        UserError: there is no such grid, or the file is invalid; the message names file and key.
    """
    if str(source) in NAMED:
        return grid_of(NAMED[str(source)], str(source), f"grid '{source}'")
    path = Path(source)
    if not path.is_file():
        raise UserError(
            "is neither a file nor a grid's name.", where=source, remedy=f"Known grids: {', '.join(NAMED)}."
        )
    return grid_of(read_toml(path), path.stem, str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """Read an untrusted TOML file.

    Raises:
        UserError: it cannot be read, is too large, or is not valid TOML.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise UserError(f"is longer than {LARGEST_FILE:,} bytes.", where=path, remedy="Is it the right file?")
        return tomllib.loads(content.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # among them TOMLDecodeError and UnicodeDecodeError
        reason = (
            (error.strerror or "it cannot be opened") if isinstance(error, OSError) else " ".join(str(error).split())
        )
        raise UserError(f"cannot be read: {reason}.", where=path, remedy="Correct the file.") from error


def grid_of(values: Mapping[str, Any], name: str, where: str) -> Grid:
    """Build the grid from a file's values; see :func:`read_grid`."""
    common = {key: value for key, value in values.items() if key not in ("about", "products")}
    products = values.get("products", [{}])
    if not isinstance(values.get("about", ""), str):
        raise UserError("'about' must be text.", where=where, remedy="Correct it.")
    if not isinstance(products, list) or not products or not all(isinstance(item, dict) for item in products):
        raise UserError("'products' must be tables of axes.", where=where, remedy=_FORM)
    if not common and not any(products):  # its only point would be the default, which was not asked for
        raise UserError("has no axes.", where=where, remedy=_FORM)
    _check_axes(common, where)
    points: dict[Point, None] = {}
    left: list[LeftOut] = []
    tried = 0
    for number, product in enumerate(products, 1):
        _check_axes(product, f"{where}, product {number}" if "products" in values else where)
        axes = {**common, **product}
        tried += _size(axes.values())
        if tried > MOST_POINTS:
            raise UserError(
                f"has more than {MOST_POINTS:,} points.", where=where, remedy="Make axes shorter, or several grids."
            )
        for combination in _combinations(axes):
            try:
                points[point(**combination)] = None
            except UserError as error:
                left.append(LeftOut(combination, error.problem.rstrip(".")))
    if not points:
        reasons = f" ({left[0].label}: {left[0].reason})" if left else ""
        raise UserError(f"has no point that can be tried{reasons}.", where=where, remedy=_FORM)
    return Grid(name, tuple(points), tuple(left))


def _check_axes(axes: Mapping[str, Any], where: str) -> None:
    for name, values in axes.items():
        if name not in KINDS:
            raise UserError(f"there is no axis {shown(name)}.", where=where, remedy=f"Axes: {listed(KINDS)}.")
        if not isinstance(values, list) or not values:
            raise UserError(f"'{name}' must be a list of values; it is {shown(values)}.", where=where, remedy=_FORM)
        for value in values:
            checked_field(name, value, where)
            _check_known(name, value, where)


def _check_known(name: str, value: Any, where: str) -> None:
    """Refuse a value that is invalid in any combination, such as a misspelled format."""
    known = _KNOWN.get(name)
    if known is not None and value not in known:
        raise UserError(
            f"'{name}' has the unknown value {shown(value)}.",
            where=where,
            remedy=f"Choose from: {', '.join(known)}.",
        )


_FORMATS = tuple(FORMATS)
_KNOWN: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("weights", "embedding", "head"), _FORMATS),
    "rounding": ROUNDINGS,
    "activations": MODES,
    "activation_calibration": tuple(OBSERVERS),
}
"""Axis -> its valid values."""


def _size(axes: Iterable[list[Any]]) -> int:
    total = 1
    for values in axes:
        total *= len(values)
    return total


def _combinations(axes: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
