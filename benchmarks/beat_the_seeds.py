"""Compare the shipped models with the Compressor paper's checkpoints, our teachers, and a regression on token counts.

Run: python benchmarks/beat_the_seeds.py --shared FOLDER [--teacher TASK=FOLDER ...] [--limit N]
     python benchmarks/beat_the_seeds.py --shared FOLDER --again TASK
     python benchmarks/beat_the_seeds.py --page

The --shared FOLDER holds ``data/devign``, ``data/bigclonebench`` and ``seeds/compressor``. All models are measured on
the validation splits: the shipped models in the engine, the released checkpoints in torch and as our graphs in the
engine (fp32), the teachers in torch or from recorded logits. Rewrites (--limit examples of each task) are those of
``lilliput robustness``. Energy is per example at its natural length. latency.py times CodeBERT's shape.

Settings and epochs of our models were chosen on the validation splits, so these figures flatter them a little; the
released checkpoints were chosen by their authors. Results go to results/beat_the_seeds.json, and the table to README.md
(with --page, only the table is written). --again measures all rows of one task again, with the baselines; the other
task's rows stay as recorded, possibly on another day, and so does a recorded teacher that is not named.
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

from lilliput import api
from lilliput.data.tables import Columns
from lilliput.evaluate.classification import score
from lilliput.evaluate.faithfulness import faithfulness
from lilliput.evaluate.resources import machine
from lilliput.files import write_json, write_text
from lilliput.progress import for_stream
from lilliput.tasks import task_named
from lilliput.teachers import open_teacher
from lilliput.verbs.subjects import open_subject

RESULTS = Path(__file__).parent / "results" / "beat_the_seeds.json"
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- table: beat_the_seeds -->", "<!-- end of table -->"


@dataclass(frozen=True)
class Seeds:
    """One task's files under the shared folder.

    Attributes:
        title: heading in the table.
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
    "its teacher",
    "regression on token counts",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--teacher", action="append", default=[], metavar="TASK=FOLDER")
    parser.add_argument("--limit", type=int, default=300, help="examples that are rewritten")
    parser.add_argument("--again", choices=TASKS, help="measure only the rows of this task")
    parser.add_argument("--page", action="store_true", help="only write the table into README.md")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if not options.page:
        if options.shared is None:
            parser.error("--shared or --page is needed")
        teachers = dict(item.split("=", 1) for item in options.teacher)
        made: dict[str, Any] = {
            "command": shlex.join(["python", "benchmarks/beat_the_seeds.py", *sys.argv[1:]]),
            "machine": machine(),
        }
        with tempfile.TemporaryDirectory() as scratch:
            measured = {
                name: measure(name, seeds, options.shared, teachers.get(name), options.limit, Path(scratch))
                for name, seeds in TASKS.items()
                if options.again in (None, name)
            }
        if options.again is not None:
            before = json.loads(options.output.read_text(encoding="utf-8"))
            rows = {**before["measured"][options.again], **measured[options.again]}
            measured = {**before["measured"], options.again: rows}
            made = {**before, "again": {**before.get("again", {}), options.again: made}}
        write_json(options.output, {**made, "measured": measured})
    page = README.read_text(encoding="utf-8")
    write_text(README, with_table(page, json.loads(options.output.read_text(encoding="utf-8"))["measured"]))
    print(table(json.loads(options.output.read_text(encoding="utf-8"))["measured"]))


def measure(
    task: str, seeds: Seeds, shared: Path, teacher: str | None, limit: int, scratch: Path
) -> dict[str, dict[str, Any]]:
    """Map each subject to the results of ``evaluate`` and ``robustness`` on the validation split."""
    from released import as_artifact  # beside this file: importable only when this file is run as a script

    train, valid = shared / seeds.data / seeds.train, shared / seeds.data / seeds.valid
    released = shared / "seeds" / "compressor" / seeds.released
    recorded = teacher is not None and Path(teacher).suffix == ".npz"  # recorded logits: nothing to run or time
    subjects: dict[str, str | Path] = {OURS: task, TORCH: released, ENGINE: as_artifact(released, task, scratch / task)}
    subjects |= {TEACHER: teacher} if teacher and not recorded else {}
    measured, progress = {}, for_stream()
    for name, subject in subjects.items():
        progress.note(f"{seeds.title}: {name}")
        found = api.evaluate(subject, task, valid, train=train, tokens=seeds.tokens, progress=progress).as_dict()
        robust = api.robustness(subject, task, valid, limit=limit, progress=progress).as_dict()
        kept = {key: value for key, value in found.items() if key not in ("machine", "command")}
        measured[name] = {**kept, "flips": robust["flips"]}
    if teacher:
        guide, ours = open_teacher(teacher, task=task), open_subject(task, task)
        data = task_named(task).read([valid], Columns(), ours.label_names, True)
        taught = guide.logits(data, progress)
        measured[OURS]["faithfulness"] = faithfulness(ours.logits(data, progress), taught, data.labels).as_dict()
        if recorded:
            scores = score(data.labels, taught.argmax(1), len(data.label_names), task_named(task).positive)
            intervals = scores.as_dict()["intervals"]
            plain = {key: getattr(scores, key) for key in ("n", "accuracy", "f1", "mcc")}
            measured[TEACHER] = {**plain, "intervals": intervals, "bytes": {"total": guide.bytes()}}
    return measured


def table(measured: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Render the table of README.md."""
    lines = [
        "| validation split | bytes | accuracy | F1 | MCC | flips | ms | mJ |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for task, subjects in measured.items():
        title = f"{TASKS[task].title} (n = {next(iter(subjects.values()))['n']:,})"
        for name, found in subjects.items():
            cells = [
                f"{title}: {name}",
                f"{found['bytes']['total']:,}" if "flips" in found else "",
                *(_with_interval(found, key) for key in ("accuracy", "f1")),
                f"{found['mcc']:.3f}",
                f"{100 * found['flips']['any']['worst']['value']:.0f} %" if "flips" in found else "",
                *(_cost(found) if "flips" in found else ("", "")),
            ]
            lines.append("| " + " | ".join(cells) + " |")
        baseline = next(iter(subjects.values()))["baselines"]["details"][_REGRESSION_KEY]
        scores = f"{100 * baseline['accuracy']:.1f} % | {100 * baseline['f1']:.1f} % | {baseline['mcc']:.3f}"
        lines.append(f"| {title}: {REGRESSION} | | {scores} | | | |")
    return "\n".join(lines)


_REGRESSION_KEY = "token_logistic"


def _cost(found: Mapping[str, Any]) -> tuple[str, str]:
    """Format milliseconds and millijoules."""
    return f"{found['latency_ms']['p50']:.1f}", f"{1e3 * found['energy']['joules_per_example']:.0f}"


def _with_interval(found: Mapping[str, Any], key: str) -> str:
    low, high = (100 * end for end in found["intervals"][key])
    return f"{100 * found[key]:.1f} % [{low:.1f}, {high:.1f}]"


def with_table(page: str, measured: Mapping[str, Any]) -> str:
    """Return ``page`` with the table between its two markers replaced."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table(measured)}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    main()
