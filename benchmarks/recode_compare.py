"""Compare the perturbations of lilliput.evaluate.perturb with ReCode's released ones, on HumanEval.

Run: python benchmarks/recode_compare.py --humaneval HumanEval.jsonl.gz --recode FOLDER [--seed 0] [--output FILE]

FOLDER holds ReCode's nlaugmenter, func_name, natgen and format. For each perturbation, ours and released, the script
reports the share of problems whose prompt changes, how much of the prompt changes (edit distance divided by the longer
prompt's length, mean over the problems that change), and the share of changed problems whose canonical solution still
passes its tests. Released prompts of syntax and format are compared with HumanEval cut in the middle of its solutions,
which they were made from.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.data.humaneval import Problem
from lilliput.data.problems import read_problems
from lilliput.data.recode import read_recode
from lilliput.evaluate.intervals import bootstrap_mean, wilson
from lilliput.evaluate.perturb import Perturbation, named, nominal
from lilliput.evaluate.perturb.check import check
from lilliput.evaluate.resources import machine
from lilliput.files import write_json
from lilliput.progress import for_stream

SECONDS = 30.0
"""Time limit of a solution, or a batch of them. Some released ones never end."""


def edit_distance(one: str, other: str) -> int:
    """Levenshtein distance, bit-parallel, one column at a time (Myers 1999, as simplified by Hyyrö 2003)."""
    if not one:
        return len(other)
    where: dict[str, int] = {}
    for place, character in enumerate(one):
        where[character] = where.get(character, 0) | 1 << place
    full, last, distance = (1 << len(one)) - 1, 1 << (len(one) - 1), len(one)
    up, down = full, 0  # bits of the cells that are one more, and one less, than the cell above
    for character in other:
        equal = where.get(character, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down
        right, left = down | (full & ~(diagonal | up)), up & diagonal
        distance += bool(right & last) - bool(left & last)
        right, left = (right << 1 | 1) & full, (left << 1) & full
        up, down = left | (full & ~(diagonal | right)), right & diagonal
    return distance


def compared(before: Sequence[Problem], after: Sequence[Problem], workers: int | None) -> dict[str, Any]:
    """Compute one perturbation's counts, shares with their 95 % intervals, and failures."""
    pairs = [(one, other) for one, other in zip(before, after, strict=True) if one.prompt != other.prompt]
    figures: dict[str, Any] = {"problems": len(before), "changed": wilson(len(pairs), len(before))}
    if not pairs:
        return figures
    distances = [
        edit_distance(one.prompt, other.prompt) / max(len(one.prompt), len(other.prompt)) for one, other in pairs
    ]
    failures = check([other for _, other in pairs], workers, seconds=SECONDS)
    return {
        **figures,
        "edit_distance": bootstrap_mean(np.array(distances)),
        "passing": wilson(len(pairs) - len(failures), len(pairs)),
        "failures": [{"task_id": failure.task_id, "detail": failure.verdict.detail} for failure in failures],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--humaneval", type=Path, required=True)
    parser.add_argument("--recode", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "recode_compare.json")
    options = parser.parse_args()
    problems = read_problems(options.humaneval, "humaneval")
    released = read_recode(options.recode)
    rows = []
    perturbations = named()
    known = {perturbation.released for perturbation in perturbations}
    with for_stream().track("perturbations", len(perturbations)) as advance:
        for perturbation in perturbations:
            rows.append(row(perturbation, problems, released, options))
            advance()
    for name in sorted(set(released) - known):
        rows.append({"released": name, "theirs": compared(problems, released[name][0], options.workers)})
    print(f"\n{'':22} {'':30} {'changed, %':>15} {'edit distance':>15} {'passing, %':>15}")
    print(f"{'ours':22} {'released':30} {'ours':>7} {'theirs':>7} {'ours':>7} {'theirs':>7} {'ours':>7} {'theirs':>7}")
    for found in rows:
        cells = [
            shown(found.get(side), figure, scale)
            for figure, scale in (("changed", 100), ("edit_distance", 1), ("passing", 100))
            for side in ("ours", "theirs")
        ]
        print(f"{found.get('name', ''):22} {found['released']:30} {' '.join(f'{cell:>7}' for cell in cells)}")
    # Record no local paths.
    command = ["python", "benchmarks/recode_compare.py", "--humaneval", options.humaneval.name, "--recode", "FOLDER"]
    facts = {"command": shlex.join([*command, "--seed", str(options.seed)]), "machine": machine()}
    write_json(options.output, {**facts, "seed": options.seed, "rows": [plain(found) for found in rows]})


def row(perturbation: Perturbation, problems: list[Problem], released: Any, options: argparse.Namespace) -> Any:
    before = nominal(problems, perturbation)
    after = [perturbation(problem, options.seed) or problem for problem in before]
    found = {
        "name": perturbation.name,
        "family": perturbation.family,
        "released": perturbation.released,
        "ours": compared(before, after, options.workers),
    }
    seeds = released.get(perturbation.released)
    if seeds is not None:
        theirs = seeds[options.seed if options.seed in seeds else 0]
        found["theirs"] = compared(before, theirs, options.workers)
    return found


def shown(figures: dict[str, Any] | None, name: str, scale: int) -> str:
    if figures is None or name not in figures:
        return "-"
    return f"{scale * figures[name].value:.{1 if scale == 100 else 3}f}"


def plain(value: Any) -> Any:
    """Convert estimates to dictionaries."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return (
        {"value": value.value, "low": value.low, "high": value.high, "n": value.n} if hasattr(value, "low") else value
    )


if __name__ == "__main__":
    main()
