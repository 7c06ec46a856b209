"""Read files of programming problems of any known shape: HumanEval, HumanEval+, MBPP, MBPP+, sanitized MBPP.

The shape is recognized by the fields of the rows. JSON Lines, a JSON list, or Parquet; plain or gzipped.
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
    """Properties of all problems of a benchmark that its files do not contain.

    Attributes:
        name: its name for ``--task``.
        stops: strings that end a plain completion.
        instruction: makes the chat prompt.
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
    """A shape that the rows of a file may have.

    Attributes:
        name: in words.
        benchmark: the benchmark whose rules apply.
        fields: fields that identify the shape; all must be present.
        make: makes the problem of a row.
    """

    name: str
    benchmark: str
    fields: tuple[str, ...]
    make: Callable[[Row], Problem]


_PLUS = ("task_id", "prompt", "entry_point", "canonical_solution", "base_input", "plus_input")


def _of_plus(row: Row) -> Problem:
    """HumanEval+ and MBPP+ differ only in the field ``assertion``, and in the names of their problems."""
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
"""A row has the first shape whose fields are all present."""

_JUDGES = frozenset(("test", "test_list", "base_input", "plus_input"))
"""Fields that a solution is judged by: the shapes of one benchmark differ in these."""

_OPTIONAL = ("test_setup_code", "challenge_test_list", "test_imports", *plus.FIELDS)
_FIELDS = tuple(dict.fromkeys((*(field for shape in SHAPES for field in shape.fields), *_OPTIONAL)))

_EMPTY = "Give a file of HumanEval or MBPP."


def benchmark_named(name: str) -> Benchmark:
    """The benchmark called ``name``.

    Raises:
        UserError: there is no such benchmark.
    """
    if name not in BENCHMARKS:
        raise UserError(f"{shown(name)} is not a benchmark.", where="--task", remedy=f"Use {' or '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def read_problems(path: Path, benchmark: str | None = None, *, challenges: bool = False) -> list[Problem]:
    """The problems in a file, in order.

    Args:
        path: the file.
        benchmark: the benchmark that all must belong to; ``None``: any, but the same one.
        challenges: whether MBPP is also judged by ``challenge_test_list``.

    Raises:
        DataError: the file cannot be read or is empty, a row is of no known shape or of another benchmark, a field is
            of the wrong type, or a name appears twice; the message names file, line and field.
    """
    found: dict[str, Problem] = {}
    for row in _rows(path):
        shape = _shape_of(row, benchmark)
        make = mbpp.with_challenges if challenges and shape.make is mbpp.of_row else shape.make
        made = make(row)
        if made.task_id in found:
            raise row.place.error(f"the task_id {shown(made.task_id)} appears twice.", "Remove one of the two.")
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
