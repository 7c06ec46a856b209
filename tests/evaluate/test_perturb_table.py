"""All perturbations: their names, their repeatability, and that solutions pass after each of them."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lilliput.data.problems import read_problems
from lilliput.errors import UserError
from lilliput.evaluate.perturb import PERTURBATIONS, SEEDS, named, nominal, partial, perturbed
from lilliput.evaluate.perturb.check import BATCH, check
from tests.conftest import shared_folder
from tests.evaluate.perturbing import COUNT_VOWELS, PROBLEMS, SHORT
from tests.evaluate.sandboxes import no_windows

ROOT = Path(__file__).parents[2]
REAL = shared_folder() / "data" / "humaneval" / "HumanEval.jsonl.gz"


def test_there_are_about_thirty_in_four_families():
    families = [perturbation.family for perturbation in PERTURBATIONS.values()]
    assert {family: families.count(family) for family in families} == {
        "docstring": 9,
        "func_name": 6,
        "syntax": 9,
        "format": 8,
    }
    assert all(perturbation.name == name and perturbation.summary for name, perturbation in PERTURBATIONS.items())
    released = [perturbation.released for perturbation in PERTURBATIONS.values() if perturbation.released]
    assert len(set(released)) == len(released) == 28


def test_names_and_families_select_perturbations():
    assert named() == list(PERTURBATIONS.values())
    assert [item.name for item in named(["newlines", "func_name", "newlines", "func_synonym"])][:2] == [
        "newlines",
        "func_butter_fingers",
    ]
    assert len(named(["newlines", "func_name", "newlines", "func_synonym"])) == 7
    with pytest.raises(
        UserError, match=r"no perturbation 'new_lines'\. Choose from 'docstring'.*'newlines'.*'quote_st"
    ):
        named(["newlines", "new_lines"])


def test_seeds_and_order_of_perturbed_problems():
    found = perturbed(PROBLEMS, ["dead_code", "for_while", "doc_butter_fingers"], seeds=3)
    assert {name: list(seeds) for name, seeds in found.items()} == {
        "dead_code": [0, 1, 2],
        "for_while": [0],
        "doc_butter_fingers": [0, 1, 2],
    }
    for seeds in found.values():
        for problems in seeds.values():
            assert [problem.task_id for problem in problems] == [problem.task_id for problem in PROBLEMS]
    assert found["for_while"][0][3] == partial(SHORT) == nominal(PROBLEMS, PERTURBATIONS["for_while"])[3]
    assert found["dead_code"][0] != found["dead_code"][1]
    assert nominal(PROBLEMS, PERTURBATIONS["doc_tense_past"]) == list(PROBLEMS)
    assert len(perturbed(PROBLEMS[:1], ["newlines"])["newlines"]) == SEEDS == 5
    with pytest.raises(UserError, match="seeds: must be 1 or more; it is 0"):
        perturbed(PROBLEMS, seeds=0)


def test_seed_gives_the_same_result_in_another_process():
    program = (
        "from lilliput.evaluate.perturb import perturbed\nfrom tests.evaluate.perturbing import PROBLEMS\n"
        "print(repr(perturbed(PROBLEMS, seeds=2)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip("\n") == repr(perturbed(PROBLEMS, seeds=2))


def test_task_and_name_are_part_of_the_seed():
    other = replace(COUNT_VOWELS, task_id="Test/9")
    perturbation = PERTURBATIONS["doc_change_case"]
    assert perturbation(other, 0).prompt != perturbation(COUNT_VOWELS, 0).prompt
    assert replace(perturbation, name="x")(COUNT_VOWELS, 0) != perturbation(COUNT_VOWELS, 0)


def changed_by_all(problems, seed):
    found = []
    for perturbation in named():
        for problem in nominal(problems, perturbation):
            changed = perturbation(problem, seed)
            found += [] if changed is None else [(perturbation.name, changed)]
    return found


@no_windows
@pytest.mark.parametrize("seed", [0, 1])
def test_every_solution_passes_after_every_perturbation(seed):
    found = changed_by_all(PROBLEMS, seed)
    assert {name for name, _ in found} == set(PERTURBATIONS)
    failures = check([problem for _, problem in found], seconds=60)
    assert [(found[failure.index][0], failure) for failure in failures] == []


@no_windows
def test_check_finds_exactly_the_failing_solutions():
    problems = [replace(SHORT, task_id=str(number)) for number in range(BATCH + 3)]
    problems[2] = replace(problems[2], canonical_solution="    return 9\n")
    problems[BATCH + 1] = replace(problems[BATCH + 1], canonical_solution="    raise SystemExit(0)\n")
    found = check(problems, seconds=60)
    assert [(failure.index, failure.task_id, failure.verdict.outcome) for failure in found] == [
        (2, "2", "failed"),
        (BATCH + 1, str(BATCH + 1), "exited"),
    ]
    assert check([]) == []


@no_windows
@pytest.mark.skipif(not REAL.exists(), reason="HumanEval is not on this machine (LILLIPUT_SHARED)")
def test_solutions_of_real_problems_pass_after_every_perturbation():
    problems = read_problems(REAL, "humaneval")[3::41]  # 4 problems; benchmarks/recode_compare.py runs all
    found = changed_by_all(problems, 7)
    assert len(found) > 2 * len(PERTURBATIONS)
    failures = check([problem for _, problem in found], seconds=60)
    assert [(found[failure.index][0], failure) for failure in failures] == []


def test_document_lists_every_perturbation_with_its_summary():
    rows = {}
    for line in (ROOT / "docs" / "robustness.md").read_text().splitlines():
        if line.startswith("| `") and line.count("|") == 7:
            name, summary, released = (cell.strip() for cell in line.split("|")[1:4])
            rows[name.strip("`")] = (summary, released)
    assert rows == {
        name: (perturbation.summary, perturbation.released or "–") for name, perturbation in PERTURBATIONS.items()
    }
