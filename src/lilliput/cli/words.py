"""What the help calls the values of options and arguments: plain words, not the names of Python's types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

from typer.models import ArgumentInfo, OptionInfo

WORDS: Mapping[Any, str] = {str: "TEXT", Path: "PATH", int: "NUMBER", float: "NUMBER"}
"""Type -> what a value of it is called; a flag's type is none of these, and a flag has no value."""


def name_values(verb: Callable[..., None]) -> None:
    """Give the options and arguments of a verb, where they have none yet, the words for their values."""
    hints = get_type_hints(verb, include_extras=True)
    verb.__annotations__ = hints  # evaluated once: what is changed here is what typer finds
    for name, hint in hints.items():
        for info in getattr(hint, "__metadata__", ()):
            if isinstance(info, ArgumentInfo) and info.metavar is None:
                info.metavar = name.upper()
            elif isinstance(info, OptionInfo) and info.metavar is None:
                info.metavar = next((WORDS[kind] for kind in _kinds(hint) if kind in WORDS), None)


def _kinds(hint: Any) -> list[Any]:
    """The types that ``hint`` is made of: of ``list[Path] | None``, a path's and that of ``None``."""
    inner = [part for part in get_args(hint) if not isinstance(part, OptionInfo)]
    return [kind for part in inner for kind in _kinds(part)] if inner else [hint]
