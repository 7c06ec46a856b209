"""``evaluate`` for classifiers: accuracy with intervals, baselines, and what the model costs to run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.data.dataset import Dataset
from lilliput.data.tables import Columns
from lilliput.errors import DataError, require_whole
from lilliput.evaluate import baselines, carbon, energy, resources
from lilliput.evaluate.classification import ClassificationScores, score
from lilliput.extras import require
from lilliput.progress import Progress
from lilliput.tasks import Task, task_named
from lilliput.verbs.evaluate.footprint import peak_memory_mb
from lilliput.verbs.subjects import Subject, example_runner, of_length, open_subject, require_arity

ENERGY_EXAMPLES = 256
"""Number of distinct examples classified, repeatedly, while energy is measured."""

SEEN = {
    "train": "the model was trained on these data: on unseen code it will be less accurate.",
    "valid": "the model was selected on these data: they flatter it a little.",
}
"""Role of the data in making the model, as in its manifest -> caveat on the figures."""

SHORTEST = 3
"""Tokens of the shortest input for measuring latency: one, plus the two that frame it."""


@dataclass(frozen=True)
class Evaluation:
    """The result; :meth:`as_dict` is the JSON contract of ``lilliput evaluate``."""

    name: str
    model: Mapping[str, Any]
    task: str
    label_names: tuple[str, ...]
    scores: ClassificationScores
    baselines: Mapping[str, baselines.BaselineScores]
    bytes: Mapping[str, int]
    latency: resources.Latency
    natural: resources.Latency
    threads: int
    tokens: int
    peak_memory_mb: float | None
    energy: energy.Energy
    energy_examples: int
    intensity: carbon.Intensity
    machine: Mapping[str, Any]
    sources: Sequence[str]
    sha256: str
    command: str
    notes: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values. Fractions, not percent; milliseconds; joules; grams."""
        scores, joules = self.scores, self.energy.joules / self.energy_examples
        return {
            "name": self.name,
            "model": dict(self.model),
            "task": self.task,
            **scores.as_dict(),
            "baselines": {name: item.scores.accuracy for name, item in self.baselines.items()}
            | {"details": {name: _baseline(item) for name, item in self.baselines.items()}},
            "bytes": dict(self.bytes),
            "latency_ms": {
                "p50": self.latency.p50,
                "p95": self.latency.p95,
                "threads": self.threads,
                "tokens": self.tokens,
                "n": self.latency.n,
                "p50_interval": list(self.latency.p50_interval),
                "per": "function",
                "natural": {
                    "p50": self.natural.p50,
                    "p95": self.natural.p95,
                    "n": self.natural.n,
                    "p50_interval": list(self.natural.p50_interval),
                    "per": "example, tokenizing included",
                },
            },
            "peak_memory_mb": self.peak_memory_mb,
            "energy": {
                "joules_per_example": joules,
                "kind": self.energy.kind,
                "n": self.energy_examples,
                "method": self.energy.method,
            },
            "carbon": {
                "grams_co2e_per_example": carbon.grams(joules, self.intensity),
                "intensity": dataclasses.asdict(self.intensity),
            },
            "confusion": scores.confusion.tolist(),
            "label_names": list(self.label_names),
            "machine": dict(self.machine),
            "data": {"sources": list(self.sources), "sha256": self.sha256},
            "notes": list(self.notes),
            "command": self.command,
        }


def evaluate(
    path: str | Path,
    task: str,
    data: str | Path | Sequence[str | Path],
    *,
    train: str | Path | Sequence[str | Path] = (),
    tokenizer: str | Path | None = None,
    columns: Columns | None = None,
    threads: int = 1,
    tokens: int = 400,
    intensity: carbon.Intensity = carbon.DEFAULT,
    command: str = "",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure an artifact or a checkpoint.

    Args:
        path: an artifact's folder, or a checkpoint's folder, file or hub id.
        task: name of the task; for an artifact, its own.
        data: one or more labelled files to score on.
        train: labelled files to fit the baselines on; without them, the baselines are cross-validated on ``data``.
        tokenizer: tokenizer for a checkpoint without its own.
        columns: names of the columns of tables.
        threads: processor threads in every measurement.
        tokens: input length for latency, capped at the model's longest input.
        intensity: grams of CO2 equivalent per kilowatt-hour.
        command: recorded in the result.
        progress: shown while working.

    Raises:
        UserError: bad input, or an artifact of another task.
        MissingExtra: scikit-learn, or for a checkpoint torch, is not installed.
    """
    kind, columns = task_named(task), columns or Columns()
    require_whole(tokens, SHORTEST, "--tokens")
    require("sklearn")  # for the baselines: fail before the work, not after
    tokenizer = None if tokenizer is None else Path(tokenizer)
    subject = open_subject(path, task, tokenizer, threads)
    dataset = kind.read(data, columns, subject.label_names, True)
    fitted = kind.read(train, columns, subject.label_names, True) if train else None
    if fitted is None and len(dataset) < 2:
        raise DataError(
            "has one example, but cross-validating the baselines needs at least two.",
            where=dataset.sources[0] if dataset.sources else "--data",
            remedy="Give more examples, or training data (--train).",
        )
    progress = progress or Progress()
    evaluation = measure(subject, kind, dataset, fitted, tokens, intensity, command, progress)
    notes = [SEEN[name] for digest, name in subject.seen.items() if digest == dataset.sha256]
    memory = peak_memory_mb(path, task, tokenizer, threads, dataset, notes.append)
    for note in notes:
        progress.note(note)
    return dataclasses.replace(evaluation, peak_memory_mb=memory, notes=tuple(notes))


def measure(
    subject: Subject,
    task: Task,
    dataset: Dataset,
    train: Dataset | None,
    tokens: int,
    intensity: carbon.Intensity,
    command: str,
    progress: Progress,
) -> Evaluation:
    """The core of :func:`evaluate` on an opened model and data in memory, without measuring memory.

    Args:
        subject: the model.
        task: the task.
        dataset: data to measure on.
        train: data to fit the baselines on; ``None``: cross-validate them on ``dataset``.
        tokens: input length for latency.
        intensity, command, progress: see :func:`evaluate`.

    Raises:
        UserError: the model has another arity.
    """
    require_arity(subject, task)
    progress.note(f"scoring {subject.name} on {len(dataset):,} examples")
    predictions = subject.logits(dataset, progress).argmax(axis=1)
    classes = len(subject.label_names)
    progress.note("fitting baselines")
    rivals = {
        "majority": baselines.majority(None if train is None else train.labels, dataset.labels, classes, task.positive),
        "token_logistic": baselines.token_logistic(train, dataset, task.positive),
    }
    if task.arity == 2:
        rivals["token_overlap"] = baselines.token_overlap(train, dataset)
    if tokens > subject.max_tokens:
        progress.note(f"{subject.name} takes at most {subject.max_tokens} tokens: latency is measured at that length")
        tokens = subject.max_tokens
    progress.note("timing")
    inputs = of_length(subject, dataset.texts, tokens)
    run = example_runner(subject, dataset)
    rows = np.random.default_rng(0).permutation(len(dataset))[:ENERGY_EXAMPLES]
    spent, examples = energy.measure_calls(lambda i: run(int(rows[i])), len(rows))
    return Evaluation(
        name=subject.name,
        model=subject.facts,
        task=task.name,
        label_names=subject.label_names,
        scores=score(dataset.labels, predictions, classes, task.positive),
        baselines=rivals,
        bytes=subject.bytes(),
        latency=resources.latency(lambda i: subject.pass_over(inputs[i]), len(inputs), calls=100, seconds=10),
        natural=resources.latency(lambda i: run(int(rows[i])), len(rows), warmup=len(rows) // 4, calls=100, seconds=10),
        threads=subject.threads,
        tokens=tokens,
        peak_memory_mb=None,
        energy=spent,
        energy_examples=examples,
        intensity=intensity,
        machine=resources.machine(),
        sources=dataset.sources,
        sha256=dataset.sha256,
        command=command,
    )


def _baseline(item: baselines.BaselineScores) -> dict[str, Any]:
    scores, names = item.scores, ("accuracy", "f1", "mcc")
    undefined = [name for name in scores.undefined if name in names]
    return {**{name: getattr(scores, name) for name in names}, "undefined": undefined, "fitted_on": item.fitted_on}
