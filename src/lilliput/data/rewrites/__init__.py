"""Semantics-preserving rewrites of one function in C, Java or Python, as text.

A function may be a fragment: with macros and types that are declared elsewhere, or code that does not compile. It is
parsed with tree-sitter, edited in place, and left alone wherever its own text does not show that the edit preserves its
semantics. Each rewrite is a line of :data:`REWRITES`; their assumptions are in ``docs/classifier-robustness.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from lilliput.data.rewrites import checks, formatting, insertions, loops, order, python_edits, renaming
from lilliput.data.rewrites.languages import LANGUAGES, language_named
from lilliput.data.rewrites.source import Edit, Source
from lilliput.errors import UserError

__all__ = [
    "LANGUAGES",
    "REWRITES",
    "Attempt",
    "Rewrite",
    "attempt",
    "language_named",
    "language_of",
    "rewrite",
    "rewrite_named",
]

Editor = Callable[[Source, Random], list[Edit]]
"""``editor(source, rng)``: the edits of one rewrite; none if there is nothing to do."""


@dataclass(frozen=True)
class Rewrite:
    """One kind of change that preserves a function's semantics.

    Attributes:
        name: its name in tables.
        editors: language -> function that finds its edits.
        keeps: check of what must be preserved.
    """

    name: str
    editors: Mapping[str, Editor]
    keeps: checks.Check


def _everywhere(editor: Editor) -> dict[str, Editor]:
    return dict.fromkeys(LANGUAGES, editor)


_TABLE = (
    Rewrite(
        "rename",
        _everywhere(renaming.rename_variables) | {"python": python_edits.rename_variables},
        checks.renamed_tokens,
    ),
    Rewrite("dead_code", _everywhere(insertions.insert_dead_code), checks.grown),
    Rewrite("loops", _everywhere(loops.change_loops) | {"python": python_edits.change_loops}, checks.parses),
    Rewrite(
        "order", _everywhere(order.swap_statements) | {"python": python_edits.swap_statements}, checks.same_multiset
    ),
    Rewrite("format", _everywhere(formatting.reformat), checks.same_tokens),
    Rewrite("add_comments", _everywhere(insertions.add_comments), checks.same_tokens),
    Rewrite("remove_comments", _everywhere(insertions.remove_comments), checks.same_tokens),
)
REWRITES = {rewrite.name: rewrite for rewrite in _TABLE}
"""Name -> rewrite."""


@dataclass(frozen=True)
class Attempt:
    """The outcome of a rewrite.

    Attributes:
        text: the function afterwards; unchanged if there was nothing to do.
        changed: whether the text is different.
        refused: whether there was something to do, but a check rejected the result; the text is then unchanged, too.
    """

    text: str
    changed: bool
    refused: bool


def attempt(text: str, language: str, name: str, seed: int = 0) -> Attempt:
    """Rewrite one function, and report the outcome.

    Args:
        text: the function.
        language: a name in :data:`LANGUAGES`.
        name: name of a rewrite in :data:`REWRITES`.
        seed: seed and text determine the result, in any process.

    Raises:
        UserError: no language, or no rewrite, of that name.
        MissingExtra: tree-sitter or the language's grammar is not installed.
    """
    chosen = rewrite_named(name)
    source = Source(text, language_named(language))
    edits = chosen.editors[language](source, Random(f"{name}|{seed}|{text}"))
    result = source.edited(edits)
    if result == text:
        return Attempt(text, False, False)
    after = Source(result, source.language)
    if checks.no_new_errors(source, after) and chosen.keeps(source, after):
        return Attempt(result, True, False)
    return Attempt(text, False, True)


def rewrite(text: str, language: str, name: str, seed: int = 0) -> str:
    """The text of :func:`attempt`: another function that does the same, or ``text`` itself."""
    return attempt(text, language, name, seed).text


def rewrite_named(name: str) -> Rewrite:
    """The rewrite called ``name``.

    Raises:
        UserError: there is no such rewrite; the message lists the known ones.
    """
    if name not in REWRITES:
        raise UserError(
            f"no rewrite is called '{name}'.", where="--rewrite", remedy=f"Choose one of: {', '.join(REWRITES)}."
        )
    return REWRITES[name]


SAMPLE = 50
"""Functions that are parsed to detect their language."""


def language_of(texts: Sequence[str], preferred: str | None = None) -> str | None:
    """The language whose grammar parses most of ``texts`` without an error; in a tie, ``preferred``.

    ``None`` if no grammar parses any of them.

    Args:
        texts: functions, of which the first :data:`SAMPLE` are parsed.
        preferred: a name in :data:`LANGUAGES`.
    """
    names = sorted(LANGUAGES, key=lambda name: name != preferred)
    clean = {name: sum(not Source(text, LANGUAGES[name]).errors for text in texts[:SAMPLE]) for name in names}
    best = max(names, key=lambda name: clean[name])
    return best if clean[best] else None
