"""Architecture search with the paper's fitness: exhaustive, genetic (several seeds), and the published results.

Run: python benchmarks/search.py [--seeds 10] [--output benchmarks/results/search.json]

The three targets are the paper's: 3, 25 and 50 MB of fp32 weights. "gap" is how far a fitness lies below the optimum.
The published 25 and 50 MB architectures have 16 heads, which the released search space (1, 2, 4, 8) does not contain.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import shlex
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.evaluate.resources import cpu_name
from lilliput.files import write_json
from lilliput.search import Architecture, PaperProblem, SearchResult, exact_search, genetic_search
from lilliput.version import VERSION

PUBLISHED = {
    3: Architecture(layers=12, hidden=96, heads=8, intermediate=64, vocabulary=1000),
    25: Architecture(layers=6, hidden=432, heads=16, intermediate=128, vocabulary=1000),
    50: Architecture(layers=6, hidden=480, heads=16, intermediate=576, vocabulary=6000),
}
"""Target in MB -> the architecture given in the paper's replication package."""

REPEATS = 5
"""Runs of the exhaustive search; the median time counts."""


def rows_of(megabytes: int, seeds: int) -> list[dict[str, Any]]:
    """Run all searches for one target; the optimum comes first."""
    problem = PaperProblem(megabytes)
    runs = [exact_search(problem) for _ in range(REPEATS)]
    best = runs[0]
    found = [("exact", best, statistics.median(run.seconds for run in runs))]
    for seed in range(seeds):
        result = genetic_search(problem, seed=seed)
        found.append((f"genetic, seed {seed}", result, result.seconds))
    rows = [row(megabytes, name, result, seconds, best.fitness) for name, result, seconds in found]
    published = problem.result(PUBLISHED[megabytes], "fp32", 0.0, "published")
    return [*rows, row(megabytes, "published", published, None, best.fitness)]


def row(megabytes: int, name: str, result: SearchResult, seconds: float | None, optimum: float) -> dict[str, Any]:
    return {
        "target_mb": megabytes,
        "method": name,
        "architecture": result.architecture.as_dict(),
        "mb": result.bytes / 1e6,
        "gflops": result.gflops,
        "fitness": result.fitness,
        "gap": optimum - result.fitness,
        "seconds": seconds,
    }


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'MB':>3}  {'method':16} {'fitness':>8} {'gap':>7} {'size MB':>8} {'seconds':>8}  architecture"]
    for entry in rows:
        seconds = "" if entry["seconds"] is None else f"{entry['seconds']:.3f}"
        lines.append(
            f"{entry['target_mb']:3}  {entry['method']:16} {entry['fitness']:8.3f} {entry['gap']:7.3f} "
            f"{entry['mb']:8.3f} {seconds:>8}  {Architecture(**entry['architecture'])}"
        )
    return "\n".join(lines)


def summary_of(rows: list[dict[str, Any]], megabytes: int) -> dict[str, Any]:
    """Compare the genetic runs for one target with the optimum."""
    runs = [entry for entry in rows if entry["target_mb"] == megabytes and entry["method"].startswith("genetic")]
    gaps = [entry["gap"] for entry in runs]
    return {
        "target_mb": megabytes,
        "genetic_runs": len(runs),
        "genetic_answers": len({tuple(entry["architecture"].values()) for entry in runs}),
        "genetic_found_optimum": sum(gap < 1e-9 for gap in gaps),
        "genetic_median_gap": statistics.median(gaps),
        "genetic_worst_gap": max(gaps),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="genetic searches for each target")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "search.json")
    options = parser.parse_args()
    rows = [entry for megabytes in PUBLISHED for entry in rows_of(megabytes, options.seeds)]
    summaries = [summary_of(rows, megabytes) for megabytes in PUBLISHED]
    print(table(rows))
    for summary in summaries:
        print(
            f"{summary['target_mb']} MB: {summary['genetic_runs']} genetic runs, "
            f"{summary['genetic_answers']} different answers, {summary['genetic_found_optimum']} runs at the optimum; "
            f"median gap {summary['genetic_median_gap']:.3f}, worst {summary['genetic_worst_gap']:.3f}"
        )
    write_json(
        options.output,
        {
            "command": shlex.join(["python", "benchmarks/search.py", *sys.argv[1:]]),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "cpu": cpu_name(),
            "versions": {"lilliput": VERSION, "python": platform.python_version(), "numpy": np.__version__},
            "summaries": summaries,
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
