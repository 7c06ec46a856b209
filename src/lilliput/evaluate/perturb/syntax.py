"""Perturbations of the code's syntax, in a prompt with the first half of the solution.

They also change the solution's other half where the program's semantics require it (a renamed variable, a loop's end),
so that the whole still passes. ReCode's counterparts come from NatGen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from lilliput.data.corpus import conditions, expressions, statements
from lilliput.data.corpus.rewrites import Rewrite
from lilliput.data.corpus.trees import bound, confined, contains, own_blocks, standard, walk
from lilliput.evaluate.perturb.perturbation import Apply, Perturbation, Problem
from lilliput.evaluate.perturb.rewritten import rewritten
from lilliput.evaluate.perturb.source import Edit, Source, edited, opened
from lilliput.evaluate.perturb.variables import harvested, naive, random_name, rename_most_used

INDENT = "    "

_DEAD = ("if False:", "while False:", "for {} in range(0):")
"""Headers of blocks that never run."""

_COPIED = (ast.Assign, ast.AugAssign, ast.Expr)


class _Gap(NamedTuple):
    """A place between two statements: the offset of a line's start, and the indentation of statements there."""

    offset: int
    margin: str


def dead_code(problem: Problem, rng: Random) -> Problem | None:
    """Insert a copy of an earlier statement, in a block that never runs, at a random place in the prompt's code."""
    source = opened(problem)
    gaps = [] if source is None else [*_gaps(source), *_last_gap(source)]
    return None if source is None or not gaps else _with_dead_code(source, rng.choice(gaps), rng)


def dead_code_last(problem: Problem, rng: Random) -> Problem | None:
    """Like :func:`dead_code`, at the prompt's end."""
    source = opened(problem)
    gaps = [] if source is None else _last_gap(source)
    return None if source is None or not gaps else _with_dead_code(source, gaps[0], rng)


def _gaps(source: Source) -> list[_Gap]:
    """The gaps before each statement of the function's own blocks, from the docstring's end to the prompt's end."""
    found = []
    first = source.line_start(source.first_code_line())
    for block, _ in own_blocks(source.function):
        for statement in block:
            margin, start = source.margin(statement), source.line_start(statement.lineno)
            if margin is not None and first <= start < source.cut and not _is_elif(source, statement):
                found.append(_Gap(start, margin))
    return found


def _last_gap(source: Source) -> list[_Gap]:
    """The gap at the prompt's end, in the block of the statement before it; none where a statement spans it."""
    line = source.cut_line
    before = [number for number in source.depths if source.first_code_line() <= number < line]
    after = [number for number in source.depths if number >= line]
    if not after or source.cut != source.line_start(line) or any(n.strip() for n in _between(source, line, after[0])):
        return []
    opener = not before or source.depths[max(before)] < source.depths[after[0]]
    number = after[0] if opener else max(before)
    text = source.line(number)
    return [_Gap(source.cut, text[: len(text) - len(text.lstrip())])]


def _between(source: Source, first: int, end: int) -> Iterator[str]:
    """The lines from ``first`` to before ``end``, without comments: blank unless a statement continues there."""
    return (source.line(number).split("#")[0] for number in range(first, end))


def _is_elif(source: Source, statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and source.text.startswith("elif", source.span(statement)[0])


def _with_dead_code(source: Source, gap: _Gap, rng: Random) -> Problem | None:
    names = (name for number in range(100) if (name := f"_i_{number}") not in source.mentions())
    opening = rng.choice(_DEAD).format(next(names))
    copies = [source.written(statement) for statement in _copied(source, gap.offset)]
    # Never a statement of the other half, which would leak what the model is to write.
    copy = rng.choice(copies) if copies else "return None"
    text = f"{gap.margin}{opening}\n{gap.margin}{INDENT}{copy}\n"
    return edited(source, [Edit(gap.offset, gap.offset, text)])


def _copied(source: Source, end: int) -> list[ast.stmt]:
    """The one-line statements before ``end`` that are valid anywhere in the function."""
    found: list[ast.stmt] = []
    for block, _ in own_blocks(source.function):
        for statement in block:
            whole = statement.lineno == statement.end_lineno and source.span(statement)[1] <= end
            after_docstring = statement.lineno >= source.first_code_line()
            if isinstance(statement, _COPIED) and whole and after_docstring:
                found.append(statement)
    return found


def for_while(problem: Problem, rng: Random) -> Problem | None:
    """Turn the prompt's first ``for`` into a ``while``: with a counter for ``range``, else with an iterator."""
    del rng  # nothing to choose
    source = opened(problem)
    if source is None or not standard(source.function, "range", "iter", "next", "StopIteration"):
        return None
    loops = [node for node in walk(source.function) if isinstance(node, ast.For) and not node.orelse]
    for loop in sorted(loops, key=lambda node: node.lineno):
        edits = _as_while(source, loop)
        if edits and (changed := edited(source, edits)) is not None:
            return changed
    return None


def _as_while(source: Source, loop: ast.For) -> list[Edit]:
    """The edits that turn ``loop`` into a ``while``; none unless its header is on lines of its own before the cut."""
    margin, first, last = source.margin(loop), source.line_start(loop.body[0].lineno), loop.end_lineno
    if margin is None or last is None or loop.body[0].lineno == loop.iter.end_lineno or first > source.cut:
        return []
    start = source.span(loop)[0]
    end = source.text.index(":", source.span(loop.iter)[1]) + 1
    inner = source.margin(loop.body[0]) or margin + INDENT
    over_range = _over_range(source, loop)
    if over_range is not None:
        before, test, step = over_range
        header = "".join(f"{line}\n{margin}" for line in before) + f"while {test}:"
        after = source.line_end(last)
        return [Edit(start, end, header), Edit(after, after, f"\n{inner}{step}")]
    iterator = _fresh(source, "iterator")
    target = source.text[source.span(loop.target)[0] : source.span(loop.target)[1]]
    lines = ["try:", f"{INDENT}{target} = next({iterator})", "except StopIteration:", f"{INDENT}break"]
    header = f"{iterator} = iter({source.written(loop.iter)})\n{margin}while True:"
    return [Edit(start, end, header + "".join(f"\n{inner}{line}" for line in lines))]


def _over_range(source: Source, loop: ast.For) -> tuple[list[str], str, str] | None:
    """For a loop over a plain ``range``: the statements before the ``while``, its test and its last statement."""
    match loop:
        case ast.For(
            target=ast.Name(id=name),
            iter=ast.Call(func=ast.Name(id="range"), args=[*arguments], keywords=[]),
        ) if 1 <= len(arguments) <= 3 and not any(isinstance(part, ast.Starred) for part in arguments):
            pass
        case _:
            return None
    used_once = confined(source.function, name, loop) and bound(loop).count(name) == 1
    by = _step(arguments[2]) if len(arguments) == 3 else 1
    if by is None or not used_once or any(contains(statement, ast.Continue) for statement in loop.body):
        return None
    first = source.written(arguments[0]) if len(arguments) > 1 else "0"
    end = arguments[min(1, len(arguments) - 1)]
    before = [f"{name} = {first}"]
    limit = source.written(end)
    if not isinstance(end, ast.Constant):  # the end of a range is evaluated once, before the first step
        variable = _fresh(source, "stop")
        before.insert(0, f"{variable} = {limit}")
        limit = variable
    sign = "+" if by > 0 else "-"
    return before, f"{name} {'<' if by > 0 else '>'} {limit}", f"{name} {sign}= {abs(by)}"


def _step(node: ast.expr) -> int | None:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return None
    return value if isinstance(value, int) and value != 0 else None


def _fresh(source: Source, word: str) -> str:
    taken = source.mentions()
    return next(name for number in range(len(taken) + 1) if (name := f"{word}{number or ''}") not in taken)


def _of_corpus(*rewrites: Rewrite) -> Apply:
    return lambda problem, rng: rewritten(problem, rewrites, rng)


_OPERAND_SWAP = (Rewrite(conditions.flip_comparison, 1.0), Rewrite(expressions.commute_integers, 1.0))


def _perturbation(
    name: str, apply: Apply, summary: str, released: str = "", deterministic: bool = True
) -> Perturbation:
    return Perturbation(name, "syntax", deterministic, "partial", apply, summary, released)


PERTURBATIONS = (
    _perturbation("dead_code", dead_code, "a statement copied into a block that never runs", "DeadCodeInserter", False),
    _perturbation("dead_code_last", dead_code_last, "the same at the prompt's end", "DeadCodeInserterLast"),
    _perturbation("for_while", for_while, "the first `for` loop as a `while` loop", "ForWhileTransformer"),
    _perturbation(
        "operand_swap",
        _of_corpus(*_OPERAND_SWAP),
        "operands of comparisons, and of sums and products of integers, exchanged",
        "OperandSwap",
    ),
    _perturbation(
        "rename_harvested",
        rename_most_used(harvested),
        "the most used variable renamed to a word of the docstring",
        "VarRenamerCB",
    ),
    _perturbation("rename_naive", rename_most_used(naive), "the same renamed to VAR_0", "VarRenamerNaive"),
    _perturbation(
        "rename_random", rename_most_used(random_name), "the same renamed to random letters", "VarRenamerRN", False
    ),
    _perturbation(
        "swap_assignments",
        _of_corpus(Rewrite(statements.swap_assignments, 1.0)),
        "assignments in a row that do not read each other's variables exchanged",
    ),
    _perturbation(
        "constructor_calls",
        _of_corpus(Rewrite(expressions.call_for_display, 1.0)),
        "`list()` for `[]`, `dict()` for `{}`, `tuple()` for `()`",
    ),
)
