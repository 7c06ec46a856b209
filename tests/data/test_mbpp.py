"""MBPP: its prompt, its setup code, and its reference solutions."""

import json

import pytest

from lilliput.data.completions import parts_of
from lilliput.data.mbpp import STOPS, instruction
from lilliput.data.problems import read_problems
from lilliput.evaluate.judging import Limits, judge_many, judged_source
from tests.conftest import shared_folder
from tests.data.test_problems import HUB_PLUS, MBPP, MBPP_PLUS, write

REAL = shared_folder() / "data" / "mbpp"


def one(path, row, **how):
    (problem,) = read_problems(write(path / "p.jsonl", row), **how)
    return problem


def test_prompt_is_a_docstring_with_the_first_test(tmp_path):
    problem = one(tmp_path, MBPP)
    assert problem.prompt == '"""\nWrite a function to double a number.\nassert double(2) == 4\n"""\n'
    assert problem.canonical_solution == "def double(n):\n    return 2 * n"
    assert not problem.keeps_prompt
    assert not any(stop in "\n" + problem.canonical_solution for stop in STOPS)


def test_chat_instruction_has_the_task_and_the_tests(tmp_path):
    asked = instruction(one(tmp_path, MBPP))
    for part in (MBPP["text"], *MBPP["test_list"], "double"):
        assert part in asked
    assert MBPP["challenge_test_list"][0] not in asked
    assert "assert double(2) == 4" in instruction(one(tmp_path, MBPP_PLUS))
    assert '"""' not in instruction(one(tmp_path, MBPP_PLUS))


def test_challenge_tests_are_optional(tmp_path):
    assert "double(-1)" not in one(tmp_path, MBPP).test
    assert one(tmp_path, MBPP, challenges=True).test.endswith("assert double(-1) == -2")
    assert "double(-1)" not in one(tmp_path, HUB_PLUS, challenges=True).test


def test_setup_code_sees_the_program(tmp_path):
    row = {
        **MBPP,
        "code": "class Node:\n    value = 3\ndef value(node):\n    return node.value",
        "test_setup_code": "root = Node()",
        "test_list": ["assert value(root) == 3"],
    }
    problem = one(tmp_path, row)
    assert problem.entry_point == "value"
    exec("\n".join((*parts_of(problem, row["code"], "completion"), problem.tests)), {})


def test_entry_point_is_called_by_the_test_and_defined_by_the_reference(tmp_path):
    row = {**MBPP, "code": "def helper():\n    0\ndef twice(n):\n    return n", "test_list": ["assert set(twice([1]))"]}
    assert one(tmp_path, row).entry_point == "twice"


@pytest.mark.skipif(not REAL.exists(), reason="MBPP is not on this machine (LILLIPUT_SHARED)")
@pytest.mark.parametrize(("name", "count"), [("mbpp.jsonl.gz", 974), ("sanitized-mbpp.json.gz", 427)])
def test_real_solutions_pass_and_empty_ones_fail(name, count):
    problems = read_problems(REAL / name, "mbpp")
    assert len(problems) == count
    assert all(json.dumps(problem.prompt).startswith('"\\"\\"\\"\\n') for problem in problems)
    # The few whose tests need definitions of the program, and a sample of the rest.
    sample = [problem for problem in problems if "root = Node" in problem.test] + problems[:: count // 4]
    sources = [judged_source(parts_of(one, one.canonical_solution, "completion"), one.tests) for one in sample]
    verdicts = judge_many(sources, Limits(60))
    assert [one.task_id for one, verdict in zip(sample, verdicts, strict=True) if not verdict.passed] == []
    nothing = judge_many([judged_source(parts_of(one, "", "completion"), one.tests) for one in sample[:4]], Limits(60))
    assert not any(verdict.passed for verdict in nothing)
