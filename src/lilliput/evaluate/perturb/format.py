"""Perturbations of the layout, with no effect on semantics, in a prompt with the first half of the solution."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Callable
from random import Random

from lilliput.evaluate.perturb.perturbation import Apply, Perturbation, Problem
from lilliput.evaluate.perturb.source import Edit, Source, edited, opened

NEW_LINE_SHARE = 0.3
"""Share of the gaps between lines of code that get one or two blank lines."""

_PLAIN_STRING = re.compile(r"(?P<quote>['\"])(?P<text>[^'\"\\{}\n]*)(?P=quote)")


def _of_source(change: Callable[[Source, Random], Problem | None]) -> Apply:
    def apply(problem: Problem, rng: Random) -> Problem | None:
        source = opened(problem)
        return None if source is None else change(source, rng)

    return apply


def doc_comments(source: Source, rng: Random) -> Problem | None:
    """Turn the docstring's lines into comments."""
    del rng  # nothing to choose
    literal = source.docstring
    if literal is None or literal.end_lineno is None or not isinstance(literal.value, str):
        return None
    start, end = source.span(literal)
    first = source.line_start(literal.lineno)
    margin = source.text[first:start]
    after = source.text[end : source.line_end(literal.end_lineno)]
    if margin.strip() or after.strip():
        return None
    lines = [
        line.strip() if not line.startswith(margin) else line[len(margin) :].rstrip() for line in _lines(literal.value)
    ]
    comments = "\n".join(f"{margin}# {line}".rstrip() for line in lines)
    return edited(source, [Edit(first, source.line_end(literal.end_lineno), comments)])


def _lines(docstring: str) -> list[str]:
    """The docstring's lines, without leading and trailing blank ones; unprintable characters are escaped."""
    printable = (
        "".join(mark if mark.isprintable() or mark == "\t" else repr(mark)[1:-1] for mark in line)
        for line in docstring.split("\n")
    )
    return "\n".join(printable).strip("\n ").split("\n")


def newline_after_doc(source: Source, rng: Random) -> Problem | None:
    """Insert a blank line after the docstring."""
    del rng  # nothing to choose
    if source.docstring is None:
        return None
    place = source.line_start(source.first_code_line())
    return edited(source, [Edit(place, place, "\n")]) if place <= source.cut else None


def newline_after_code(source: Source, rng: Random) -> Problem | None:
    """Insert a blank line at the prompt's end."""
    del rng  # nothing to choose
    return edited(source, [Edit(source.cut, source.cut, "\n")])


def newlines(source: Source, rng: Random) -> Problem | None:
    """Insert blank lines before random lines of code; at least one."""
    first = source.first_code_line()
    places = [source.line_start(line) for line in source.depths if first <= line]
    places = [place for place in places if place < source.cut] or [source.cut]
    drawn = [place for place in places if rng.random() < NEW_LINE_SHARE] or [rng.choice(places)]
    return edited(source, [Edit(place, place, "\n" * rng.choice((1, 1, 2))) for place in drawn])


def split_line(source: Source, rng: Random) -> Problem | None:
    """Split the prompt's longest line of code by a backslash, near its middle."""
    del rng  # nothing to choose
    gaps: dict[int, list[int]] = {}
    depth = 0
    for token, following in zip(source.tokens, source.tokens[1:], strict=False):
        depth += _string_parts(token)
        line, column = token.end
        same = following.start[0] == line and following.start[1] > column
        if same and depth == 0 and _SPLITTABLE.isdisjoint({token.type, following.type}):
            gaps.setdefault(line, []).append(column)
    lines = [line for line in gaps if source.line_end(line) <= source.cut and "\\" not in source.line(line)[-1:]]
    if not lines:
        return None
    longest = max(lines, key=lambda line: (len(source.line(line)), -line))
    text = source.line(longest)
    margin = text[: len(text) - len(text.lstrip())]
    column = min(gaps[longest], key=lambda gap: abs(gap - len(text) / 2))
    place = source.line_start(longest) + column
    space = len(text[column:]) - len(text[column:].lstrip())
    return edited(source, [Edit(place, place + space, f" \\\n{margin}        ")])


_SPLITTABLE = frozenset({tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE, tokenize.NL})
"""Tokens next to which no line is split."""


def _string_parts(token: tokenize.TokenInfo) -> int:
    """1 where an f-string opens and -1 where one closes: since Python 3.12, they are several tokens."""
    return {"FSTRING_START": 1, "FSTRING_END": -1}.get(tokenize.tok_name[token.type], 0)


def _reindented(unit: str) -> Callable[[Source, Random], Problem | None]:
    def change(source: Source, rng: Random) -> Problem | None:
        """Indent each block by ``unit``; lines inside brackets and docstrings move along."""
        del rng  # nothing to choose
        inside = _inside_strings(source)
        edits = []
        depth, width = 0, 0
        for number in range(1, source.text.count("\n") + 2):
            text = source.line(number)
            margin = len(text) - len(text.lstrip(" "))
            if number in source.depths:
                depth, width = source.depths[number], margin
            if number in inside or not text.strip():
                continue
            # A comment or a continuation line keeps its offset from the statement before it.
            extra = max(margin - width, 0) if number not in source.depths else 0
            units = depth if margin >= width else depth * margin // max(width, 1)
            edits.append(
                Edit(source.line_start(number), source.line_start(number) + margin, unit * units + " " * extra)
            )
        return edited(source, edits)

    return change


def _inside_strings(source: Source) -> set[int]:
    """The lines that begin inside a string other than a docstring, where white space matters."""
    docstring = source.docstring
    found: set[int] = set()
    opened_at: list[int] = []
    for token in source.tokens:
        name = tokenize.tok_name[token.type]
        if name == "FSTRING_START":
            opened_at.append(token.start[0])
        first = opened_at.pop() if name == "FSTRING_END" else token.start[0]
        if name in {"STRING", "FSTRING_END"} and (docstring is None or first != docstring.lineno):
            found.update(range(first + 1, token.end[0] + 1))
    return found


def quote_style(source: Source, rng: Random) -> Problem | None:
    """Swap single and double quotes around strings that contain neither."""
    del rng  # nothing to choose
    edits = []
    for token in source.tokens:
        match = _PLAIN_STRING.fullmatch(token.string) if token.type == tokenize.STRING else None
        if match and source.docstring is not None and token.start[0] != source.docstring.lineno:
            other = "'" if match["quote"] == '"' else '"'
            start = source.line_start(token.start[0]) + token.start[1]
            edits.append(Edit(start, start + len(token.string), f"{other}{match['text']}{other}"))
    return edited(source, edits)


def _perturbation(
    name: str,
    change: Callable[[Source, Random], Problem | None],
    summary: str,
    released: str = "",
    deterministic: bool = True,
) -> Perturbation:
    return Perturbation(name, "format", deterministic, "partial", _of_source(change), summary, released)


PERTURBATIONS = (
    _perturbation("doc_comments", doc_comments, "the docstring as comments", "doc2comments"),
    _perturbation("newline_after_code", newline_after_code, "a blank line at the prompt's end", "new_line_aftercode"),
    _perturbation("newline_after_doc", newline_after_doc, "a blank line after the docstring", "new_line_afterdoc"),
    _perturbation("newlines", newlines, "blank lines between lines of code", "new_lines", False),
    _perturbation("split_line", split_line, "the longest line of code split by a backslash", "split_lines"),
    _perturbation("tab_indent", _reindented("\t"), "blocks indented by tabs", "tab_indent"),
    _perturbation("two_space_indent", _reindented("  "), "blocks indented by two spaces"),
    _perturbation("quote_style", quote_style, "single quotes for double ones, and the reverse"),
)
