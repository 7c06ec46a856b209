"""Problem files: every published format, recognized by its fields; errors name file and line."""

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.data.completions import parts_of
from lilliput.data.problems import BENCHMARKS, Problem, read_problems
from lilliput.errors import DataError, UserError

HUMANEVAL = {
    "task_id": "Test/0",
    "prompt": 'def double(n):\n    """ Twice n. """\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * n\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}
MBPP = {
    "task_id": 7,
    "text": "Write a function to double a number.",
    "code": "def double(n):\r\n    return 2 * n",
    "test_setup_code": "",
    "test_list": ["assert double(2) == 4", "assert double(0) == 0"],
    "challenge_test_list": ["assert double(-1) == -2"],
}
SANITIZED = {
    "source_file": "x.ipynb",
    "task_id": 7,
    "prompt": "Write a function to double a number.",
    "code": "def double(n):\n    return 2 * n",
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(double(2), 4)"],
}
HUB_PLUS = {**SANITIZED, "test": "for n in (1, 2):\n    assert double(n) == 2 * n\n"}
HUMANEVAL_PLUS = {
    **{name: value for name, value in HUMANEVAL.items() if name != "test"},
    "contract": "\n    assert n >= 0\n",
    "base_input": [[2]],
    "plus_input": [[0], [10**20]],
    "atol": 0,
}
MBPP_PLUS = {
    "task_id": "Mbpp/7",
    "prompt": '"""\nWrite a function to double a number.\nassert double(2) == 4\n"""\n',
    "entry_point": "double",
    "canonical_solution": "\ndef double(n):\n    return 2 * n\n",
    "contract": "",
    "base_input": [[2]],
    "plus_input": [[0]],
    "atol": 0,
    "assertion": "\nassert double(2) == 4\n",
}
SHAPES = {
    "humaneval": (HUMANEVAL, "humaneval"),
    "mbpp": (MBPP, "mbpp"),
    "sanitized": (SANITIZED, "mbpp"),
    "hub plus": (HUB_PLUS, "mbpp"),
    "humaneval plus": (HUMANEVAL_PLUS, "humaneval"),
    "mbpp plus": (MBPP_PLUS, "mbpp"),
}


def run(*parts):
    """Execute the parts as one module."""
    names = {"__name__": "tried"}
    for part in parts:
        exec(compile(part, "<part>", "exec", dont_inherit=True), names)


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", SHAPES)
def test_format_is_recognized_by_its_fields(name, tmp_path):
    row, benchmark = SHAPES[name]
    (problem,) = read_problems(write(tmp_path / "p.jsonl", row))
    assert (problem.task_id, problem.benchmark, problem.entry_point) == (str(row["task_id"]), benchmark, "double")
    assert read_problems(tmp_path / "p.jsonl", benchmark) == [problem]
    # The reference passes the tests and a wrong program does not; no sandbox is needed, as both programs are known.
    run(*parts_of(problem, problem.canonical_solution, "completion"), problem.tests)
    with pytest.raises(AssertionError):
        run(problem.imports, "def double(n):\n    return n + 3\n", problem.tests)


def test_inputs_take_precedence_over_tests(tmp_path):
    both = {**HUMANEVAL_PLUS, "test": "def check(candidate):\n    assert False\n"}
    (problem,) = read_problems(write(tmp_path / "p.jsonl", both))
    run(problem.prompt + problem.canonical_solution, problem.tests)


def test_inputs_may_be_nan_and_infinity(tmp_path):
    odd = {**HUMANEVAL_PLUS, "base_input": [[float("nan")], [float("inf")]], "plus_input": []}
    (problem,) = read_problems(write(tmp_path / "p.jsonl", odd))
    run(problem.prompt + problem.canonical_solution, problem.tests)


@pytest.mark.parametrize(
    ("row", "left_out", "message"),
    [
        (
            HUMANEVAL_PLUS,
            ("plus_input",),
            "lacks 'plus_input', which a problem of EvalPlus has (or 'test', as HumanEval",
        ),
        (
            HUMANEVAL,
            ("test",),
            "lacks 'test', which a problem of HumanEval has (or 'base_input', 'plus_input', as EvalP",
        ),
        (
            MBPP_PLUS,
            ("base_input", "plus_input"),
            "lacks 'test', which a problem of HumanEval has (or 'base_input', 'p",
        ),
        (
            HUB_PLUS,
            ("test_list",),
            "lacks 'test_list', which a problem of MBPP+ has (or 'test_list', as sanitized MBPP",
        ),
    ],
)
def test_missing_tests_are_named_in_every_format(row, left_out, message, tmp_path):
    lacking = {name: value for name, value in row.items() if name not in left_out}
    with pytest.raises(DataError) as caught:
        read_problems(write(tmp_path / "p.jsonl", lacking))
    assert message in caught.value.problem


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())], ids=["plain", "gzip"])
@pytest.mark.parametrize("indent", [None, 2])
def test_json_list_is_read_like_json_lines(pack, indent, tmp_path):
    rows = [SANITIZED, {**SANITIZED, "task_id": 8}]
    (tmp_path / "list").write_bytes(pack(json.dumps(rows, indent=indent)))
    assert read_problems(tmp_path / "list") == read_problems(write(tmp_path / "lines", *rows))


def test_parquet_from_the_hub_is_read(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").Table.from_pylist([MBPP])
    parquet.write_table(table, tmp_path / "p.parquet")
    assert read_problems(tmp_path / "p.parquet") == read_problems(write(tmp_path / "p.jsonl", MBPP))


WRONG = {
    "a missing field": ({**HUMANEVAL, "test": None}, "'test' is not a string but null"),
    "missing fields": ({"task_id": 1, "prompt": "x"}, "which a problem of HumanEval has; it has 'task_id', 'prompt'"),
    "a wrong type": ({**HUMANEVAL, "prompt": 3}, "'prompt' is not a string but 3"),
    "an empty field": ({**HUMANEVAL, "prompt": " "}, "'prompt' is empty"),
    "no function's name": ({**HUMANEVAL, "entry_point": "a b"}, "'entry_point' is 'a b'"),
    "a name that is none": ({**HUMANEVAL, "task_id": 1.5}, "'task_id' is neither a string nor a whole number but 1.5"),
    "a name that comes twice": ({**HUMANEVAL}, "the task_id 'Test/0' appears twice"),
    "tests that are no list": ({**MBPP, "test_list": "assert 1"}, "'test_list' is not a list but 'assert 1'"),
    "a test that is no text": ({**MBPP, "test_list": [1]}, "item 1 of 'test_list' is not a string but 1"),
    "no tests": ({**MBPP, "test_list": []}, "'test_list' is empty"),
    "a test that is no Python": ({**MBPP, "test_list": ["assert ("]}, "item 1 of 'test_list' is not Python"),
    "code that is no Python": ({**MBPP, "code": "def ("}, "'code' is not Python"),
    "a test of something else": ({**MBPP, "test_list": ["assert f(1)"]}, "calls nothing that 'code' defines"),
    "inputs that are no lists": ({**HUMANEVAL_PLUS, "plus_input": [1]}, "item 1 of 'plus_input' is not a list but 1"),
    "no inputs": ({**HUMANEVAL_PLUS, "plus_input": [], "base_input": []}, "are empty"),
    "a tolerance that is none": ({**HUMANEVAL_PLUS, "atol": "x"}, "'atol' is not a number but 'x'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_invalid_problems_are_named_by_file_and_line(name, tmp_path):
    row, message = WRONG[name]
    with pytest.raises(DataError) as caught:
        read_problems(write(tmp_path / "p.jsonl", HUMANEVAL, row))
    assert (caught.value.where, caught.value.line) == (str(tmp_path / "p.jsonl"), 2)
    assert message in caught.value.problem


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", None, "is empty"),
        ("\n \n", None, "is empty"),
        ("[]", None, "has no problems"),
        ("{x", 1, "is not JSON"),
        (json.dumps(HUMANEVAL) + "\n{1}\n", 2, "is not JSON"),
        ("[\n" + json.dumps(HUMANEVAL) + ",\n{]", 3, "is not JSON"),
        ("[\n" + json.dumps(HUMANEVAL) + "\n" + json.dumps(HUMANEVAL) + "]", 3, "a comma or the end of the list"),
        ("[\n" + json.dumps(HUMANEVAL) + ",\n\n5]", 4, "is not a JSON object but 5"),
        ("[\n" + json.dumps(HUMANEVAL), 2, "a comma or the end of the list is missing"),
        ("[" + json.dumps(HUMANEVAL) + "]\nmore", 1, "has something after the end"),
        ("[" * 100_000, 1, "cannot be read"),
        ("text", 1, "is not JSON"),
        (json.dumps({"task_id": 1, "text": "x"}), 1, "lacks 'code', 'test_list', which a problem of MBPP has"),
    ],
)
def test_rejects_invalid_files(content, line, message, tmp_path):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(DataError) as caught:
        read_problems(tmp_path / "p.json")
    assert caught.value.line == line
    assert message in caught.value.problem


def test_rejects_other_and_mixed_benchmarks(tmp_path):
    with pytest.raises(DataError, match="is a problem of humaneval, not mbpp"):
        read_problems(write(tmp_path / "p.jsonl", HUMANEVAL), "mbpp")
    with pytest.raises(DataError, match="line 2: is a problem of mbpp, not humaneval"):
        read_problems(write(tmp_path / "p.jsonl", HUMANEVAL, MBPP))
    with pytest.raises(UserError, match="there is no such file"):
        read_problems(tmp_path / "none")


TEXT = st.text(min_size=1).filter(str.strip)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"task_id": TEXT, "prompt": TEXT, "entry_point": st.just("f"), "canonical_solution": TEXT, "test": TEXT}
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda row: row["task_id"],
)


@given(rows=ROWS, as_list=st.booleans(), indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_any_text_survives(tmp_path_factory, rows, as_list, indent, ascii_only):
    path = tmp_path_factory.mktemp("any") / "p.json"
    how = {"ensure_ascii": ascii_only}
    lines = "\n".join(json.dumps(row, **how) for row in rows)
    content = json.dumps(rows, indent=indent, **how) if as_list else lines
    path.write_text(content, encoding="utf-8", newline="")
    if "\0" in content:
        with pytest.raises(DataError, match="NUL"):
            read_problems(path)
        return
    assert read_problems(path) == [Problem(**row) for row in rows]


@given(rows=ROWS, data=st.data())
def test_truncated_file_is_rejected(tmp_path_factory, rows, data):
    path = tmp_path_factory.mktemp("cut") / "p.json"
    whole = json.dumps(rows, indent=1)
    end = data.draw(st.integers(0, len(whole) - 1))
    path.write_text(whole[:end])
    with pytest.raises(DataError) as caught:
        read_problems(path)
    assert caught.value.where == str(path)


def test_benchmarks_have_what_runs_need():
    problem = Problem(**HUMANEVAL)
    for benchmark in BENCHMARKS.values():
        assert benchmark.stops
        assert "double" in benchmark.instruction(replace(problem, task="Double it."))
