"""A child process that opens a model and classifies examples, so that its memory can be measured from outside.

``python -m lilliput.verbs.evaluate.footprint REQUEST.json``; started by :func:`peak_memory_mb`, not by users.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lilliput.children import python_module
from lilliput.data.dataset import Dataset
from lilliput.evaluate.resources import tried_peak_memory
from lilliput.progress import Progress
from lilliput.verbs.subjects import open_subject

EXAMPLES = 64
"""Examples classified while memory is measured."""


def peak_memory_mb(
    path: str | Path,
    task: str,
    tokenizer: Path | None,
    threads: int,
    dataset: Dataset,
    note: Callable[[str], object],
) -> float | None:
    """Peak resident memory in MB of a fresh process that opens the model and classifies :data:`EXAMPLES` examples.

    ``None`` if it fails; ``note`` is called with the reason.
    """
    part = dataset.subset(np.arange(min(EXAMPLES, len(dataset))))
    request = {
        "path": str(path),
        "task": task,
        "tokenizer": None if tokenizer is None else str(tokenizer),
        "threads": threads,
        "texts": part.texts,
        "members": part.members.tolist(),
        "label_names": part.label_names,
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "request.json"
        file.write_text(json.dumps(request), encoding="utf-8")
        return tried_peak_memory(python_module("lilliput.verbs.evaluate.footprint", str(file)), note)


def main(file: Path) -> None:
    """Carry out the request in a file."""
    request = json.loads(file.read_text(encoding="utf-8"))
    members = np.array(request["members"], np.int64)
    dataset = Dataset(tuple(request["texts"]), members, np.full(len(members), -1), tuple(request["label_names"]))
    tokenizer = None if request["tokenizer"] is None else Path(request["tokenizer"])
    open_subject(request["path"], request["task"], tokenizer, request["threads"]).logits(dataset, Progress())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
