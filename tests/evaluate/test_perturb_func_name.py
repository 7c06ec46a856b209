"""Renaming functions: at every mention, and nowhere else."""

from dataclasses import replace
from random import Random

import pytest

from lilliput.evaluate.perturb import func_name
from lilliput.evaluate.perturb.func_name import camel_case, renamed
from tests.evaluate.perturbing import COUNT_VOWELS, LATE_DOCSTRING, PROBLEMS, SHORT, UNIQUE

BY_NAME = {perturbation.name: perturbation for perturbation in func_name.PERTURBATIONS}


def test_unmistakable_name_is_replaced_everywhere():
    changed = renamed(COUNT_VOWELS, "tally")
    assert changed.prompt == COUNT_VOWELS.prompt.replace("count_vowels", "tally")
    assert changed.entry_point == "tally"
    assert "tally sums the whole" in renamed(SHORT, "tally").prompt


def test_plain_word_is_replaced_only_where_it_is_called():
    changed = renamed(UNIQUE, "uniqeu")
    assert "def uniqeu(nested):" in changed.prompt
    assert "Helps unique to see" in changed.prompt and "Find the unique items" in changed.prompt
    assert "    uniqeu([]) is the empty list" in changed.prompt
    assert "        uniqeu([[1, 2], [2]]) => [1, 2]" in changed.prompt
    assert "rest = uniqeu([items[1:]])" in changed.canonical_solution  # recursion
    assert "assert uniqeu([]) == []" in changed.test
    assert "unique(" not in changed.prompt + changed.canonical_solution + changed.test


def test_attributes_keywords_and_other_strings_are_not_mentions():
    problem = replace(
        SHORT,
        canonical_solution="    size = dict(sum_to_n=1)\n    text = 'sum_to_n'\n    return sum(range(n + len(size)))\n",
    )
    changed = renamed(problem, "total_of")
    assert changed.canonical_solution == problem.canonical_solution
    assert changed.prompt.startswith("def total_of(n: int):")


@pytest.mark.parametrize("name", ["words", "total", "append", "class", "sum", "2nd", "check", "List", "candidate"])
def test_rejects_invalid_names_and_names_in_use(name):
    assert renamed(COUNT_VOWELS, name) is None


def test_names_become_camel_case():
    assert camel_case("has_close_elements", Random(0)) == "hasCloseElements"
    assert camel_case("add", Random(0)) == "add"
    assert BY_NAME["func_camel_case"](UNIQUE, 0) is None
    assert BY_NAME["func_camel_case"](SHORT, 3).entry_point == "sumToN"


@pytest.mark.parametrize(
    "name, problem, possible",
    [
        ("func_synonym", COUNT_VOWELS, {"tally_vowels"}),
        ("func_synonym", UNIQUE, {"distinct"}),
        ("func_synonym", LATE_DOCSTRING, {None}),
        ("func_inflection", LATE_DOCSTRING, {"areas"}),
    ],
)
def test_words_within_names_are_replaced(name, problem, possible):
    changed = {BY_NAME[name](problem, seed) for seed in range(12)}
    assert {found and found.entry_point for found in changed} == possible


@pytest.mark.parametrize("name", ["func_butter_fingers", "func_change_case", "func_swap_characters"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.entry_point)
def test_character_changes_keep_the_length_and_underscores_of_a_name(name, problem):
    for seed in range(5):
        changed = BY_NAME[name](problem, seed)
        old, new = problem.entry_point, changed.entry_point
        assert new != old and len(new) == len(old) and [c == "_" for c in new] == [c == "_" for c in old]
        assert changed.prompt.count(new) >= 1 and f"def {old}(" not in changed.prompt
        assert sorted(new.lower()) == sorted(old) or name == "func_butter_fingers"
