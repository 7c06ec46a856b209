"""Find the words of a docstring that are prose and may be changed: neither examples nor identifiers.

These are kept: doctests with their results, other examples, quoted text, numbers, formulas, names of arguments,
functions and imports of the prompt, ``True``, ``None``, abbreviations, and names that begin with a capital.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from lilliput.data.corpus.trees import walk
from lilliput.evaluate.perturb.source import Source

_WORD = re.compile(r"(?<![\w.@\\/^*=+<>$#'`-])[A-Za-z]+(?![\w(\[=@'`^*/\\-]|\.\w)")
_ATTACHED = re.compile(r"[({\"]*$")

_HEADING = re.compile(r"(?:for\s+|some\s+)?(?:e\.g\.|examples?|samples?)\b(?P<rest>.*)", re.IGNORECASE)
_PROSE_AGAIN = re.compile(r"(?:notes?|constraints?|restrictions?|hints?)\b", re.IGNORECASE)
_RESULT = re.compile(r"=>|➞|->|→| == ")
_HEADING_WORDS = 3
"""A line with more words after "Example" is a sentence, not a heading."""

_NOT_PROSE = re.compile(
    r"""`[^`]*`
      | (?<!\w)'[^'\n]*'(?!\w)
      | "[^"\n]*"
      | \[[^\[\]]*\]
      | \{[^{}]*\}
      | <\w+>
      | \b(?:i\.e|e\.g)\.""",
    re.VERBOSE,
)
_CONSTANTS = frozenset({"True", "False", "None"})


class Word(NamedTuple):
    """A word that may be changed.

    Attributes:
        start: offset of the word in the program.
        text: the word.
        before: the word before it in the same sentence, in lower case; empty for a sentence's first.
    """

    start: int
    text: str
    before: str

    @property
    def end(self) -> int:
        """Offset of the word's end."""
        return self.start + len(self.text)


def words(source: Source) -> list[Word]:
    """The prose words of the entry point's docstring, in order; empty where there is no docstring."""
    if source.docstring is None:
        return []
    start, end = source.span(source.docstring)
    literal = source.text[start:end]
    quote = literal.find(literal[-1])
    body = quote + (3 if literal.endswith(literal[-1] * 3) else 1)
    text = literal[: -(body - quote)]
    kept = _kept_names(source)
    hidden = _hidden(text, body, source.problem.entry_point)
    found: list[Word] = []
    for match in _WORD.finditer(text, body):
        word = match.group()
        if any(low < match.end() and match.start() < high for low, high in hidden):
            continue
        before = _word_before(text[body : match.start()])
        capital = word[0].isupper() and bool(before)
        if len(word) > 1 and word not in kept and word not in _CONSTANTS and not capital and not word[1:].isupper():
            found.append(Word(start + match.start(), word, before))
    return found


def _word_before(text: str) -> str:
    """The last word of ``text``, unless a sentence or a list item ends after it."""
    text = _ATTACHED.sub("", text)
    ending = re.search(r"[.:!?;]\s*$|\n\s*(?:[-*]|\d+[.)])\s*$|\n\s*\n\s*$", text)
    last = re.search(r"(\w+)\W*$", text)
    return "" if ending or last is None else last.group(1).lower()


def _hidden(text: str, start: int, entry_point: str) -> list[tuple[int, int]]:
    """The spans of a docstring that are not prose."""
    spans = [match.span() for match in _NOT_PROSE.finditer(text, start)]
    call = re.compile(rf"\b{re.escape(entry_point)}\s*\(")
    doctest = examples = False
    for match in re.compile(r"[^\n]*\n?").finditer(text, start):
        line = match.group().strip()
        heading = _HEADING.match(line)
        if line.startswith(">>>"):
            doctest = True
        elif not line:
            doctest = False
        elif heading and len(heading["rest"].split()) <= _HEADING_WORDS:
            examples = True
        elif _PROSE_AGAIN.match(line):
            examples = False
        if doctest or examples or call.search(line) or _RESULT.search(line):
            spans.append(match.span())
    return spans


def _kept_names(source: Source) -> set[str]:
    """The names of arguments, functions and imports in the program."""
    names: set[str] = set()
    for node in walk(source.tree):
        match node:
            case ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names.update(alias.asname or alias.name for alias in aliases)
    return names
