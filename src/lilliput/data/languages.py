"""Programming languages: their files' names, and what their comments look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from lilliput.errors import UserError

Had = TypeVar("Had")


@dataclass(frozen=True)
class Language:
    """A programming language.

    Attributes:
        name: lower-case name, as in CodeSearchNet and editors.
        suffixes: suffixes of its files.
        line: markers that begin a line comment; the first is the usual one.
        block: markers that begin and end a block comment.
        strings: regular expressions of string literals, inside which nothing is a comment.
    """

    name: str
    suffixes: tuple[str, ...]
    line: tuple[str, ...] = ("//",)
    block: tuple[tuple[str, str], ...] = (("/*", "*/"),)
    strings: tuple[str, ...] = (r'"(?:\\.|[^"\\\n])*"', r"'(?:\\.|[^'\\\n])*'")


_NO_BLOCK: tuple[tuple[str, str], ...] = ()
_TRIPLE = (r'"""(?:\\.|[^\\])*?(?:"""|\Z)', r"'''(?:\\.|[^\\])*?(?:'''|\Z)")
_QUOTED = Language.strings
_BACKTICK = r"`(?:\\.|[^`\\])*(?:`|\Z)"

LANGUAGES: Mapping[str, Language] = {
    language.name: language
    for language in (
        Language("python", (".py", ".pyi"), ("#",), _NO_BLOCK, (*_TRIPLE, *_QUOTED)),
        Language("java", (".java",)),
        Language("javascript", (".js", ".jsx", ".mjs", ".cjs"), strings=(*_QUOTED, _BACKTICK)),
        Language("typescript", (".ts", ".tsx", ".mts", ".cts"), strings=(*_QUOTED, _BACKTICK)),
        Language("go", (".go",), strings=(*_QUOTED, r"`[^`]*(?:`|\Z)")),
        Language("php", (".php",), ("//", "#")),
        Language("ruby", (".rb",), ("#",), _NO_BLOCK),
        Language("c", (".c", ".h")),
        Language("cpp", (".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx")),
        Language("csharp", (".cs",)),
        Language("rust", (".rs",), strings=_QUOTED[:1]),  # a quote begins a lifetime as often as a character
        Language("kotlin", (".kt", ".kts"), strings=(_TRIPLE[0], *_QUOTED)),
        Language("scala", (".scala",), strings=(_TRIPLE[0], *_QUOTED)),
        Language("swift", (".swift",), strings=(_TRIPLE[0], *_QUOTED[:1])),
        Language("dart", (".dart",), strings=(*_TRIPLE, *_QUOTED)),
        Language("lua", (".lua",), ("--",), (("--[[", "]]"),)),
        Language("r", (".r",), ("#",), _NO_BLOCK),
        Language("julia", (".jl",), ("#",), (("#=", "=#"),), (_TRIPLE[0], *_QUOTED)),
        Language("perl", (".pl", ".pm"), ("#",), _NO_BLOCK),
        Language("shell", (".sh", ".bash"), ("#",), _NO_BLOCK),
        Language("sql", (".sql",), ("--",)),
        Language("haskell", (".hs",), ("--",), (("{-", "-}"),), _QUOTED[:1]),
    )
}
"""Name -> language."""

_OF_SUFFIX = {suffix: language for language in LANGUAGES.values() for suffix in language.suffixes}


def language_of(path: Path) -> Language | None:
    """The language of a file, by its suffix; ``None`` if it is not in the table."""
    return _OF_SUFFIX.get(path.suffix.lower())


def for_language(table: Mapping[str, Had], name: str, refusal: str = "no language is called '{}'.") -> Had:
    """The entry of ``table`` for the language called ``name``.

    Args:
        table: name of a language -> its entry.
        name: as given to ``--language``.
        refusal: the error message if there is no entry, ``{}`` being the name.

    Raises:
        UserError: there is no entry; the message lists the languages in the table.
    """
    if name not in table:
        remedy = f"Choose one of: {', '.join(table)}."
        raise UserError(refusal.format(name), where="--language", remedy=remedy)
    return table[name]


def prose_spans(text: str, language: Language) -> list[tuple[int, int]]:
    """Spans ``(begin, end)`` of ``text`` that are prose rather than code: comments and multi-line strings.

    The lexer knows only strings and comments: it is right except for corner cases (a JavaScript regular expression that
    contains ``//``, a ``#`` inside a shell word). An unterminated comment or string that may span lines extends to the
    end of the text; an unterminated one-line string is not a string, and an escaped quote does not begin one. The time
    is therefore linear in the length of the text, even if it is hostile.
    """
    found = _lexer(language).finditer(text)
    return [match.span() for match in found if match.lastgroup == "comment" or "\n" in match.group()]


@cache
def _lexer(language: Language) -> re.Pattern[str]:
    blocks = [rf"{re.escape(begin)}.*?(?:{re.escape(end)}|\Z)" for begin, end in language.block]
    lines = [rf"{re.escape(begin)}[^\n]*" for begin in language.line]
    return re.compile(
        rf"(?P<comment>{'|'.join([*blocks, *lines])})|(?:{'|'.join(language.strings)})|\\[^\n]", re.DOTALL
    )
