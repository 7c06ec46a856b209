"""Rewrites of Python: functions return the same before and after, and unaffected text keeps its layout."""

import ast
import copy
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data.rewrites import LANGUAGES, REWRITES, attempt, language_of, rewrite
from lilliput.data.rewrites.datasets import mixed
from lilliput.data.rewrites.source import Source
from lilliput.errors import UserError
from tests.data.rewritten_functions import C_FUNCTIONS, JAVA_METHODS, PYTHON_FUNCTIONS

SAME_TREE = ("format", "add_comments", "remove_comments")


def outcomes(name: str, text: str) -> list[str]:
    space: dict[str, object] = {}
    exec(text, space)
    _, calls = PYTHON_FUNCTIONS[name]
    return [repr(space[name](*copy.deepcopy(arguments))) for arguments in calls]  # type: ignore[operator]


def mask_shown_names(name: str, shown: list[str]) -> list[str]:
    """Mask the variable name that ``f"{text=}"`` shows: renaming changes it, and nothing else may differ."""
    return [text.split("=")[-1] if name == "words" else text for text in shown]


@given(st.sampled_from(sorted(PYTHON_FUNCTIONS)), st.sampled_from([*REWRITES, "mixed"]), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_function_returns_the_same(name, change, seed):
    text, _ = PYTHON_FUNCTIONS[name]
    changed = mixed(text, "python", seed) if change == "mixed" else rewrite(text, "python", change, seed)
    ours, theirs = outcomes(name, changed), outcomes(name, text)
    if change in ("rename", "mixed"):
        ours, theirs = mask_shown_names(name, ours), mask_shown_names(name, theirs)
    assert ours == theirs, changed
    if change in SAME_TREE:
        assert ast.dump(ast.parse(changed)) == ast.dump(ast.parse(text))
    if change != "mixed":
        assert not attempt(text, "python", change, seed).refused


@pytest.mark.parametrize("change", REWRITES)
def test_each_rewrite_changes_something(change):
    texts = [text for text, _ in PYTHON_FUNCTIONS.values()]
    assert any(rewrite(text, "python", change, seed) != text for text in texts for seed in range(3))


def test_loops_are_rewritten_in_place():
    text, _ = PYTHON_FUNCTIONS["words"]
    changed = rewrite(text, "python", "loops", 1)
    assert "enumerate" not in changed
    assert "        # count it\n" in changed
    assert "             if k]" in changed  # unaffected text keeps its layout


def test_renaming_keeps_layout_and_keyword_arguments():
    text, _ = PYTHON_FUNCTIONS["recursive"]
    changed = rewrite(text, "python", "rename", 1)
    assert "def recursive(n):" in changed  # it calls itself, by keyword
    assert "total" not in changed
    text, _ = PYTHON_FUNCTIONS["primes"]
    changed = rewrite(text, "python", "rename", 1)
    assert "def primes(" in changed
    assert '.get("step"' in changed
    assert "step += 1" not in changed
    assert "# the first" in changed


def test_name_that_is_also_a_global_variable_is_kept():
    text = "def f(a):\n    def g():\n        shared = 1\n        return shared + a\n    return shared + g()\n"
    changed = rewrite(text, "python", "rename", 1)
    assert changed.count("shared") == 3
    assert "def f(a)" not in changed
    assert "def g():" in changed  # a function, though local


@pytest.mark.parametrize(
    "text",
    [
        "def f(a):\n    b = a\n    return locals()\n",
        "def f(a:\n    b = a\n",
        "print 'a'\n",
        "class A:\n    def f(self, a):\n        return a\n",
        "x = 1\n",
        "",
        " \n",
        "int f(void) { return 1; }",
    ],
)
def test_names_loops_and_order_are_unchanged_in_anything_but_one_function(text):
    for change in ("rename", "loops", "order"):
        assert rewrite(text, "python", change, 1) == text


@given(st.text(max_size=200), st.sampled_from(sorted(LANGUAGES)), st.sampled_from(sorted(REWRITES)))
@settings(max_examples=80, deadline=None)
def test_any_text_is_accepted(text, language, change):
    found = attempt(text, language, change, 1)
    assert found.changed == (found.text != text)
    assert Source(found.text, LANGUAGES[language]).errors <= Source(text, LANGUAGES[language]).errors


@given(st.data(), st.sampled_from(sorted(REWRITES)))
@settings(max_examples=80, deadline=None)
def test_damaged_functions_gain_no_errors(data, change):
    samples = {
        "c": list(C_FUNCTIONS.values()),
        "java": list(JAVA_METHODS.values()),
        "python": [text for text, _ in PYTHON_FUNCTIONS.values()],
    }
    language = data.draw(st.sampled_from(sorted(samples)))
    text = data.draw(st.sampled_from(samples[language]))
    start = data.draw(st.integers(0, len(text)))
    cut = text[:start] + text[start + data.draw(st.integers(1, 20)) :]
    found = attempt(cut, language, change, 1)
    assert Source(found.text, LANGUAGES[language]).errors <= Source(cut, LANGUAGES[language]).errors


def test_seed_gives_the_same_rewrite_in_another_process():
    text = C_FUNCTIONS["shadowed"]
    script = (
        "import sys\nfrom lilliput.data.rewrites import REWRITES, rewrite\ntext = sys.stdin.read()\n"
        "print([rewrite(text, 'c', name, 5) for name in REWRITES])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        input=text,
        env={"PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ast.literal_eval(run.stdout) == [rewrite(text, "c", name, 5) for name in REWRITES]
    assert rewrite(text, "c", "rename", 5) != rewrite(text, "c", "rename", 6)


def test_unknown_names_are_rejected_with_the_known_ones():
    with pytest.raises(UserError, match="c, java, python") as caught:
        rewrite("x", "cobol", "rename")
    assert caught.value.where == "--language"
    with pytest.raises(UserError, match="rename, dead_code"):
        rewrite("x", "c", "obfuscate")


def test_language_is_detected_by_its_grammar():
    python = [text for text, _ in PYTHON_FUNCTIONS.values()]
    assert language_of(list(C_FUNCTIONS.values()), "python") == "c"
    assert language_of(list(JAVA_METHODS.values()), "c") == "java"
    assert language_of(python, "java") == "python"
    assert language_of(["int f(int a) { return a; }"], "java") == "java"  # valid in both
    assert language_of(["int f(int a) { return a; }"], "c") == "c"
    assert language_of(["((("]) is None
