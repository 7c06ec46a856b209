"""Syntax perturbations: what changes in the text, what does not, and that the rest of the solution follows."""

import ast
from dataclasses import replace
from random import Random

import pytest

from lilliput.evaluate.perturb import syntax
from lilliput.evaluate.perturb.source import opened, partial
from lilliput.evaluate.perturb.variables import harvested
from tests.evaluate.perturbing import COUNT_VOWELS, DIGITS, LATE_DOCSTRING, PROBLEMS, SHORT, UNIQUE

BY_NAME = {perturbation.name: perturbation for perturbation in syntax.PERTURBATIONS}


def apply(name, problem, seed=0):
    return BY_NAME[name](partial(problem), seed)


def halves(problem, solution, prompt_lines):
    """A partial problem whose prompt ends after ``prompt_lines`` lines of ``solution``."""
    lines = solution.splitlines(keepends=True)
    return replace(
        problem, prompt=problem.prompt + "".join(lines[:prompt_lines]), canonical_solution="".join(lines[prompt_lines:])
    )


def added(before, after):
    """Lines of ``after`` that are not in ``before``, in order; ``before`` must be a subsequence of ``after``."""
    waiting, found = before.splitlines(), []
    for line in after.splitlines():
        if waiting and line == waiting[0]:
            waiting.pop(0)
        else:
            found.append(line)
    assert not waiting
    return found


@pytest.mark.parametrize("name", ["dead_code", "dead_code_last"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.entry_point)
def test_dead_code_copies_a_prompt_line_without_revealing_the_solution(name, problem):
    before = partial(problem)
    ahead = {line.strip() for line in before.canonical_solution.splitlines()}
    behind = {line.strip() for line in before.prompt.splitlines()}
    openings = set()
    for seed in range(10):
        changed = BY_NAME[name](before, seed)
        opening, copy = added(before.prompt, changed.prompt)
        openings.add(opening.strip())
        assert copy.strip() in (behind | {"return None"}) - (ahead - behind)
        assert changed.canonical_solution == before.canonical_solution
        # Without the dead block, the program is as before.
        tree = ast.parse(changed.prompt + changed.canonical_solution)
        assert ast.dump(DeadCodeRemover().visit(tree)) == ast.dump(ast.parse(before.prompt + before.canonical_solution))
    assert openings <= {"if False:", "while False:", "for _i_0 in range(0):"}
    assert len(openings) == (1 if BY_NAME[name].deterministic else len(openings))


class DeadCodeRemover(ast.NodeTransformer):
    """Removes code that never runs."""

    def visit_If(self, node):
        return None if ast.unparse(node.test) == "False" else self.generic_visit(node)

    visit_While = visit_If  # noqa: N815

    def visit_For(self, node):
        return None if ast.unparse(node.iter) == "range(0)" else self.generic_visit(node)


def test_last_dead_code_is_in_the_block_at_the_end_of_the_prompt():
    assert apply("dead_code_last", COUNT_VOWELS).prompt.splitlines()[-2].startswith(" " * 12)
    after_header = halves(COUNT_VOWELS, COUNT_VOWELS.canonical_solution, 3)
    assert BY_NAME["dead_code_last"](after_header, 0).prompt.splitlines()[-2].startswith(" " * 8)


def test_no_dead_code_if_the_prompt_ends_within_a_statement():
    assert BY_NAME["dead_code_last"](halves(LATE_DOCSTRING, LATE_DOCSTRING.canonical_solution, 2), 0) is None
    assert BY_NAME["dead_code_last"](halves(LATE_DOCSTRING, LATE_DOCSTRING.canonical_solution, 4), 0) is None


def test_loop_over_a_range_becomes_a_counter():
    changed = apply("for_while", DIGITS)
    assert changed.prompt.endswith(
        "    stop = limit\n    number = 0\n    while number < stop:\n"
        "        rest = number + offset\n        total = 0\n"
    )
    assert changed.canonical_solution.endswith("        result.append(total)\n        number += 1\n    return result\n")


def test_loop_over_anything_else_becomes_an_iterator():
    changed = apply("for_while", COUNT_VOWELS)
    assert changed.prompt.endswith(
        "    iterator = iter(words)\n    while True:\n        try:\n            word = next(iterator)\n"
        "        except StopIteration:\n            break\n        seen.append(word)\n"
        "        for position in range(len(word)):\n            letter = word[position]\n"
        "            if letter in 'aeiou':\n"
    )
    assert changed.canonical_solution == partial(COUNT_VOWELS).canonical_solution


@pytest.mark.parametrize(
    "loop, counted",
    [
        ("for i in range(n):\n        total += i", True),
        ("for i in range(3, n, 2):\n        total += i", True),
        ("for i in range(n, 0, -2):\n        total += i", True),
        ("for i in range(n):\n        if i == 2:\n            continue\n        total += i", False),
        ("for i in range(n):\n        i += 1\n        total += i", False),
        ("for i in range(n):\n        n += 1\n        total += i", True),  # the end is evaluated once
        ("for i in range(n):\n        total += i\n    total += i", False),  # the counter is read later
        ("for i in range(0, n, n):\n        total += i", False),  # a step of unknown sign
        ("for i in range(n): total += i", None),
        ("for i in range(n):\n        total += i\n    else:\n        total += 1", None),
    ],
)
def test_loops_keep_their_meaning(loop, counted):
    problem = replace(SHORT, canonical_solution=f"    total = 0\n    {loop}\n    return total\n")
    changed = BY_NAME["for_while"](halves(problem, problem.canonical_solution, 3), 0)
    assert (changed is None) == (counted is None)
    if changed is None:
        return
    assert ("next(" not in changed.prompt) == counted
    results = []
    for program in (problem, changed):
        scope = {}
        exec(program.prompt + program.canonical_solution, scope)
        results.append([scope["sum_to_n"](n) for n in range(1, 9)])
    assert results[0] == results[1]


def test_operands_are_swapped_where_it_makes_no_difference():
    problem = replace(
        SHORT,
        canonical_solution="""    items = list(range(n))
    if len(items) > 2 and 'x' != n:  # why
        return items[0] < items[1]
    return (n + 1) * len(items) if 1 <= n else items.pop() < items.pop()
""",
    )
    changed = BY_NAME["operand_swap"](halves(problem, problem.canonical_solution, 4), 0)
    text = changed.prompt + changed.canonical_solution
    assert "if 2 < len(items) and n != 'x':  # why\n" in text
    assert "return items[0] < items[1]\n" in text  # either may raise, and then the order of the errors matters
    assert " if n >= 1 else items.pop() < items.pop()\n" in text


@pytest.mark.parametrize("name", ["rename_naive", "rename_random", "rename_harvested"])
def test_most_used_variable_is_renamed_only_in_code(name):
    before, changed = partial(COUNT_VOWELS), apply(name, COUNT_VOWELS)
    new = {line for line in changed.prompt.splitlines() if line not in before.prompt.splitlines()}
    assert len(new) == 4  # word: for, append, range(len()), letter =
    assert "for word in words" not in changed.prompt
    assert opened(changed).docstring.value == opened(before).docstring.value


def test_new_names_follow_their_scheme():
    assert "for VAR_0 in words:" in apply("rename_naive", COUNT_VOWELS).prompt
    taken = replace(COUNT_VOWELS, canonical_solution="    VAR_0 = 1\n" + COUNT_VOWELS.canonical_solution)
    assert "for VAR_1 in words:" in apply("rename_naive", taken).prompt
    # Chosen from "vowels" (in the docstring and the function's name) and the other names, which occur once.
    assert harvested(opened(COUNT_VOWELS), "word", Random(0)) == "vowels"
    assert len({apply("rename_random", COUNT_VOWELS, seed).prompt for seed in range(5)}) == 5


def test_parameter_that_tests_name_keeps_its_name():
    tests = "def check(candidate):\n    assert candidate(n=4) == 10\n"
    assert apply("rename_naive", SHORT).prompt.startswith("def sum_to_n(VAR_0: int):")
    assert apply("rename_naive", replace(SHORT, test=tests)) is None


def test_parameter_is_renamed_in_the_rest_of_the_solution_too():
    changed = apply("rename_naive", SHORT)
    assert changed.canonical_solution == "    return sum(range(VAR_0 + 1))\n"


def test_assignments_are_swapped_and_displays_become_calls():
    assert "    seen = []\n    total = 0\n" in apply("swap_assignments", COUNT_VOWELS).prompt
    assert "    result = list()\n    offset = 0\n" in apply("constructor_calls", DIGITS).prompt
    assert apply("constructor_calls", UNIQUE) is None


@pytest.mark.parametrize("name", BY_NAME)
def test_prompts_without_code_or_valid_syntax_are_left_alone(name):
    assert BY_NAME[name](replace(SHORT, prompt="def (", canonical_solution=""), 0) is None
    if name not in {"dead_code", "dead_code_last", "rename_naive", "rename_random", "rename_harvested"}:
        assert BY_NAME[name](SHORT, 0) is None
