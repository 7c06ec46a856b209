"""Programs as text: positions, edits on both sides of the prompt's end, and the cut of a partial problem."""

import ast
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.evaluate.perturb.source import Edit, edited, opened, partial
from tests.evaluate.perturbing import COUNT_VOWELS, LATE_DOCSTRING, PROBLEMS, SHORT, UNIQUE


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.entry_point)
def test_half_of_the_solution_lines_move_to_the_prompt(problem):
    cut = partial(problem)
    moved = cut.prompt.removeprefix(problem.prompt)
    assert moved + cut.canonical_solution == problem.canonical_solution
    assert moved.count("\n") == problem.canonical_solution.count("\n") // 2
    assert replace(cut, prompt=problem.prompt, canonical_solution=problem.canonical_solution) == problem


def test_blank_lines_count_and_a_single_line_stays():
    assert partial(SHORT) == SHORT
    spaced = replace(SHORT, canonical_solution="\n\n    return 1\n    # end\n")
    assert partial(spaced).canonical_solution == "    return 1\n    # end\n"


def test_positions_count_characters_although_the_parser_counts_bytes():
    source = opened(replace(SHORT, canonical_solution="    é, x = 'ä', n; return x + n\n"))
    names = [node for node in ast.walk(source.function) if isinstance(node, ast.Name)]
    assert [source.written(node) for node in names] == [node.id for node in names]
    assert len(names) == 6


@pytest.mark.parametrize("change", [{"prompt": "def f(:\n"}, {"entry_point": "other"}, {"canonical_solution": "  x"}])
def test_invalid_programs_are_not_opened(change):
    assert opened(replace(SHORT, **change)) is None


def test_docstring_is_the_first_string_statement_even_after_an_import():
    assert opened(LATE_DOCSTRING).docstring.value.startswith("Calculate the area")
    assert opened(UNIQUE).docstring.value.startswith("\n    Find the unique")
    assert (
        opened(replace(SHORT, prompt="def sum_to_n(n):\n", canonical_solution="    'x'\n    return 1\n")).docstring
        is None
    )


def test_depths_are_block_depths():
    source = opened(COUNT_VOWELS)
    found = {source.line(number).strip(): depth for number, depth in source.depths.items()}
    assert found["for word in words:"] == 1 and found["letter = word[position]"] == 3
    assert found["elif letter == 'y' and position > 0:"] == 3 and found["return total"] == 1
    assert "2" not in found  # inside the docstring


@given(st.data())
def test_edits_stay_on_their_side_of_the_prompt_end(data):
    source = opened(partial(COUNT_VOWELS))
    line_starts = [source.line_start(line) for line in source.depths]
    places = data.draw(st.lists(st.sampled_from(line_starts), unique=True, min_size=1))
    changed = edited(source, [Edit(place, place, "\n# new\n") for place in places])
    before = sum(place <= source.cut for place in places)
    assert changed.prompt.count("# new") == before
    assert changed.canonical_solution.count("# new") == len(places) - before
    assert (changed.prompt + changed.canonical_solution).replace("\n# new\n", "") == source.text


def test_rejects_edits_that_cross_the_prompt_end_overlap_or_break_syntax():
    source = opened(partial(COUNT_VOWELS))
    assert edited(source, [Edit(source.cut - 1, source.cut + 1, "")]) is None
    assert edited(source, [Edit(0, 4, "from"), Edit(3, 5, "m ")]) is None
    assert edited(source, [Edit(0, 4, "of")]) is None
    assert edited(source, []) == source.problem


def test_mentions_are_all_names_of_program_and_tests():
    assert {"words", "total", "append", "List", "typing", "check", "candidate"} <= opened(COUNT_VOWELS).mentions()
    assert "sea" not in opened(COUNT_VOWELS).mentions()
