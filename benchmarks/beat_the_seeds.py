"""Ours beside the Compressor paper's released checkpoints, our teachers, and a regression on token counts: one table.

Run: python benchmarks/beat_the_seeds.py --shared FOLDER [--teacher TASK=FOLDER ...] [--limit N]
     python benchmarks/beat_the_seeds.py --page

FOLDER of --shared holds ``data/devign``, ``data/bigclonebench`` and ``seeds/compressor``. All are measured on the
validation splits: the shipped models in the engine; the released checkpoints in torch, and as graphs of ours in the
engine (fp32); the teachers in torch. Rewrites (--limit examples of each task) are those of ``lilliput robustness``.
CodeBERT's shape with random weights is there for its latency. Energy is of one example at its natural length.

The validation splits chose our models' settings and epochs, so these figures flatter them a little; the released
checkpoints were chosen by their authors. Results go to results/beat_the_seeds.json, and the table to README.md
(--page: only that).
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from released import as_artifact

from lilliput import api
from lilliput.evaluate.resources import machine
from lilliput.files import write_json, write_text
from lilliput.progress import for_stream

RESULTS = Path(__file__).parent / "results" / "beat_the_seeds.json"
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- table: beat_the_seeds -->", "<!-- end of table -->"


@dataclass(frozen=True)
class Seeds:
    """One task's files under the shared folder.

    Attributes:
        title: in the table.
        data: folder of the data.
        train, valid: files in it.
        released: the paper's checkpoint, under ``seeds/compressor``.
        tokens: input length of the latency.
    """

    title: str
    data: str
    train: str
    valid: str
    released: str
    tokens: int = 400


TASKS = {
    "vulnerability": Seeds(
        "Devign", "data/devign", "train.jsonl.gz", "valid.jsonl.gz", "codebert-vulnerability/model.bin"
    ),
    "clone": Seeds(
        "BigCloneBench",
        "data/bigclonebench",
        "train_sampled10pct_90102.txt.gz",
        "valid_sampled.txt.gz",
        "codebert-clone/model.bin",
    ),
}

OURS, TORCH, ENGINE, TEACHER, REGRESSION = (
    "lilliput, int8",
    "Compressor's release, torch",
    "Compressor's release, our engine fp32",
    "our teacher, torch",
    "regression on token counts",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--teacher", action="append", default=[], metavar="TASK=FOLDER")
    parser.add_argument("--limit", type=int, default=300, help="examples that are rewritten")
    parser.add_argument("--page", action="store_true", help="only write the table into README.md")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not options.page:
        if options.shared is None:
            parser.error("--shared or --page is needed")
        teachers = dict(item.split("=", 1) for item in options.teacher)
        with tempfile.TemporaryDirectory() as scratch:
            measured = {
                name: measure(name, seeds, options.shared, teachers.get(name), options.limit, Path(scratch))
                for name, seeds in TASKS.items()
            }
        command = shlex.join(["python", "benchmarks/beat_the_seeds.py", *sys.argv[1:]])
        write_json(options.output, {"command": command, "machine": machine(), "measured": measured})
    page = README.read_text(encoding="utf-8")
    write_text(README, with_table(page, json.loads(options.output.read_text(encoding="utf-8"))["measured"]))
    print(table(json.loads(options.output.read_text(encoding="utf-8"))["measured"]))


def measure(
    task: str, seeds: Seeds, shared: Path, teacher: str | None, limit: int, scratch: Path
) -> dict[str, dict[str, Any]]:
    """Subject -> what ``evaluate`` and ``robustness`` say of it on the validation split."""
    train, valid = shared / seeds.data / seeds.train, shared / seeds.data / seeds.valid
    released = shared / "seeds" / "compressor" / seeds.released
    subjects: dict[str, str | Path] = {
        OURS: task,
        TORCH: released,
        ENGINE: as_artifact(released, task, scratch / task),
        **({TEACHER: teacher} if teacher else {}),
    }
    measured, progress = {}, for_stream()
    for name, subject in subjects.items():
        progress.note(f"{seeds.title}: {name}")
        found = api.evaluate(subject, task, valid, train=train, tokens=seeds.tokens, progress=progress).as_dict()
        against = teacher if name == OURS else None
        robust = api.robustness(subject, task, valid, limit=limit, against=against, progress=progress).as_dict()
        faithful = robust["against"] and robust["against"]["faithfulness"]
        kept = {key: value for key, value in found.items() if key not in ("machine", "command")}
        measured[name] = {**kept, "flips": robust["flips"], "faithfulness": faithful}
    return measured


def table(measured: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The table of README.md."""
    lines = [
        "| validation split | bytes | accuracy | F1 | MCC | flips | ms | mJ |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for task, subjects in measured.items():
        title = f"{TASKS[task].title} (n = {next(iter(subjects.values()))['n']:,})"
        for name, found in subjects.items():
            cells = [
                f"{title}: {name}",
                f"{found['bytes']['total']:,}",
                *(_with_interval(found, key) for key in ("accuracy", "f1")),
                f"{found['mcc']:.3f}",
                f"{found['flips']['any']['worst']['value']:.1%}",
                f"{found['latency_ms']['p50']:.1f}",
                f"{1e3 * found['energy']['joules_per_example']:.0f}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
        baseline = next(iter(subjects.values()))["baselines"]["details"][_REGRESSION_KEY]
        scores = f"{baseline['accuracy']:.1%} | {baseline['f1']:.1%} | {baseline['mcc']:.3f}"
        lines.append(f"| {title}: {REGRESSION} | | {scores} | | | |")
    return "\n".join(lines)


_REGRESSION_KEY = "token_logistic"


def _with_interval(found: Mapping[str, Any], key: str) -> str:
    low, high = (100 * end for end in found["intervals"][key])
    return f"{100 * found[key]:.1f} % [{low:.1f}, {high:.1f}]"


def with_table(page: str, measured: Mapping[str, Any]) -> str:
    """``page`` with the table between its two marks."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table(measured)}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    main()
