"""A problem's program as text with a syntax tree: where things are, and edits that know where the prompt ends.

Every perturbation edits the text in place instead of printing a changed tree, so that comments, layout and quotes
stay, and what is left of the solution after the prompt's end is changed along with it.
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
    """``text`` in the place of the characters from ``start`` to ``end`` of a program."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Source:
    """A problem's prompt and canonical solution in a row.

    Attributes:
        problem: what was opened.
        text: the program.
        cut: where in it the prompt ends.
        tree: its syntax tree.
        function: the entry point's definition in it.
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
        """The character at a 1-based line and a column in UTF-8 bytes, as syntax trees count."""
        start = self._line_starts[line - 1]
        head = self.text[start : start + column].encode()[:column]
        return start + len(head.decode())

    def line_start(self, line: int) -> int:
        """The first character of a 1-based line."""
        return self._line_starts[line - 1]

    def line_end(self, line: int) -> int:
        """The end of a 1-based line, before its line break."""
        return min(self._line_starts[line] - 1, len(self.text))

    def line(self, number: int) -> str:
        """A 1-based line without its line break."""
        return self.text[self.line_start(number) : self.line_end(number)]

    def span(self, node: ast.expr | ast.stmt | ast.arg) -> tuple[int, int]:
        """Where ``node`` begins and ends."""
        assert node.end_lineno is not None and node.end_col_offset is not None  # the parser sets them
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def written(self, node: ast.expr | ast.stmt | ast.arg) -> str:
        """The text of ``node``."""
        start, end = self.span(node)
        return self.text[start:end]

    def margin(self, node: ast.stmt) -> str | None:
        """The white space before a statement, or ``None`` where something else stands before it on its line."""
        before = self.text[self.line_start(node.lineno) : self.span(node)[0]]
        return before if not before.strip() else None

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        """Python's own tokens; empty where the text has none."""
        try:
            return list(tokenize.generate_tokens(io.StringIO(self.text).readline))
        except (tokenize.TokenError, SyntaxError):
            return []

    @cached_property
    def depths(self) -> dict[int, int]:
        """The lines on which a statement begins, each with how deep it is indented (in blocks, not in spaces)."""
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
        """The literal that says what the function does: the first string that is a statement of its own.

        Not always the function's first statement, as Python would have it: one of HumanEval's imports before.
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
        """The 1-based line after the docstring, or after the signature where there is none."""
        if self.docstring is not None and self.docstring.end_lineno is not None:
            return self.docstring.end_lineno + 1
        return self.function.body[0].lineno

    @property
    def cut_line(self) -> int:
        """The 1-based line on which the prompt's continuation begins."""
        return self.text.count("\n", 0, self.cut) + 1

    def mentions(self) -> set[str]:
        """Every name and attribute in the program and in the test: what a new name must differ from."""
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
    """The program of ``problem``; ``None`` where it is no Python, or defines no function called as its entry point."""
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
    """The problem with its program edited.

    What is inserted exactly where the prompt ends becomes a part of the prompt.

    Returns:
        ``None`` where an edit goes over the prompt's end, two overlap, or the result is not Python.
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

    That is how ReCode cuts: by lines, blank ones counted, wherever in a statement that falls. (Its released
    ``humaneval_partial`` file equals this for all 164 problems.)
    """
    lines = problem.canonical_solution.splitlines(keepends=True)
    half = len(lines) // 2
    return replace(problem, prompt=problem.prompt + "".join(lines[:half]), canonical_solution="".join(lines[half:]))
