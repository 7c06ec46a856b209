"""Reading HumanEval's file and running its solutions."""

import gzip
import json

import pytest

from lilliput.data.humaneval import STOPS, Problem, program
from lilliput.data.problems import read_problems
from lilliput.errors import DataError
from lilliput.evaluate.sandbox import run, run_many
from tests.conftest import shared_folder

REAL = shared_folder() / "data" / "humaneval" / "HumanEval.jsonl.gz"

DOUBLE = {
    "task_id": "Test/0",
    "prompt": 'def double(n):\n    """ Twice n. """\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * n\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(0) == 0, 'zero'\n",
}


def lines(*changes):
    return "".join(json.dumps({**DOUBLE, **change}) + "\n" for change in changes)


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())], ids=["plain", "gzip"])
def test_problems_are_read_in_order(tmp_path, pack):
    path = tmp_path / "problems"
    path.write_bytes(pack(lines({}, {"task_id": "Test/1", "more": 1})))
    assert read_problems(path, "humaneval") == [Problem(**DOUBLE), Problem(**{**DOUBLE, "task_id": "Test/1"})]


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"test": 3}, r"'test' is not a string but 3"),
        ({"prompt": " \n"}, r"'prompt' is empty"),
        ({"entry_point": "a b"}, r"'entry_point' is 'a b', which is not a function name"),
        ({"task_id": "Test/0"}, r"the task_id 'Test/0' appears twice"),
    ],
)
def test_wrong_line_is_named(tmp_path, change, problem):
    path = tmp_path / "problems.jsonl"
    path.write_text(lines({}, {"task_id": "Test/1", **change}))
    with pytest.raises(DataError, match=rf"problems\.jsonl, line 2: {problem}"):
        read_problems(path, "humaneval")


def test_missing_field_is_named(tmp_path):
    path = tmp_path / "problems.jsonl"
    path.write_text(json.dumps({name: text for name, text in DOUBLE.items() if name != "test"}) + "\n")
    with pytest.raises(DataError, match=r"line 1: lacks 'test'"):
        read_problems(path, "humaneval")


@pytest.mark.parametrize(
    "completion, outcome, detail",
    [
        ("    return n + n", "passed", ""),
        ("    return n + n\n", "passed", ""),
        ("    return n + 2", "failed", "AssertionError: zero"),
        ("    return n +", "failed", "SyntaxError: invalid syntax"),
        ("    exit_now = __import__('sys').exit\n    exit_now(0)", "exited", "SystemExit: 0"),
    ],
)
def test_completion_is_judged_by_the_tests(completion, outcome, detail):
    verdict = run(program(Problem(**DOUBLE), completion))
    assert (verdict.outcome, verdict.detail) == (outcome, detail)


def test_stop_strings_end_a_function_and_not_its_solution():
    assert all(stop == "```" or stop.startswith("\n") for stop in STOPS)
    assert not any(stop in Problem(**DOUBLE).canonical_solution for stop in STOPS)


@pytest.mark.skipif(not REAL.exists(), reason="HumanEval is not on this machine (LILLIPUT_SHARED)")
def test_every_solution_of_the_real_problems_passes():
    problems = read_problems(REAL, "humaneval")
    assert [problem.task_id for problem in problems] == [f"HumanEval/{number}" for number in range(164)]
    verdicts = run_many([program(problem, problem.canonical_solution) for problem in problems], seconds=60)
    names = [problem.task_id for problem, verdict in zip(problems, verdicts, strict=True) if not verdict.passed]
    assert names == []
