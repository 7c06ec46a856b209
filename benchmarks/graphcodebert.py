"""Is data flow worth its milliseconds? The Compressor paper's two GraphCodeBERT students, with and without it.

Run: python benchmarks/graphcodebert.py --shared FOLDER --work FOLDER [--out FILE]

The --shared FOLDER holds ``data/devign``, ``data/bigclonebench`` and ``seeds/compressor/graphcodebert-*``. Both
students are measured on the whole validation splits (test splits are not touched) with and without data-flow nodes,
with the same code and weights. Differences are paired by example. The model's answers are kept in --work, so an
interrupted run resumes.

Times are CPU time of one thread, so that other work on the machine does not count: for extraction over all functions,
and for building inputs and running the model on some functions, one function at a time, the variants in turn.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lilliput.data.dataflow import data_flow
from lilliput.data.dataset import Dataset
from lilliput.data_flow import GraphInput
from lilliput.evaluate.classification import score
from lilliput.evaluate.intervals import bootstrap_mean
from lilliput.evaluate.paired import median
from lilliput.evaluate.resources import machine
from lilliput.files import write_json
from lilliput.progress import Progress, for_stream
from lilliput.tasks import task_named
from lilliput.teachers import open_teacher
from lilliput.teachers.dataflow import GraphEncoding, GraphTeacher, ids_of
from lilliput.teachers.outputs import teacher_outputs

DATA = {"clone": "data/bigclonebench/valid_sampled.txt.gz", "vulnerability": "data/devign/valid.jsonl.gz"}

SAMPLE = 100
"""Examples on which bfloat16 must agree with float32 before it is used."""

TIMED = 60
"""Functions whose inputs and passes are timed."""

Make = Callable[[Sequence[str]], list[GraphInput]]


def plain(encoding: GraphEncoding) -> Make:
    """CodeBERT-style inputs: the whole text with white space collapsed, no data flow."""
    none = np.zeros((0, 2), np.int64)
    tokenize = encoding.tokenizer.encode
    return lambda texts: [GraphInput(ids, len(ids), none, none) for ids in tokenize(texts)]


@dataclass(frozen=True)
class Way:
    """One kind of input.

    Attributes:
        name: description.
        make: derives the encoding from the teacher's own.
    """

    name: str
    make: Callable[[GraphEncoding], Make]


WITH, WITHOUT = "data flow", "the same code, nodes removed"
WAYS = (
    Way(WITH, lambda encoding: encoding),
    Way(WITHOUT, lambda encoding: replace(encoding, flow=False)),
)


def given(teacher: GraphTeacher, way: Way, make: Make) -> GraphTeacher:
    """A teacher with other inputs, and therefore another fingerprint."""
    return replace(teacher, graphs=make, tokenize=ids_of(make), fingerprint=f"{teacher.fingerprint}|{way.name}")


def bfloat16_agrees(teacher: GraphTeacher, dataset: Dataset) -> dict[str, Any]:
    """Return whether bfloat16 predicts the same classes as float32 on a sample."""
    sample = dataset.subset(np.random.default_rng(0).permutation(len(dataset))[:SAMPLE])
    exact, fast = (teacher.logits(sample, exact=choice) for choice in (True, False))
    equal = int((exact.argmax(1) == fast.argmax(1)).sum())
    largest = float(np.abs(exact - fast).max())
    return {"n": len(sample), "same class": equal, "largest difference of logits": largest, "used": equal == SAMPLE}


def scores(dataset: Dataset, logits: NDArray[np.float32]) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Compute the figures, and which examples are right."""
    guess = logits.argmax(1)
    found = score(dataset.labels, guess, classes=2, positive=1)
    names = ("n", "accuracy", "f1", "precision", "recall", "mcc")
    figures = {name: getattr(found, name) for name in names}
    intervals = found.as_dict()["intervals"]
    return {**figures, "intervals": intervals}, (guess == dataset.labels).astype(np.float64)


def extraction(dataset: Dataset, encoding: GraphEncoding) -> dict[str, Any]:
    """Measure CPU milliseconds of extraction over every distinct function, and what it finds."""
    flows, times = [], []
    for text in dataset.texts:
        start = time.process_time()
        flows.append(data_flow(text, encoding.language, limit=encoding.room.total))
        times.append(1e3 * (time.process_time() - start))
    inputs = encoding(dataset.texts)
    edges = [len(flow.edges) for flow in flows]
    return {
        "functions": len(times),
        "mean_ms": float(np.mean(times)),
        "p50_ms": float(np.median(times)),
        "p95_ms": float(np.percentile(times, 95)),
        "functions_per_second": 1e3 / float(np.mean(times)),
        "median nodes found": float(np.median([len(flow.nodes) for flow in flows])),
        "median edges found": float(np.median(edges)),
        "functions without any edge": sum(not count for count in edges),
        "median places of code": float(np.median([item.code for item in inputs])),
        "median places of nodes": float(np.median([len(item.ids) - item.code for item in inputs])),
    }


def costs(dataset: Dataset, teacher: GraphTeacher, encoding: GraphEncoding) -> dict[str, Any]:
    """Measure CPU milliseconds of building an input and of a forward pass, one function at a time."""
    ways: dict[str, Make] = {WITH: encoding, WITHOUT: replace(encoding, flow=False), "plain text": plain(encoding)}
    names = (f"{kind}, {name}" for name in ways for kind in ("input", "pass"))
    times: dict[str, list[float]] = {name: [] for name in names}
    for place in np.random.default_rng(0).permutation(len(dataset.texts))[:TIMED]:
        for name, make in ways.items():
            start = time.process_time()
            (item,) = make([dataset.texts[place]])
            times[f"input, {name}"].append(1e3 * (time.process_time() - start))
            ids, mask = torch.from_numpy(item.ids)[None], torch.from_numpy(item.mask)[None]
            with torch.no_grad():
                teacher.model.encode(ids, mask)  # warm-up
                start = time.process_time()
                teacher.model.encode(ids, mask)
            times[f"pass, {name}"].append(1e3 * (time.process_time() - start))
    del times[f"input, {WITHOUT}"]  # includes finding the nodes first
    found = {name: median(values) for name, values in times.items()}
    return {
        name: {"p50_ms": item.value, "interval": [item.low, item.high], "n": item.n} for name, item in found.items()
    }


def measure(task: str, shared: Path, work: Path, progress: Progress) -> dict[str, Any]:
    """Measure everything for one task's student."""
    dataset = task_named(task).read([shared / DATA[task]])
    teacher = open_teacher(shared / f"seeds/compressor/graphcodebert-{task}", task=task)
    if not isinstance(teacher, GraphTeacher) or not isinstance(teacher.graphs, GraphEncoding):
        raise TypeError(f"{teacher.name} does not read data flow")
    encoding = teacher.graphs
    bfloat16 = bfloat16_agrees(teacher, dataset)
    accuracy: dict[str, Any] = {}
    hits = {}
    for way in WAYS:
        progress.note(f"{task}: {way.name}")
        subject = given(teacher, way, way.make(encoding))
        outputs = teacher_outputs(subject, dataset, work, progress, exact=not bfloat16["used"])
        accuracy[way.name], hits[way.name] = scores(dataset, outputs.logits)
    gain = bootstrap_mean(hits[WITH] - hits[WITHOUT])
    return {
        "bfloat16": bfloat16,
        "accuracy": accuracy,
        "accuracy gained by data flow": {"value": gain.value, "interval": [gain.low, gain.high], "n": gain.n},
        "extraction": extraction(dataset, encoding),
        "one function": costs(dataset, teacher, encoding),
    }


def show(measured: Mapping[str, Any]) -> None:
    """Print the tables."""
    for task, found in measured.items():
        print(f"\n{task:40} {'accuracy':>22} {'F1':>22} {'MCC':>24}")
        for name, figures in found["accuracy"].items():
            cells = [
                f"{figures[key]:.3f} [{low:.3f}, {high:.3f}]"
                for key in ("accuracy", "f1", "mcc")
                for low, high in [figures["intervals"][key]]
            ]
            print(f"{name:40} {cells[0]:>22} {cells[1]:>22} {cells[2]:>24}  n = {figures['n']}")
        for name, item in found["one function"].items():
            low, high = item["interval"]
            print(f"{name:40} {item['p50_ms']:8.2f} ms [{low:.2f}, {high:.2f}]  n = {item['n']}")
        print(f"gained: {found['accuracy gained by data flow']}\nextraction: {found['extraction']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where the model's answers are kept")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "graphcodebert.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    progress = for_stream()
    measured = {task: measure(task, options.shared, options.work, progress) for task in DATA}
    show(measured)
    write_json(
        options.out,
        {
            "command": shlex.join(["python", "benchmarks/graphcodebert.py", *sys.argv[1:]]),
            "machine": machine(),
            "on the validation split": measured,
        },
    )
    print(f"\nwrote {options.out}")


if __name__ == "__main__":
    main()
