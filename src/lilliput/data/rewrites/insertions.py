"""Insert or remove what has no effect: dead code and comments."""

from __future__ import annotations

from random import Random

from lilliput.data.rewrites.source import Edit, Source
from lilliput.data.rewrites.words import comment, fresh_names

MOST_INSERTED = 3
"""Most pieces of dead code, or comments, inserted into one function."""


def insert_dead_code(source: Source, rng: Random) -> list[Edit]:
    """Insert statements without effect before one to three others: unreachable ones, or a variable never read."""
    entries = source.entries()
    names = fresh_names(source, rng)
    edits = []
    for node in rng.sample(entries, min(len(entries), rng.randint(1, MOST_INSERTED))):
        form = rng.choice(source.language.dead_code)
        code = form.format(name=next(names), a=rng.randrange(100), b=rng.randrange(1, 100))
        edits.append(_before(source, node.start_byte, f"{code}\n"))
    return edits


def add_comments(source: Source, rng: Random) -> list[Edit]:
    """Insert a comment on a line of its own before one to three statements."""
    entries = source.entries()
    chosen = rng.sample(entries, min(len(entries), rng.randint(1, MOST_INSERTED)))
    return [_before(source, node.start_byte, f"{comment(source, rng)}\n") for node in chosen]


def remove_comments(source: Source, rng: Random) -> list[Edit]:
    """Remove every comment: one on lines of its own together with its lines; one before more code leaves a space.

    Left alone are comments in parse errors, in macro definitions, those with an escape or a continued line (a compiler
    may see their end elsewhere), and multi-line ones that are followed by code.
    """
    del rng  # there is nothing to choose
    edits = []
    for leaf in source.leaves:
        text = source.of(leaf)
        if leaf.type not in source.language.comments or "\\u" in text or "\\\n" in text or "\\\r" in text:
            continue
        if any(start <= leaf.start_byte < end for start, end in source.broken):
            continue
        line, end = source.line_start(leaf.start_byte), source.data.find(b"\n", leaf.end_byte)
        end = len(source.data) if end < 0 else end
        ends_line = not source.between(leaf.end_byte, end).strip()
        if ends_line and source.indentation(leaf) is not None and end < len(source.data):
            edits.append(Edit(line, end + 1, ""))
        elif ends_line or "\n" not in text:
            edits.append(Edit(leaf.start_byte, leaf.end_byte, " " if not ends_line else ""))
    return edits


def _before(source: Source, position: int, lines: str) -> Edit:
    """Insert ``lines`` before the statement at ``position``, with its indentation."""
    indent = source.between(source.line_start(position), position)
    return Edit(position, position, lines.replace("\n", f"\n{indent}"))
