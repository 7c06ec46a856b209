"""Change layout that has no meaning: indentation, places of braces, spaces around operators, blank lines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from lilliput.data.rewrites.source import Edit, Source

if TYPE_CHECKING:
    from tree_sitter import Node

_INDENTS = ("\t", "  ", "   ", "    ", "        ")
_TAB = 8
_BEFORE_BRACE = frozenset({")", "else", "do", "try", "finally"})
_CLOSE = frozenset(")]_")
_OPEN = frozenset("([_")


@dataclass(frozen=True)
class Layout:
    """A layout of code; ``None`` leaves a property as it is.

    Attributes:
        indent: of one level.
        next_line: whether an opening brace goes on a line of its own.
        spaced: whether there are spaces around operators and after commas.
        blank: share of statements that get a blank line before them; all others lose theirs.
    """

    indent: str | None
    next_line: bool | None
    spaced: bool | None
    blank: float | None


@dataclass(frozen=True)
class _Gap:
    """Two adjacent tokens with nothing but white space between them."""

    before: Node
    after: Node
    text: str


def reformat(source: Source, rng: Random) -> list[Edit]:
    """The same tokens in a random layout; strings, comments, macros and code in parse errors are left alone."""
    layout = Layout(
        indent=rng.choice(_INDENTS),
        next_line=rng.choice((True, False)),
        spaced=rng.choice((True, False)),
        blank=rng.choice((None, 0.0, 0.2)),
    )
    levels = _Levels(source, layout.indent)
    starts = {node.start_byte for siblings in source.statements() for node in siblings}
    edits = []
    for gap in _gaps(source):
        if "\n" in gap.text:
            new = _broken_line(source, gap, layout, levels, starts, rng)
        else:
            new = _same_line(source, gap, layout, levels)
        if new != gap.text:
            edits.append(Edit(gap.before.end_byte, gap.after.start_byte, new))
    return edits


def _gaps(source: Source) -> Iterator[_Gap]:
    for before, after in pairwise(source.leaves):
        text = source.between(before.end_byte, after.start_byte)
        hurt = any(start <= node.start_byte < end for node in (before, after) for start, end in source.broken)
        if not text.strip() and not hurt:
            yield _Gap(before, after, text)


class _Levels:
    """Indentation in the text's own unit: the greatest common divisor of its statements' indentation."""

    def __init__(self, source: Source, indent: str | None) -> None:
        margins = [
            margin
            for siblings in source.statements()
            for node in siblings
            if (margin := source.indentation(node)) is not None
        ]
        widths = [_width(margin) for margin in margins]
        unit = math.gcd(*widths)
        if unit < 2 and source.language.braces:  # such as a label in the first column: take the smallest
            unit = min((width for width in widths if width), default=0)
        # Python's blocks depend on indentation: a text that mixes tabs and spaces is left alone.
        mixed = not source.language.braces and len({mark for margin in margins for mark in margin}) > 1
        self.unit = 0 if mixed else unit
        self.indent = indent

    def of(self, margin: str) -> str:
        """The indentation that replaces ``margin``."""
        if self.indent is None or not self.unit:
            return margin
        return self.indent * round(_width(margin) / self.unit)


def _width(margin: str) -> int:
    """Width of white space, in columns."""
    return len(margin.expandtabs(_TAB))


def _broken_line(source: Source, gap: _Gap, layout: Layout, levels: _Levels, starts: set[int], rng: Random) -> str:
    """The line break between two tokens, with the blank lines after it and the indentation."""
    if layout.next_line is False and _opens_block(source, gap) and not _is_comment(source, gap.before):
        return " "
    *lines, margin = gap.text.split("\n")
    blank = len(lines) - 1
    if layout.blank is not None:
        blank = int(gap.after.start_byte in starts and rng.random() < layout.blank)
    end = "\r\n" if "\r\n" in gap.text else "\n"
    return end * (blank + 1) + levels.of(margin)


def _same_line(source: Source, gap: _Gap, layout: Layout, levels: _Levels) -> str:
    """The spaces between two tokens of a line."""
    if _opens_block(source, gap) and layout.next_line is not None:
        owner = gap.after.parent and gap.after.parent.parent
        if not layout.next_line or owner is None:
            return " "
        line = source.line_start(owner.start_byte)
        text = source.between(line, owner.start_byte)
        margin = text[: len(text) - len(text.lstrip())]
        return f"\n{levels.of(margin)}"
    wide = _spaces(source, gap)
    if layout.spaced is None or wide is None or _is_comment(source, gap.after):
        return gap.text
    if layout.spaced:
        return gap.text or " "
    return "" if wide else gap.text


def _spaces(source: Source, gap: _Gap) -> bool | None:
    """Whether a gap can lose its spaces; ``None`` if it does not have spaces in one layout and none in another."""
    language = source.language
    if source.of(gap.before) == ",":
        return True
    if source.of(gap.after) == "(" and source.of(gap.before) in language.spaced_keywords:
        return True
    for node, other in ((gap.before, gap.after), (gap.after, gap.before)):
        text = source.of(node)
        parent = node.parent
        if parent is None or parent.type not in language.operators or node.is_named or text.isidentifier():
            continue
        if not all(part.isidentifier() for part in text.split()):
            return _separate(source.of(other), first=other is gap.before)
    return None


def _separate(text: str, first: bool) -> bool:
    """Whether an operator can directly touch a token: after a name or a bracket, before a word or a bracket.

    It cannot follow a number (``0xe+1`` is one token in C), nor touch an operator on either side (``a - -b``).
    """
    mark = text[-1] if first else text[0]
    if first:
        return mark in _CLOSE or text.isidentifier()
    return mark in _OPEN or mark.isalnum()


def _opens_block(source: Source, gap: _Gap) -> bool:
    """Whether the gap precedes the opening brace of a block that belongs to a statement or a function."""
    block = gap.after.parent
    if source.of(gap.after) != "{" or block is None or block.type not in source.language.blocks:
        return False
    before = block.prev_sibling
    if before is None or before.end_byte != gap.before.end_byte or block.parent is None or block.parent.has_error:
        return False
    directive = block.parent.type.startswith("preproc") or before.type.startswith("preproc")
    return not directive and block.start_byte == gap.after.start_byte and source.of(gap.before) in _BEFORE_BRACE


def _is_comment(source: Source, node: Node) -> bool:
    return node.type in source.language.comments
