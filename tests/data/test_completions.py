"""Reading completions from elsewhere: their fields, their tasks' names, and whether they are whole programs."""

import gzip
import json

import pytest

from lilliput.data.completions import Given, form_of, is_program, parts_of, read_completions
from lilliput.data.problems import Problem
from lilliput.errors import DataError
from tests.data.test_problems import HUMANEVAL, MBPP, SANITIZED, read_problems, write

PROBLEM = Problem(**HUMANEVAL)
WHOLE = "def double(n):\n    return 2 * n\n"


def test_problem_may_have_several_lines(tmp_path):
    rows = [{"task_id": "Test/0", "completion": "a"}, {"task_id": "Test/0", "completion": "", "more": 1}]
    text = "".join(json.dumps(row) + "\n\n" for row in rows)
    (tmp_path / "c").write_bytes(gzip.compress(text.encode()))
    assert read_completions(tmp_path / "c", [PROBLEM]) == [Given("Test/0", "a", 1), Given("Test/0", "", 3)]


def test_evalplus_solutions_are_programs(tmp_path):
    path = write(tmp_path / "c", {"task_id": "Test/0", "solution": WHOLE})
    assert read_completions(path, [PROBLEM]) == [Given("Test/0", WHOLE, 1, whole=True)]


def test_mbpp_numbers_may_have_prefixes(tmp_path):
    problems = read_problems(write(tmp_path / "p", MBPP))
    rows = [{"task_id": name, "completion": ""} for name in (7, "7", "Mbpp/7", "MBPP/7")]
    assert {item.task_id for item in read_completions(write(tmp_path / "c", *rows), problems)} == {"7"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"task_id": "Test/9", "completion": ""}, "the task_id 'Test/9' is not one of the problems'"),
        ({"task_id": "Mbpp/0", "completion": ""}, "is not one of the problems'"),
        ({"task_id": "Test/0"}, "has no column 'completion'"),
        ({"completion": ""}, "has no column 'task_id'"),
        ({"task_id": "Test/0", "completion": None}, "'completion' is not a string but null"),
        ({"task_id": "Test/0", "completion": ["a"]}, "'completion' is not a string but a value of type list"),
        ({"task_id": None, "completion": ""}, "'task_id' is neither a string nor a whole number but null"),
    ],
)
def test_wrong_line_is_named(tmp_path, row, message):
    path = write(tmp_path / "c.jsonl", {"task_id": "Test/0", "completion": "a"}, row)
    with pytest.raises(DataError) as caught:
        read_completions(path, [PROBLEM])
    assert (caught.value.where, caught.value.line) == (str(path), 2)
    assert message in caught.value.problem


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (WHOLE, True),
        ("import math\n\n" + WHOLE, True),
        ("double = lambda n: 2 * n", True),
        ("async def double(n):\n    return 2 * n", True),
        ("    return 2 * n\n", False),
        ("    return 2 * n\n\ndef double(n):\n    pass", False),
        ("", False),
        ("def other(n):\n    def double(n): pass\n", False),
        ("def double(n):\n    return (", True),
        ("Sure! Here it is:\ndef other(", False),
        ("\0", False),
    ],
)
def test_text_that_defines_the_function_is_a_program(text, program):
    assert is_program(PROBLEM, text) is program
    assert form_of(PROBLEM, text, "auto") == ("program" if program else "completion")
    assert form_of(PROBLEM, text, "completion") == "completion"


def test_parts_of_programs_and_completions(tmp_path):
    assert parts_of(PROBLEM, "x", "completion") == (PROBLEM.prompt + "x",)
    assert parts_of(PROBLEM, WHOLE, "program") == (PROBLEM.prompt, WHOLE)
    alone = Problem(**{**HUMANEVAL, "prompt": "def double(n):\n"})  # which is not valid Python by itself
    assert parts_of(alone, WHOLE, "program") == (WHOLE,)
    (mbpp,) = read_problems(write(tmp_path / "p", SANITIZED))
    assert parts_of(mbpp, "x", "completion") == parts_of(mbpp, "x", "program") == ("import math", "x")
