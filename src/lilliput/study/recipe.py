"""Recipes: how to quantize, why, and the supporting figures, in a file for ``lilliput quantize --recipe``.

A study writes JSON; people may write TOML. The file is untrusted: unknown keys and wrong types are refused, and nothing
in it is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lilliput.data.lines import listed, shown
from lilliput.errors import UserError
from lilliput.files import read_json, sha256_of, write_json
from lilliput.study.grid import LARGEST_FILE, read_toml
from lilliput.study.point import Point, point_of_dict

SCHEMA = 1
"""Version of the format; later ones are refused."""

LONGEST_NAME = 100

_FACTS = ("why", "figures", "model", "study", "versions")
"""Informative fields: objects whose content has no effect."""


@dataclass(frozen=True)
class Recipe:
    """How to quantize, and why.

    Attributes:
        name: of the recipe.
        point: how to quantize.
        why: the rule by which the point was chosen.
        figures: measured for the point and for the reference.
        model: that the figures were measured on.
        study: that produced the recipe.
        versions: of the packages used for the measurements.
        sha256: of the recipe's file; empty: it was not read from a file.
    """

    name: str
    point: Point
    why: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    study: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, as in a file."""
        facts = {name: dict(getattr(self, name)) for name in _FACTS}
        return {"schema": SCHEMA, "name": self.name, "point": self.point.as_dict(), **facts}

    @property
    def source(self) -> dict[str, str]:
        """The reference to the recipe in an artifact made from it."""
        return {"name": self.name, "sha256": self.sha256}


def write_recipe(path: Path, recipe: Recipe) -> None:
    """Write a recipe as JSON."""
    write_json(path, recipe.as_dict())


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a file: TOML if its name ends in ``.toml``, else JSON.

    Raises:
        UserError: it cannot be read; or a key is missing, unknown or of the wrong type, or a value is invalid. The
            message names file and key.
    """
    path = Path(path)
    values = read_toml(path) if path.suffix == ".toml" else _read_json(path)
    where = str(path)
    if not isinstance(values, dict):
        raise UserError("is not a JSON object.", where=where, remedy="Give a recipe, as 'lilliput study' writes it.")
    known = ("schema", "name", "point", *_FACTS)
    for key in values:
        if key not in known:
            raise UserError(f"has an unknown key, {shown(key)}.", where=where, remedy=f"Keys: {listed(known)}.")
    for key in ("schema", "name", "point"):
        if key not in values:
            raise UserError(f"has no '{key}'.", where=where, remedy="Give a recipe, as 'lilliput study' writes it.")
    schema, name = values["schema"], values["name"]
    if type(schema) is not int or schema < 1:
        raise UserError("'schema' must be a whole number above 0.", where=where, remedy=f"Write {SCHEMA}.")
    if schema > SCHEMA:
        raise UserError(
            f"has schema {schema}; this version reads up to {SCHEMA}.",
            where=where,
            remedy="Upgrade: pip install -U lilliput",
        )
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        raise UserError(
            f"'name' must be text of one line, at most {LONGEST_NAME} characters.", where=where, remedy="Correct it."
        )
    for key in ("point", *_FACTS):
        if not isinstance(values.get(key, {}), dict):
            raise UserError(
                f"'{key}' must be an object; it is {shown(values[key])}.", where=where, remedy="Correct it."
            )
    facts = {key: values[key] for key in _FACTS if key in values}
    return Recipe(name, point_of_dict(values["point"], f"{where}, 'point'"), **facts, sha256=sha256_of(path))


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"is longer than {LARGEST_FILE:,} bytes.", where=path, remedy="Is it the right file?")
        return read_json(path)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UserError(f"cannot be read: {reason}.", where=path, remedy="Check --recipe.") from error
    except ValueError as error:
        raise UserError(
            f"is not JSON: {' '.join(str(error).split())}.",
            where=path,
            remedy="Give the recipe.json of a study, or a TOML file named NAME.toml.",
        ) from error
