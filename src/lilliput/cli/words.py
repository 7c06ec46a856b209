"""Names of option and argument values in the help: plain words instead of Python types."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from typer.core import TyperCommand
from typer.models import ArgumentInfo, OptionInfo

WORDS: Mapping[Any, str] = {str: "TEXT", Path: "PATH", int: "NUMBER", float: "NUMBER"}
"""Type -> name of its values. Flags have no value, and their type is not listed."""

_BRACES = str.maketrans("", "", "{}")
_TYPE = re.compile(r" <[^<>]*>$")


class Verb(TyperCommand):
    """A command whose help shows arguments by name, without braces and Python types."""

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
    """Set the metavar of a verb's options and arguments that have none."""
    hints = get_type_hints(verb, include_extras=True)
    verb.__annotations__ = hints  # evaluated once, so that typer sees the changes below
    for name, hint in hints.items():
        for info in getattr(hint, "__metadata__", ()):
            if isinstance(info, ArgumentInfo) and info.metavar is None:
                info.metavar = name.upper()
            elif isinstance(info, OptionInfo) and info.metavar is None:
                info.metavar = next((WORDS[kind] for kind in _kinds(hint) if kind in WORDS), None)


def _kinds(hint: Any) -> list[Any]:
    """The types in ``hint``: ``Path`` and ``None`` for ``list[Path] | None``."""
    inner = [part for part in get_args(hint) if not isinstance(part, OptionInfo)]
    return [kind for part in inner for kind in _kinds(part)] if inner else [hint]
