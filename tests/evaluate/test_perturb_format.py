"""Layout perturbations: apart from docstrings, the syntax tree stays the same."""

import ast
from dataclasses import replace

import pytest

from lilliput.evaluate.perturb import format as formats
from lilliput.evaluate.perturb.source import opened, partial
from tests.evaluate.perturbing import COUNT_VOWELS, LATE_DOCSTRING, PROBLEMS, SHORT, UNIQUE

BY_NAME = {perturbation.name: perturbation for perturbation in formats.PERTURBATIONS}


def apply(name, problem, seed=0):
    return BY_NAME[name](partial(problem), seed)


def without_docstrings(problem):
    tree = ast.parse(problem.prompt + problem.canonical_solution)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = [s for s in node.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return ast.dump(tree)


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.entry_point)
def test_program_stays_the_same(name, problem):
    for seed in range(1 if BY_NAME[name].deterministic else 5):
        changed = apply(name, problem, seed)
        if changed is None:
            assert name == "quote_style"
            continue
        assert changed.prompt != partial(problem).prompt
        assert without_docstrings(changed) == without_docstrings(problem)
        assert (changed.test, changed.entry_point) == (problem.test, problem.entry_point)


def test_docstring_becomes_comments():
    assert apply("doc_comments", UNIQUE).prompt.endswith(
        """def unique(nested):
    # Find the unique items of a nested list.
    # unique([]) is the empty list, and the order of the Mercury items is kept.
    # Examples:
    #     unique([[1, 2], [2]]) => [1, 2]
    #     Return it sorted for sorted parts.
    # Note: you can assume that the parts are short.
    # naïve — but short
    items = flatten(nested)
    if len(items) < 2:
"""
    )
    assert "''' Helps unique to see" in apply("doc_comments", UNIQUE).prompt  # another function's docstring stays


def test_carriage_return_stays_escaped_in_comments():
    problem = replace(SHORT, prompt='def sum_to_n(n):\n    """Sums\\rto n.\\n    And on."""\n')
    assert apply("doc_comments", problem).prompt == "def sum_to_n(n):\n    # Sums\\rto n.\n    # And on.\n"


def test_blank_lines_are_inserted():
    assert apply("newline_after_doc", SHORT).prompt == SHORT.prompt + "\n"
    assert apply("newline_after_code", COUNT_VOWELS).prompt == partial(COUNT_VOWELS).prompt + "\n"
    before = partial(COUNT_VOWELS).prompt
    found = {apply("newlines", COUNT_VOWELS, seed).prompt for seed in range(6)}
    assert len(found) > 1
    start = before.index("    total = 0")
    for text in found:
        assert text.startswith(before[:start].rstrip("\n"))
        assert [line for line in text[start:].splitlines() if line] == before[start:].splitlines()
        assert text.count("\n\n\n\n") == 0


def test_long_line_is_split_at_a_space_near_its_middle():
    changed = apply("split_line", COUNT_VOWELS).prompt
    assert "def count_vowels(words: \\\n        List[str], limit: int) -> int:\n" in changed
    only_string = replace(
        SHORT, canonical_solution="    x = 'a very very very long text that must stay in one piece'\n" * 2
    )
    assert "'a very very very long text that must stay in one piece'" in apply("split_line", only_string).prompt


@pytest.mark.parametrize("name, unit", [("tab_indent", "\t"), ("two_space_indent", "  ")])
def test_indentation_follows_the_blocks(name, unit):
    changed = apply(name, COUNT_VOWELS)
    text = changed.prompt + changed.canonical_solution
    assert f"\n{unit}for word in words:\n{unit}{unit}seen.append(word)\n" in text
    assert f"\n{unit * 4}total += 1\n" in text
    assert f'\n{unit}>>> count_vowels(["aaa"], 2)\n{unit}2\n' in text
    late = apply(name, LATE_DOCSTRING)
    text = late.prompt + late.canonical_solution
    assert '"""kept\n      as it is"""' in text  # the content of a string
    assert f"{unit}half = (a\n{unit}        + b + c) / 2\n" in text  # indented from its statement as before


def test_uneven_indentation_becomes_even():
    ragged = replace(
        SHORT, canonical_solution="    if n:\n          m = n\n    else:\n       m = 0\n    return sum(range(m + 1))\n"
    )
    changed = apply("two_space_indent", ragged)
    assert (changed.prompt + changed.canonical_solution).endswith(
        "  if n:\n    m = n\n  else:\n    m = 0\n  return sum(range(m + 1))\n"
    )


def test_quotes_are_swapped():
    changed = apply("quote_style", COUNT_VOWELS)
    assert 'if letter in "aeiou":' in changed.prompt
    assert 'elif letter == "y"' in changed.canonical_solution
    assert apply("quote_style", SHORT) is None
    strings = "    a = 'x'\n    b = \"it's\"\n    c = \"y\" + f'{n}' + r'z'\n    return sum(range(n + 1))\n"
    changed = BY_NAME["quote_style"](replace(SHORT, prompt=SHORT.prompt + strings, canonical_solution="\n"), 0)
    assert changed.prompt == SHORT.prompt + strings.replace("'x'", '"x"').replace('"y"', "'y'")


def test_docstring_perturbations_skip_a_function_without_docstring():
    bare = replace(SHORT, prompt="def sum_to_n(n):\n")
    assert apply("doc_comments", bare) is None and apply("newline_after_doc", bare) is None
    assert opened(bare).docstring is None
