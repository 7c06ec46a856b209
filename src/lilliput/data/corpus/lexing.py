"""A regular-expression lexer for Python: fast, forgiving, good enough to compare functions and to lay out lines.

The standard library's ``tokenize`` is exact but refuses fragments; this one accepts any text, which is what a
similarity measure needs.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator

_PREFIX = r"(?:[rRbBuUfFtT]{1,2}(?=['\"]))?"
STRING = rf"{_PREFIX}(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\")"
_TOKEN = re.compile(
    rf"""(?P<comment>\#[^\n]*)
       | (?P<string>{STRING})
       | (?P<number>(?:\d|\.\d)[\w.]*(?:(?<=[eE])[+-]\d+)?)
       | (?P<name>[^\W\d]\w*)
       | (?P<operator>\*\*=|//=|>>=|<<=|\.\.\.|[-+*/%&|^@<>=!:]=|->|\*\*|//|<<|>>|[^\w\s])""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset(keyword.kwlist)


def scan(text: str) -> Iterator[tuple[str, str, int]]:
    """Every token of ``text`` as ``(kind, token, start)``; kinds: comment, string, number, name, operator."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        assert kind is not None  # every alternative is a named group
        yield kind, match.group(), match.start()


def tokens(text: str) -> list[str]:
    """The tokens of ``text`` in order, without comments."""
    return [token for kind, token, _ in scan(text) if kind != "comment"]


def shape(text: str) -> tuple[str, ...]:
    """The tokens of ``text`` up to a consistent renaming: what two copies of one function share.

    A name becomes the index of its first appearance, a string ``"s"`` and a number ``"0"``; keywords and operators are
    kept, comments dropped.
    """
    index: dict[str, str] = {}
    literals = {"string": "s", "number": "0"}
    return tuple(
        index.setdefault(token, f"{len(index)}n")
        if kind == "name" and token not in _KEYWORDS
        else literals.get(kind, token)
        for kind, token, _ in scan(text)
        if kind != "comment"
    )
