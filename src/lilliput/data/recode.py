"""ReCode's released files: HumanEval's prompts, perturbed.

Each file is called ``DATASET_PERTURBATION_sSEED.jsonl`` (optionally gzipped), in a folder named after its family:
``nlaugmenter`` (docstrings), ``func_name``, ``natgen`` (syntax) or ``format``. Rows have HumanEval's fields. Those of
docstrings also have ``seed`` and ``perturbed``; those of syntax and format have ``partial``, the program before it was
cut, and their prompts extend to the middle of the solution, whose rest is ``canonical_solution``. The row of a renamed
function has the new name in the prompt and as its entry point, and the old one in solution and tests.

Source: Wang et al., "ReCode: Robustness Evaluation of Code Generation Models", ACL 2023;
https://github.com/amazon-science/recode.
"""

from __future__ import annotations

import re
from pathlib import Path

from lilliput.data.lines import Place, shown
from lilliput.data.problem import Problem
from lilliput.data.problems import read_problems

FAMILIES = {"nlaugmenter": "docstring", "func_name": "func_name", "natgen": "syntax", "format": "format"}
"""The released folders, and the families of :mod:`lilliput.evaluate.perturb` that they hold."""

_NAME = re.compile(r"(?P<dataset>[A-Za-z0-9]+)_(?P<perturbation>\w+)_s(?P<seed>\d+)\.jsonl(?:\.gz)?")

Released = dict[str, dict[int, list[Problem]]]


def read_recode(folder: Path, dataset: str = "humaneval") -> Released:
    """Perturbed problems by perturbation (named as in the file name) and by seed, in the files' order.

    Args:
        folder: the folder that holds the families' folders, or one of these.
        dataset: what the file names begin with.

    Raises:
        DataError: ``folder`` is not a folder, or holds no such file; a file cannot be read or a line of it is wrong
            (the message names file and line); a file exists twice; or the seeds of a perturbation differ in problems.
    """
    if not folder.is_dir():
        raise Place(folder).error("is not a folder.", "Give the folder with ReCode's files, or one family's in it.")
    found: Released = {}
    for path, perturbation, seed in _files(folder, dataset):
        seeds = found.setdefault(perturbation, {})
        if seed in seeds:
            raise Place(path).error(f"seed {seed} of {perturbation} exists twice.", "Remove one of the two files.")
        seeds[seed] = read_problems(path, "humaneval")
        expected = [problem.task_id for problem in next(iter(seeds.values()))]
        if [problem.task_id for problem in seeds[seed]] != expected:
            raise Place(path).error(
                f"has other problems, or in another order, than the other seeds of {perturbation}.",
                "Get the file again.",
            )
    if not found:
        raise Place(folder).error(
            f"holds no file called {shown(dataset + '_PERTURBATION_s0.jsonl')} (or .jsonl.gz).",
            f"Give the folder that holds {', '.join(FAMILIES)}.",
        )
    return found


def _files(folder: Path, dataset: str) -> list[tuple[Path, str, int]]:
    """Each file, its perturbation and its seed, sorted by them."""
    places = [folder, *(folder / family for family in FAMILIES if (folder / family).is_dir())]
    found = []
    for path in (path for place in places for path in place.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match and match["dataset"] == dataset:
            found.append((path, match["perturbation"], int(match["seed"])))
    return sorted(found, key=lambda item: (item[1], item[2], item[0]))
