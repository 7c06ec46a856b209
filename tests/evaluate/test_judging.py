"""Outcomes of programs in the real sandbox, and whether the program or the runner is to blame."""

import pytest

from lilliput.errors import UserError
from lilliput.evaluate import judging, sandbox
from lilliput.evaluate.judging import Judgement, Limits, judge, judge_many, judged_source, require_walls
from tests.verbs.evaluate.test_evaluate import Recorded

TESTS = (
    "def check(candidate):\n    assert candidate(2) == 4, 'not\\n four'\n    assert candidate(0)[0]\ncheck(double)\n"
)
PASSING = "class Four(int):\n    def __getitem__(self, place): return 1\ndef double(n): return Four(2 * n)"


@pytest.mark.parametrize(
    ("program", "outcome", "detail"),
    [
        (PASSING, "passed", ""),
        ("def double(n): return 5", "wrong", "AssertionError: not four"),
        ("def double(n): return 2 * n", "wrong", "TypeError: 'int' object is not subscriptable"),
        ("def double(n): return n + undefined", "error", "NameError: name 'undefined' is not defined"),
        ("def double(n): assert n > 5", "error", "AssertionError"),
        ("def double(n): return (", "error", "SyntaxError"),
        ("def other(n): return 4", "error", "NameError: name 'double' is not defined"),
        ("", "error", "NameError: name 'double' is not defined"),
        ("import numpy", "error", "ModuleNotFoundError: No module named 'numpy'"),
        ("x = '\0'", "error", ""),
        ("x = '\udc80'", "error", "UnicodeEncodeError"),
        ("def double(n): return double(n)", "error", "RecursionError"),
        ("def double(n): raise SystemExit(0)", "error", "SystemExit: 0"),
        ("import os\nos._exit(0)", "error", "left before its end"),
        ("def double(n): return 'a' * 10 ** 12", "error", "MemoryError"),
        ("while True: pass", "timeout", "no end within 2 s"),
        ("class E(Exception):\n    def __str__(self): return 1 / 0\nraise E", "error", "E"),
        ("import sys\nsys.stderr.write('wrong: not mine')\nraise ValueError('a: b')", "error", "ValueError: a: b"),
    ],
)
def test_outcome_of_a_program(program, outcome, detail):
    found = judge(judged_source([program], TESTS), Limits(seconds=2.0))
    assert found.outcome == outcome
    assert found.detail.startswith(detail)
    assert found.passed == (outcome == "passed")


def test_parts_form_one_module():
    parts = [
        "from typing import List\nBASE = 2",
        "from __future__ import annotations\ndef double(n: Lost): return BASE",
    ]
    assert judge(judged_source(parts, "assert double(1) == 2 and __name__ == '__main__'"), Limits()).passed
    pickled = "import pickle\nclass Own: pass\nassert type(pickle.loads(pickle.dumps(Own()))) is Own"
    assert judge(judged_source([pickled], ""), Limits()).passed


def test_tests_get_the_parts_of_numpy_that_they_use():
    tests = "import numpy as np\nnp.testing.assert_allclose(f(), 0.3)\nassert not isinstance(f(), np.ndarray)\n"
    assert judge(judged_source(["def f(): return 0.1 + 0.2"], tests), Limits()).passed
    assert judge(judged_source(["def f(): return 0.4"], tests), Limits()).outcome == "wrong"


def test_invalid_tests_are_not_blamed_on_the_program():
    found = judge(judged_source([PASSING], "def ("), Limits())
    assert found.outcome == "runner"
    assert found.detail.startswith("the tests are not valid Python: SyntaxError")


def test_failing_sandbox_is_retried_once_and_then_named(monkeypatch):
    real, calls = sandbox._run, []

    def refusing(times):
        def run(*arguments):
            calls.append(arguments)
            if len(calls) <= times:
                raise sandbox._Refused("no more processes")
            return real(*arguments)

        calls.clear()
        monkeypatch.setattr(sandbox, "_run", run)

    sandbox.protections()
    refusing(1)
    assert judge(judged_source(["def f(): pass"], ""), Limits()) == Judgement("passed")
    refusing(2)
    found = judge(judged_source(["def f(): pass"], ""), Limits())
    assert found.outcome == "runner"
    assert "no more processes" in found.detail


def test_many_are_judged_in_order_and_reported_with_progress():
    progress, reported = Recorded(), {}
    sources = [
        judged_source([f"import time\ntime.sleep({0.2 if row == 0 else 0})"], f"assert {row} != 1") for row in (0, 1, 2)
    ]
    found = judge_many(sources, Limits(), 2, progress, reported.__setitem__)
    assert [one.outcome for one in found] == ["passed", "wrong", "passed"]
    assert reported == dict(enumerate(found))
    assert progress.loops["running programs"] == [3, 3]
    with pytest.raises(UserError, match="workers"):
        judge_many(sources, Limits(), 0)
    with pytest.raises(UserError, match="seconds"):
        Limits(seconds=0)


def test_without_protections_programs_run_only_if_unsafe(monkeypatch):
    bare = sandbox.Protections(False, False, False, False, True, True, "not permitted")
    monkeypatch.setattr(judging.sandbox, "protections", lambda: bare)
    with pytest.raises(UserError, match="could use your files and the network here: not permitted") as caught:
        require_walls(unsafe=False)
    assert "--unsafe" in caught.value.remedy
    assert require_walls(unsafe=True) is bare
