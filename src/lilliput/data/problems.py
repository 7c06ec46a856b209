"""Files of programming problems, whatever their shape: HumanEval, HumanEval+, MBPP, MBPP+, sanitized MBPP.

Each is recognised by the fields of its rows. JSON Lines, a JSON list, or Parquet; plain or gzipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lilliput.data import humaneval, mbpp, plus
from lilliput.data.formats import Row, read_rows
from lilliput.data.json_lists import is_list, read_list
from lilliput.data.lines import Place, listed, shown
from lilliput.data.problem import Problem
from lilliput.errors import UserError

__all__ = ["BENCHMARKS", "SHAPES", "Benchmark", "Problem", "benchmark_named", "read_problems"]


@dataclass(frozen=True)
class Benchmark:
    """What holds for all problems of a benchmark, and is no part of its files.

    Attributes:
        name: as ``--task`` has it.
        stops: strings that end a plain completion.
        instruction: what a chat is asked.
        prompt: how a plain prompt is made, in words.
        program: what is run, in words.
    """

    name: str
    stops: tuple[str, ...]
    instruction: Callable[[Problem], str]
    prompt: str
    program: str


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "humaneval": Benchmark(
            "humaneval",
            humaneval.STOPS,
            humaneval.instruction,
            "the file's prompt: imports, signature, docstring",
            "prompt + completion, then test, then check(entry_point)",
        ),
        "mbpp": Benchmark(
            "mbpp",
            mbpp.STOPS,
            mbpp.instruction,
            "a docstring of the task's sentence and the first assert (of MBPP+, the file's own docstring)",
            "test_imports, then the completion, then test_setup_code, then test_list",
        ),
    }
)


@dataclass(frozen=True)
class Shape:
    """What a row of a file may look like.

    Attributes:
        name: in words.
        benchmark: whose rules hold.
        fields: that tell it; all of them must be there.
        make: the problem of a row.
    """

    name: str
    benchmark: str
    fields: tuple[str, ...]
    make: Callable[[Row], Problem]


_PLUS = ("task_id", "prompt", "entry_point", "canonical_solution", "base_input", "plus_input")


def _of_plus(row: Row) -> Problem:
    """HumanEval+ and MBPP+ have the same fields but for ``assertion``; their names differ, too."""
    name = str(row.values["task_id"]).lower()
    is_mbpp = "assertion" in row.values or name.startswith("mbpp") or name.isdecimal()
    return mbpp.of_plus_row(row) if is_mbpp else humaneval.of_plus_row(row)


SHAPES = (
    Shape("EvalPlus", "", _PLUS, _of_plus),
    Shape("HumanEval", "humaneval", humaneval.FIELDS, humaneval.of_row),
    Shape("MBPP+", "mbpp", ("task_id", "prompt", "code", "test_list", "test"), mbpp.of_hub_plus_row),
    Shape("MBPP", "mbpp", ("task_id", "text", "code", "test_list"), mbpp.of_row),
    Shape("sanitized MBPP", "mbpp", ("task_id", "prompt", "code", "test_list"), mbpp.of_row),
)
"""The first whose fields are all there is what a row is taken for."""

_JUDGES = frozenset(("test", "test_list", "base_input", "plus_input"))
"""Fields that a solution is judged by: forms of one benchmark differ in these."""

_OPTIONAL = ("test_setup_code", "challenge_test_list", "test_imports", *plus.FIELDS)
_FIELDS = tuple(dict.fromkeys((*(field for shape in SHAPES for field in shape.fields), *_OPTIONAL)))

_EMPTY = "Give a file of HumanEval or MBPP."


def benchmark_named(name: str) -> Benchmark:
    """The benchmark called ``name``.

    Raises:
        UserError: there is none.
    """
    if name not in BENCHMARKS:
        raise UserError(f"{shown(name)} is no benchmark.", where="--task", remedy=f"Use {' or '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def read_problems(path: Path, benchmark: str | None = None, *, challenges: bool = False) -> list[Problem]:
    """The problems in a file, in their order.

    Args:
        path: the file.
        benchmark: the one they must be of; ``None``: any, but all of one.
        challenges: MBPP is judged by ``challenge_test_list``, too.

    Raises:
        DataError: the file cannot be read or is empty, a row is of no known shape or of another benchmark, a field is
            of the wrong kind, or a name comes twice; the message names file, line and field.
    """
    found: dict[str, Problem] = {}
    for row in _rows(path):
        shape = _shape_of(row, benchmark)
        make = mbpp.with_challenges if challenges and shape.make is mbpp.of_row else shape.make
        made = make(row)
        if made.task_id in found:
            raise row.place.error(f"the task_id {shown(made.task_id)} is there already.", "Remove one of the two.")
        if benchmark is not None and made.benchmark != benchmark:
            raise row.place.error(f"is a problem of {made.benchmark}, not {benchmark}.", "Name its task, or its file.")
        benchmark = made.benchmark
        found[made.task_id] = made
    if not found:
        raise Place(path).error("has no problems.", _EMPTY)
    return list(found.values())


def _shape_of(row: Row, benchmark: str | None) -> Shape:
    there = {name for name, value in row.values.items() if value is not None or name not in _OPTIONAL}
    for shape in SHAPES:
        if there.issuperset(shape.fields):
            return shape
    wanted = [shape for shape in SHAPES if benchmark is None or shape.benchmark in ("", benchmark)]
    nearest = min(wanted, key=lambda shape: (len(set(shape.fields) - there), -len(set(shape.fields) & there)))
    missing = _missing(nearest, there)
    forms = [shape for shape in wanted if shape is not nearest and set(_missing(shape, there)) <= _JUDGES]
    others = "".join(f" (or {listed(_missing(shape, there))}, as {shape.name} has)" for shape in forms)
    said = others if set(missing) <= _JUDGES else ""
    raise row.place.error(
        f"lacks {listed(missing)}, which a problem of {nearest.name} has{said}; it has {listed(row.columns)}.",
        "Give a file of HumanEval or MBPP, as it is published.",
    )


def _missing(shape: Shape, there: Set[str]) -> list[str]:
    return [field for field in shape.fields if field not in there]


def _rows(path: Path) -> Iterator[Row]:
    """Rows of a JSON list, or of a table."""
    as_list = is_list(path)
    if as_list is None:
        raise Place(path).error("is empty.", _EMPTY)
    return read_list(path, "problems") if as_list else read_rows(path, _FIELDS)
