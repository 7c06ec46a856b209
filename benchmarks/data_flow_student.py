"""Is data flow worth its milliseconds in our own students? Trains the same students with and without it.

Run: python benchmarks/data_flow_student.py --shared FOLDER --work FOLDER [--seeds 2] [--task T] [--out FILE]

The --shared FOLDER holds ``data/devign`` and ``data/bigclonebench``. Students of one small architecture learn from
labels alone, on a few thousand training functions drawn with a fixed seed; students that differ only in data flow have
the same tokenizer, functions, seed and number of steps. The last epoch's student is measured in floating point on the
whole validation split, which is not used to choose anything; test splits are not touched. The students' logits are kept
in --work, so an interrupted run resumes. The interval of the gain from data flow is over functions, because pairs share
them.

Times are CPU time of one thread, so that other work on the machine does not count: for reading validation functions,
and for forward passes of int8 graphs with random weights over them, one function at a time, the variants in turn.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lilliput.batching import BatchPlan, FlowTokenIds, TokenIds
from lilliput.bpe import train_tokenizer
from lilliput.data.dataset import Dataset
from lilliput.data_flow import DataFlow
from lilliput.distill.lesson import Lesson, distill, predict_logits
from lilliput.distill.student import Student
from lilliput.encoder import PAD_ID, EncoderConfig
from lilliput.evaluate.classification import score
from lilliput.evaluate.intervals import RESAMPLES, Estimate
from lilliput.evaluate.paired import median
from lilliput.evaluate.resources import machine
from lilliput.files import write_json
from lilliput.progress import Progress, for_stream
from lilliput.runtime.classifier import EncoderRunner
from lilliput.runtime.flow import FlowTokenizer, reader_for
from lilliput.runtime.tokens import CodeTokenizer
from lilliput.search import Architecture
from lilliput.tasks import task_named
from lilliput.training import TrainingPlan
from lilliput.verbs.latency import random_graph
from lilliput.verbs.shrink.settings import LABELS_ALONE

ARCHITECTURE = Architecture(layers=2, hidden=128, heads=2, intermediate=256, vocabulary=4000)
TOKENS, NODES = 256, 64
TIMED = 100
"""Number of functions timed."""


@dataclass(frozen=True)
class Run:
    """One task.

    Attributes:
        train, valid: files under the shared folder.
        language: language of the functions.
        functions: number of distinct training functions drawn; all examples among them are used.
        epochs: passes over the training data.
        pooling: how tokens are pooled: shrink's default for the task.
    """

    train: str
    valid: str
    language: str
    functions: int
    epochs: int
    pooling: str


RUNS = {
    "vulnerability": Run("data/devign/train.jsonl.gz", "data/devign/valid.jsonl.gz", "c", 6000, 2, "mean"),
    "clone": Run(
        "data/bigclonebench/train_sampled10pct_90102.txt.gz",
        "data/bigclonebench/valid_sampled.txt.gz",
        "java",
        1500,
        2,
        "wide",
    ),
}

WITH, WITHOUT = "data flow", "without"


def drawn(dataset: Dataset, functions: int) -> Dataset:
    """Draw functions at random and return the examples among them."""
    chosen = np.zeros(len(dataset.texts), np.bool_)
    chosen[np.random.default_rng(0).permutation(len(chosen))[:functions]] = True
    return dataset.subset(np.flatnonzero(chosen[dataset.members].all(1)))


def read(reader: CodeTokenizer | FlowTokenizer, dataset: Dataset) -> TokenIds:
    """Encode the functions as input for a student."""
    if not isinstance(reader, FlowTokenizer):
        return TokenIds(reader.encode(dataset.texts), PAD_ID, TOKENS)
    inputs = reader.encode(dataset.texts)
    return FlowTokenIds([item.tokens for item in inputs], PAD_ID, TOKENS, inputs)


def trained(
    config: EncoderConfig, run: Run, data: tuple[Dataset, TokenIds], checkpoint: Path, seed: int, progress: Progress
) -> Student:
    """Train a student on labels."""
    student = Student(config, seed=seed)
    plan = TrainingPlan(run.epochs, 1e-3, seed=seed)
    batches = BatchPlan(examples=32, seed=seed)
    distill(student, Lesson(*data), LABELS_ALONE, plan, batches, checkpoint=checkpoint, progress=progress)
    checkpoint.unlink(missing_ok=True)
    return student


def over_functions(values: NDArray[np.float64], members: NDArray[np.int64]) -> Estimate:
    """Mean of ``values``, one per example, with a 95 % bootstrap interval over functions.

    An example counts as often as all the functions ``members [examples, arity]`` that it joins are drawn together.
    """
    random, functions, means = np.random.default_rng(0), int(members.max()) + 1, []
    for _ in range(RESAMPLES):
        times = random.multinomial(functions, np.full(functions, 1 / functions))
        weights = times[members].prod(1)
        means.append(float((weights * values).sum() / weights.sum()))
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high), len(values))


def scores(dataset: Dataset, logits: NDArray[np.float32]) -> dict[str, Any]:
    """Compute one student's figures with their intervals."""
    found = score(dataset.labels, logits.argmax(1), classes=2, positive=1)
    figures = {name: getattr(found, name) for name in ("n", "accuracy", "f1", "mcc")}
    return {**figures, "intervals": found.as_dict()["intervals"]}


def costs(configs: dict[str, EncoderConfig], readers: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Measure CPU milliseconds for reading one function, and for the int8 graph's forward pass over it."""
    runners = {way: EncoderRunner(random_graph(config, "int8"), config, threads=1) for way, config in configs.items()}
    times: dict[str, list[float]] = {f"{what}, {way}": [] for way in configs for what in ("reading", "pass")}
    nodes = []
    for place in np.random.default_rng(1).permutation(len(dataset.texts))[:TIMED]:
        for way, reader in readers.items():
            start = time.process_time()
            (item,) = reader.encode([dataset.texts[place]])
            times[f"reading, {way}"].append(1e3 * (time.process_time() - start))
            runners[way].encode([item])  # warm-up: compiles for the shape
            start = time.process_time()
            runners[way].encode([item])
            times[f"pass, {way}"].append(1e3 * (time.process_time() - start))
            nodes += [len(item.spans)] if way == WITH else []
    found = {name: median(values) for name, values in times.items()}
    added = [median(np.subtract(times[f"{what}, {WITH}"], times[f"{what}, {WITHOUT}"])) for what in ("reading", "pass")]
    found |= {"reading, added": added[0], "pass, added": added[1]}
    shown = {key: {"p50_ms": item.value, "interval": [item.low, item.high], "n": item.n} for key, item in found.items()}
    return {**shown, "median nodes": float(np.median(nodes))}


def measure(task: str, shared: Path, work: Path, seeds: int, progress: Progress) -> dict[str, Any]:
    """Measure everything for one task."""
    run, kind = RUNS[task], task_named(task)
    train, valid = drawn(kind.read([shared / run.train]), run.functions), kind.read([shared / run.valid])
    progress.note(f"{task}: {len(train):,} examples among {len(train.texts):,} functions; {len(valid):,} to validate")
    tokenizer = CodeTokenizer(train_tokenizer(train.texts, ARCHITECTURE.vocabulary), TOKENS)
    plain = EncoderConfig(ARCHITECTURE, 2, kind.arity, positions=TOKENS, pooling=run.pooling)
    configs = {WITHOUT: plain, WITH: replace(plain, data_flow=DataFlow(NODES, run.language))}
    readers = {way: reader_for(config.data_flow, tokenizer, TOKENS) for way, config in configs.items()}
    tokens: dict[str, tuple[TokenIds, TokenIds]] = {}
    logits: dict[str, list[NDArray[np.float32]]] = {way: [] for way in configs}
    for seed in range(seeds):
        for way, config in configs.items():
            kept = work / f"{task}-{way.replace(' ', '-')}-{seed}.npy"
            if not kept.exists():
                progress.note(f"{task}: {way}, seed {seed}")
                if way not in tokens:
                    tokens[way] = (read(readers[way], train), read(readers[way], valid))
                of_train, of_valid = tokens[way]
                student = trained(config, run, (train, of_train), kept.with_suffix(".pt"), seed, progress)
                np.save(kept, predict_logits(student, valid, of_valid))
            logits[way].append(np.load(kept))
    hits = {way: np.mean([found.argmax(1) == valid.labels for found in many], 0) for way, many in logits.items()}
    gain = over_functions(hits[WITH] - hits[WITHOUT], valid.members)
    return {
        "run": vars(run),
        "examples": len(train),
        "students": {way: [scores(valid, found) for found in many] for way, many in logits.items()},
        "majority": float(np.bincount(valid.labels).max() / len(valid)),
        "accuracy gained by data flow": {"value": gain.value, "interval": [gain.low, gain.high], "n": gain.n},
        "one function": costs(configs, readers, valid),
    }


def show(measured: dict[str, Any]) -> None:
    """Print the tables."""
    for task, found in measured.items():
        print(f"\n{task}, {found['examples']:,} examples; majority {found['majority']:.3f}")
        for way, students in found["students"].items():
            for seed, item in enumerate(students):
                low, high = item["intervals"]["accuracy"]
                cells = f"{item['accuracy']:.3f} [{low:.3f}, {high:.3f}] {item['f1']:8.3f} {item['mcc']:8.3f}"
                print(f"{way:12} seed {seed} {cells}  n = {item['n']}")
        print(f"gained: {found['accuracy gained by data flow']}")
        for name, item in found["one function"].items():
            print(f"{name:24} {item}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="where the students' logits are kept")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--task", choices=RUNS, action="append", help="only this one; repeatable")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "data_flow_student.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    progress = for_stream()
    tasks = options.task or list(RUNS)
    measured = {task: measure(task, options.shared, options.work, options.seeds, progress) for task in tasks}
    show(measured)
    write_json(
        options.out,
        {
            "command": shlex.join(["python", "benchmarks/data_flow_student.py", *sys.argv[1:]]),
            "machine": machine(),
            "architecture": ARCHITECTURE.as_dict(),
            "tokens": TOKENS,
            "nodes": NODES,
            "on the validation split": measured,
        },
    )
    print(f"\nwrote {options.out}")


if __name__ == "__main__":
    main()
