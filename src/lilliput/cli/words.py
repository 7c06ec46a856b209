"""Options and arguments of all verbs: names of their values in the help, and values that are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer
from typer.core import TyperCommand
from typer.models import ArgumentInfo, OptionInfo

from lilliput.constants import MOST
from lilliput.errors import UserError

WORDS: Mapping[Any, str] = {str: "TEXT", Path: "PATH", int: "NUMBER", float: "NUMBER"}
"""Type -> name of its values. Flags have no value, and their type is not listed."""

MAY_BE_EMPTY = ("prompt",)
"""Arguments that are text. The others name a file, a folder or a model."""

NAMES_A_FILE = ("against",)
"""Text options that may name a file."""

_SAME = ("temperature", "top_p", "top_k", "repetition_penalty", "length_penalty", "beams", "stop", "max_new_tokens")

SETTINGS: Mapping[str, str] = {"n": "samples"} | {name: name for name in (*_SAME, "batch", "threads", "perturbations")}
"""Setting of the Python functions -> parameter that sets it in a verb without one of the setting's name."""

_BRACES = str.maketrans("", "", "{}")
_TYPE = re.compile(r" <[^<>]*>$")


class Verb(TyperCommand):
    """A command whose help shows arguments by name, without braces and Python types."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb. An error that names a setting of the Python functions names the option instead."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            error.where = self._option_of(error.where)
            raise

    def _option_of(self, where: str | None) -> str | None:
        if where is None or where not in SETTINGS or Path(where).exists():
            return where
        options = {str(one.name): one.opts[0] for one in self.params if one.param_type_name == "option"}
        return options.get(where, options.get(SETTINGS[where], where))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The pieces after the verb in the usage line."""
        return [piece.translate(_BRACES) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists of arguments and options."""
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            found = [one.get_help_record(ctx) for one in self.get_params(ctx) if one.param_type_name == kind]
            rows = [(_TYPE.sub("", record[0]), record[1]) for record in found if record is not None]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def name_values(verb: Callable[..., None]) -> None:
    """Set the metavar of a verb's options and arguments that have none, and refuse values that cannot be meant.

    These are empty paths, which would be the current folder, and numbers beyond :data:`~lilliput.constants.MOST`.
    """
    hints = get_type_hints(verb, include_extras=True)
    verb.__annotations__ = hints  # evaluated once, so that typer sees the changes below
    for name, hint in hints.items():
        for info in getattr(hint, "__metadata__", ()):
            if isinstance(info, ArgumentInfo) and info.metavar is None:
                info.metavar = name.upper()
            elif isinstance(info, OptionInfo) and info.metavar is None:
                info.metavar = next((WORDS[kind] for kind in _kinds(hint) if kind in WORDS), None)
            if isinstance(info, ArgumentInfo | OptionInfo):
                info.parser = _parser(name, isinstance(info, ArgumentInfo), _kinds(hint))
                if name in MOST and info.max is None:
                    info.callback = _at_most(MOST[name])


def _parser(name: str, is_argument: bool, kinds: list[Any]) -> Callable[[str], Any] | None:
    """The parser of a value that names a file, folder or model; ``None``: the value names none."""
    if Path in kinds:
        return _path
    return _name if name in NAMES_A_FILE or (is_argument and name not in MAY_BE_EMPTY) else None


def _at_most(most: int) -> Callable[[int | None], int | None]:
    """A callback that refuses larger values; unlike an option's ``max`` it does not clutter the help."""

    def check(value: int | None) -> int | None:
        if value is not None and value > most:
            raise typer.BadParameter(f"{value:,} is too large. Give {most:,} at most.")
        return value

    return check


def _name(value: str) -> str:
    if value == "":
        raise typer.BadParameter("it is empty. Name a file, a folder or a model.")
    return value


def _path(value: str) -> Path:
    if value == "":
        raise typer.BadParameter("it is empty. Give a path; '.' is the current folder.")
    return Path(value)


def _kinds(hint: Any) -> list[Any]:
    """The types in ``hint``: ``Path`` and ``None`` for ``list[Path] | None``."""
    inner = [part for part in get_args(hint) if not isinstance(part, OptionInfo)]
    return [kind for part in inner for kind in _kinds(part)] if inner else [hint]
