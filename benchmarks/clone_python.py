"""Train and measure the shipped model ``clone-python``: the demo's token table without layers, trained on nine times as
many pairs and their rewrites (``shrink --robust``).

Run: lilliput demo --out DEMO
     python benchmarks/clone_python.py --teacher DEMO/teacher --work FOLDER [--output FILE]

Pairs come from Python's standard library (lilliput.data.corpus, seed 0). Training, validation and test pairs are from
different files, and the demo's teacher saw only the training files. The epoch was chosen on validation data, so the
test pairs are the ones to judge by. For comparison: the regression on token counts, fitted on the same training pairs,
and the currently shipped model.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput import api
from lilliput.data.corpus import clone_corpus, write_clone_corpus
from lilliput.data.dataset import Dataset
from lilliput.evaluate.baselines import token_logistic
from lilliput.evaluate.classification import score
from lilliput.evaluate.resources import machine
from lilliput.files import write_json
from lilliput.progress import for_stream
from lilliput.tasks import task_named
from lilliput.verbs.demo import GRAMS
from lilliput.verbs.shrink import ShrinkSettings
from lilliput.verbs.subjects import open_subject

TRAIN, VALID, TEST = 56_000, 2_000, 2_000

SETTINGS = ShrinkSettings(
    candidates=1,
    epochs=8,
    learning_rate=2e-3,
    dropout=0.0,
    grams=GRAMS,
    max_tokens=400,
    attended=0,
    robust=1.0,
    language="python",
    smallest_vocabulary=2000,
    largest_vocabulary=2000,
)


def figures(labels: NDArray[np.int64], found: NDArray[np.int64]) -> dict[str, Any]:
    """Compute scores with their intervals."""
    scores = score(labels, found, 2, 1)
    return {name: getattr(scores, name) for name in ("n", "accuracy", "f1", "mcc", "intervals")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "clone_python.json")
    options = parser.parse_args()
    data, student, progress = options.work / "data", options.work / "student", for_stream()
    if not data.exists():
        write_clone_corpus(clone_corpus(0, TRAIN, VALID, TEST, progress), data)
    paths = {name: data / f"{name}.txt" for name in ("train", "valid", "test")}
    if not student.exists():
        files = [paths["train"]], [paths["valid"]]
        api.shrink(options.teacher, "clone", *files, student, latency_ms=None, settings=SETTINGS, progress=progress)
    sets: dict[str, Dataset] = {name: task_named("clone").read([path]) for name, path in paths.items()}
    measured: dict[str, dict[str, Any]] = {}
    for split in ("valid", "test"):
        labels = sets[split].labels
        rows = {"regression on token counts": token_logistic(sets["train"], sets[split], 1).predictions}
        for name, path in {"student": student, "what ships": "clone-python"}.items():
            rows[name] = open_subject(path, "clone").logits(sets[split], progress).argmax(1)
        measured[split] = {name: figures(labels, found) for name, found in rows.items()}
        for name, found in measured[split].items():
            low, high = found["intervals"]["accuracy"]
            print(f"{split:6} {name:27} accuracy {found['accuracy']:.1%} [{low:.1%}, {high:.1%}], F1 {found['f1']:.1%}")
    write_json(
        options.output,
        {
            "command": shlex.join(["python", "benchmarks/clone_python.py", *sys.argv[1:]]),
            "machine": machine(),
            "pairs": {"train": TRAIN, "valid": VALID, "test": TEST},
            "measured": measured,
        },
    )


if __name__ == "__main__":
    main()
