"""A problem's program as text with a syntax tree: positions, and edits that respect the prompt's end.

Every perturbation edits the text in place instead of printing a changed tree. This keeps comments, layout and quotes,
and changes the rest of the solution, after the prompt's end, along with the prompt.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from lilliput.data.corpus.trees import Function, walk
from lilliput.evaluate.perturb.perturbation import Problem


class Edit(NamedTuple):
    """The replacement of the characters from ``start`` to ``end`` of a program by ``text``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Source:
    """A problem's prompt followed by its canonical solution.

    Attributes:
        problem: the problem.
        text: the program.
        cut: offset of the prompt's end.
        tree: syntax tree of the program.
        function: definition of the entry point in the tree.
    """

    problem: Problem
    text: str
    cut: int
    tree: ast.Module
    function: Function

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        for line in self.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def offset(self, line: int, column: int) -> int:
        """Offset of a position in the syntax tree: a 1-based line and a column in UTF-8 bytes."""
        start = self._line_starts[line - 1]
        head = self.text[start : start + column].encode()[:column]
        return start + len(head.decode())

    def line_start(self, line: int) -> int:
        """Offset of the start of a 1-based line."""
        return self._line_starts[line - 1]

    def line_end(self, line: int) -> int:
        """Offset of the end of a 1-based line, before its line break."""
        return min(self._line_starts[line] - 1, len(self.text))

    def line(self, number: int) -> str:
        """A 1-based line without its line break."""
        return self.text[self.line_start(number) : self.line_end(number)]

    def span(self, node: ast.expr | ast.stmt | ast.arg) -> tuple[int, int]:
        """Offsets of the start and end of ``node``."""
        assert node.end_lineno is not None and node.end_col_offset is not None  # the parser sets them
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def written(self, node: ast.expr | ast.stmt | ast.arg) -> str:
        """The text of ``node``."""
        start, end = self.span(node)
        return self.text[start:end]

    def margin(self, node: ast.stmt) -> str | None:
        """The indentation of a statement, or ``None`` where something else precedes it on its line."""
        before = self.text[self.line_start(node.lineno) : self.span(node)[0]]
        return before if not before.strip() else None

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        """Python's tokens; empty where the text cannot be tokenized."""
        try:
            return list(tokenize.generate_tokens(io.StringIO(self.text).readline))
        except (tokenize.TokenError, SyntaxError):
            return []

    @cached_property
    def depths(self) -> dict[int, int]:
        """The lines on which a statement begins -> their indentation depth, in blocks."""
        found: dict[int, int] = {}
        depth, fresh = 0, True
        for token in self.tokens:
            match token.type:
                case tokenize.INDENT:
                    depth += 1
                case tokenize.DEDENT:
                    depth -= 1
                case tokenize.NEWLINE:
                    fresh = True
                case tokenize.NL | tokenize.COMMENT | tokenize.ENDMARKER:
                    pass
                case _ if fresh:
                    found[token.start[0]] = depth
                    fresh = False
        return found

    @cached_property
    def docstring(self) -> ast.Constant | None:
        """The docstring's literal: the first string that is a statement of its own.

        Unlike Python's rule, it need not be the first statement: one of HumanEval's functions imports before it.
        """
        for statement in self.function.body:
            match statement:
                case ast.Expr(value=ast.Constant(value=str()) as literal) if self.span(literal)[1] <= self.cut:
                    return literal
        return None

    @cached_property
    def code(self) -> list[ast.stmt]:
        """The statements of the function after its docstring."""
        body = self.function.body
        place = next((i for i, statement in enumerate(body) if _holds(statement, self.docstring)), -1)
        return body[place + 1 :]

    def first_code_line(self) -> int:
        """The 1-based line after the docstring, or after the signature if there is no docstring."""
        if self.docstring is not None and self.docstring.end_lineno is not None:
            return self.docstring.end_lineno + 1
        return self.function.body[0].lineno

    @property
    def cut_line(self) -> int:
        """The 1-based line on which the prompt's continuation begins."""
        return self.text.count("\n", 0, self.cut) + 1

    def mentions(self) -> set[str]:
        """Every name and attribute in the program and the test, from which a new name must differ."""
        names: set[str] = set()
        for text in (self.text, self.problem.test):
            for node in walk(ast.parse(text)):
                for field in ("id", "arg", "name", "attr", "asname", "module"):
                    value = getattr(node, field, None)
                    names.update(value.split(".") if isinstance(value, str) else ())
        return names


def _holds(statement: ast.stmt, literal: ast.Constant | None) -> bool:
    return isinstance(statement, ast.Expr) and statement.value is literal


def opened(problem: Problem) -> Source | None:
    """The program of ``problem``; ``None`` where it is not valid Python, or does not define the entry point."""
    text = problem.prompt + problem.canonical_solution
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    for node in reversed(tree.body):
        if isinstance(node, Function) and node.name == problem.entry_point:
            return Source(problem, text, len(problem.prompt), tree, node)
    return None


def edited(source: Source, edits: Iterable[Edit]) -> Problem | None:
    """Apply edits to the program of a problem.

    Text inserted exactly at the prompt's end becomes part of the prompt.

    Returns:
        The changed problem; ``None`` where an edit spans the prompt's end, two overlap, or the result is not Python.
    """
    prompt: list[str] = []
    rest: list[str] = []
    place = 0
    for edit in sorted(edits):
        if edit.start < place or edit.start < source.cut < edit.end:
            return None
        inside = edit.end <= source.cut
        _append(source, prompt, rest, place, edit.start)
        (prompt if inside else rest).append(edit.text)
        place = edit.end
    _append(source, prompt, rest, place, len(source.text))
    changed = replace(source.problem, prompt="".join(prompt), canonical_solution="".join(rest))
    return None if opened(changed) is None else changed


def _append(source: Source, prompt: list[str], rest: list[str], start: int, end: int) -> None:
    middle = min(max(source.cut, start), end)
    prompt.append(source.text[start:middle])
    rest.append(source.text[middle:end])


def partial(problem: Problem) -> Problem:
    """``problem`` with the first half of its canonical solution's lines, rounded down, moved to the prompt.

    ReCode cuts in the same way: by lines, including blank ones, even within a statement. (Its released
    ``humaneval_partial`` file equals this for all 164 problems.)
    """
    lines = problem.canonical_solution.splitlines(keepends=True)
    half = len(lines) // 2
    return replace(problem, prompt=problem.prompt + "".join(lines[:half]), canonical_solution="".join(lines[half:]))
