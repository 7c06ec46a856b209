"""Random layout of a function: indentation, quotes, blank lines, comments, wrapped lines. None of it has a meaning."""

from __future__ import annotations

import ast
import re
from random import Random

from lilliput.data.corpus.lexing import scan
from lilliput.data.corpus.naming import VERBS
from lilliput.data.corpus.trees import WORDS, Function, walk

_INDENTS = ("    ", "    ", "    ", "  ", "   ", "        ", "\t")
_SIMPLE_STRING = re.compile(r"'[^'\"\\{}]*'")
_TESTS = ("if ", "elif ", "while ")
_COMMENT_FORMS = (
    "{verb} the {noun}",
    "{verb} {noun} and {other}",
    "{noun}: see {other}",
    "the {noun} of the {other}",
    "{verb} every {noun} first",
    "then {verb} what is left of the {noun}",
    "no {noun} here, only a {other}",
    "note: {verb} the {noun} too",
)


def render(function: Function, rng: Random, strength: float) -> str:
    """The source of ``function`` in a layout drawn at random; ``strength`` (0-1) is how far it strays from PEP 8.

    Every line that ``ast.unparse`` writes must be a whole statement, so docstrings may have at most one line.
    """
    indent = rng.choice(_INDENTS) if rng.random() < strength else "    "
    double = rng.random() < 0.5
    tight = rng.random() < 0.2 * strength
    parenthesized = rng.random() < 0.2 * strength
    comments = rng.choice((0.0, 0.1, 0.3)) * strength
    blanks = rng.choice((0.0, 0.05, 0.2)) * strength
    width = rng.choice((60, 79, 100)) if rng.random() < strength else 10_000
    whole = _nests_strings(function)
    lines: list[str] = []
    for line in ast.unparse(ast.fix_missing_locations(function)).split("\n"):
        code = line.lstrip(" ")
        margin = indent * ((len(line) - len(code)) // 4)
        if lines and rng.random() < blanks:
            lines.append("")
        if lines and rng.random() < comments:
            lines.append(f"{margin}# {_comment(rng)}")
        if parenthesized and code.startswith(_TESTS):
            keyword, test = code.split(" ", 1)
            code = f"{keyword} ({test[:-1]}):"
        wrapped = margin + code if whole else _wrap(_pieces(code, double, tight), margin, width)
        if rng.random() < comments / 2:
            wrapped += f"  # {_comment(rng)}"
        lines.append(wrapped)
    return "\n".join(lines) + "\n"


def _nests_strings(function: Function) -> bool:
    """Whether an f-string has a string inside its braces: from Python 3.12 on, the quotes may be the same."""
    fields = [node.value for node in walk(function) if isinstance(node, ast.FormattedValue)]
    inside = [node for field in fields for node in walk(field)]
    return any(
        isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes))
        for node in inside
    )


def _comment(rng: Random) -> str:
    return rng.choice(_COMMENT_FORMS).format(verb=rng.choice(VERBS), noun=rng.choice(WORDS), other=rng.choice(WORDS))


def _pieces(code: str, double: bool, tight: bool) -> list[str]:
    """The tokens of one line and the spaces between them.

    Args:
        code: the line.
        double: whether strings that need no escapes get double quotes.
        tight: whether the space after a comma is dropped.
    """
    pieces: list[str] = []
    end = 0
    for kind, token, start in scan(code):
        if start > end and not (tight and pieces[-1:] == [","]):
            pieces.append(code[end:start])
        plain = double and kind == "string" and _SIMPLE_STRING.fullmatch(token)
        pieces.append(f'"{token[1:-1]}"' if plain else token)
        end = start + len(token)
    return pieces


def _wrap(pieces: list[str], margin: str, width: int) -> str:
    """The line, broken after commas inside brackets where it would pass ``width`` columns."""
    lines = [margin]
    depth = 0
    for position, piece in enumerate(pieces):
        depth += (piece in "([{") - (piece in ")]}")
        lines[-1] += piece
        coming = sum(map(len, pieces[position + 1 : position + 8]))
        if piece == "," and depth and len(lines[-1]) + coming > width:
            lines.append(margin + "        ")
    first, *others = lines
    return "\n".join([first, *(margin + "        " + line.strip() for line in others)])
