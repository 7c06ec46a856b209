"""Classifiers that can be evaluated: artifacts and checkpoints, behind one interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lilliput.artifact import MANIFEST, is_artifact, open_artifact
from lilliput.data.dataset import Dataset
from lilliput.errors import UserError, refuse_unused
from lilliput.extras import require
from lilliput.files import sha256_of
from lilliput.progress import Progress
from lilliput.runtime.classifier import Classifier
from lilliput.runtime.engine import require_threads
from lilliput.runtime.flow import Input, resized, tokens_of
from lilliput.shipped import names_told
from lilliput.tasks import Task
from lilliput.teachers.hub import bytes_by_part


class Subject(Protocol):
    """A classifier of code that can be measured."""

    name: str
    facts: Mapping[str, Any]
    label_names: tuple[str, ...]
    arity: int
    threads: int
    max_tokens: int
    seen: Mapping[str, str]  # SHA-256 of data -> what the model used it for: "train", "valid"

    def logits(self, dataset: Dataset, progress: Progress) -> NDArray[np.float32]:
        """Logits ``[examples, classes]`` in the order of the labels."""

    def bytes(self) -> dict[str, int]:
        """Bytes on disk by part, ``total`` first."""

    def encode(self, texts: Sequence[str]) -> Sequence[Input]:
        """Inputs of functions as the model takes them: token ids, and data-flow nodes if it reads them."""

    def pass_over(self, ids: Input) -> object:
        """Run one pass of the encoder over one function."""


class ArtifactSubject:
    """An artifact, run by the engine; another task is refused, as its classes would be mistaken for that task's."""

    def __init__(self, path: str | Path, task: str, threads: int) -> None:
        self.threads = threads
        self.classifier = Classifier(open_artifact(path), threads)
        manifest = self.classifier.artifact.classifier
        if manifest.task != task:
            raise UserError(
                f"{path} was made for task '{manifest.task}', not '{task}'.",
                where="--task",
                remedy=f"Name '{manifest.task}', or another artifact.",
            )
        self.name = Path(path).resolve().name
        folder = self.classifier.artifact.path
        self.facts: Mapping[str, Any] = {"kind": "artifact", "manifest_sha256": sha256_of(folder / MANIFEST)}
        self.label_names, self.max_tokens = manifest.labels, manifest.max_tokens
        self.arity = self.classifier.arity
        data = manifest.provenance.get("data", {})
        told = {name: str(data[name].get("sha256")) for name in ("valid", "train") if name in data}
        self.seen: Mapping[str, str] = {digest: name for name, digest in told.items()}

    def logits(self, dataset: Dataset, progress: Progress) -> NDArray[np.float32]:
        """See :class:`Subject`."""
        return self.classifier.logits(dataset, progress)

    def bytes(self) -> dict[str, int]:
        """See :class:`Subject`."""
        return self.classifier.artifact.bytes().as_dict()

    def encode(self, texts: Sequence[str]) -> Sequence[Input]:
        """See :class:`Subject`."""
        return self.classifier.tokenizer.encode(texts)

    def pass_over(self, ids: Input) -> object:
        """See :class:`Subject`."""
        return self.classifier.runner.encode([ids])


class CheckpointSubject:
    """A checkpoint, in torch (float32)."""

    def __init__(self, path: str | Path, task: str, tokenizer: Path | None, threads: int) -> None:
        require("torch")
        import torch

        from lilliput.teachers import open_teacher

        require_threads(threads)
        self.threads = threads
        torch.set_num_threads(threads)
        self.teacher = open_teacher(path, tokenizer=tokenizer, task=task)
        if self.teacher.max_tokens < 3:  # recorded logits: there is no model to time or to run on new inputs
            raise UserError(
                "recorded logits are a teacher for shrink, not a model to measure.",
                where=path,
                remedy="Name the model whose logits they are.",
            )
        self.name = self.teacher.name
        self.facts: Mapping[str, Any] = {"kind": "checkpoint"}
        self.seen: Mapping[str, str] = {}
        self.label_names = tuple(self.teacher.label_names)
        self.arity, self.max_tokens = self.teacher.arity, self.teacher.max_tokens

    def logits(self, dataset: Dataset, progress: Progress) -> NDArray[np.float32]:
        """See :class:`Subject`."""
        return self.teacher.logits(dataset, progress)

    def bytes(self) -> dict[str, int]:
        """See :class:`Subject`."""
        return bytes_by_part(self.teacher.files)

    def encode(self, texts: Sequence[str]) -> Sequence[Input]:
        """See :class:`Subject`."""
        return [np.asarray(item, np.int64) for item in self.teacher.encode(texts)]

    def pass_over(self, ids: Input) -> object:
        """See :class:`Subject`."""
        import torch

        device = next(self.teacher.model.parameters()).device
        with torch.no_grad():
            tokens = torch.from_numpy(tokens_of(ids))[None].to(device)
            encoded = self.teacher.model.encode(tokens, torch.ones_like(tokens))
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # otherwise only the kernel launch would be timed
        return encoded


def open_subject(path: str | Path, task: str, tokenizer: Path | None = None, threads: int = 1) -> Subject:
    """Open an artifact's folder, a shipped model's name, or whatever :func:`lilliput.teachers.open_teacher` opens.

    Raises:
        UserError: it cannot be opened, or is of another task.
        MissingExtra: it is a checkpoint, and torch is not installed.
    """
    if is_artifact(path):
        refuse_unused({"--tokenizer": (tokenizer is not None, "goes with checkpoints: an artifact has its own")})
        return ArtifactSubject(path, task, threads)
    with names_told(path):
        return CheckpointSubject(path, task, tokenizer, threads)


def require_arity(subject: Subject, task: Task) -> None:
    """Refuse a model that joins more or fewer functions per example than the task.

    Raises:
        UserError: the numbers differ.
    """
    if subject.arity != task.arity:
        raise UserError(
            f"{subject.name} joins {subject.arity} function(s) per example, task '{task.name}' {task.arity}.",
            where="--task",
            remedy="Name the task that the model was made for.",
        )


def of_length(subject: Subject, texts: Sequence[str], tokens: int, count: int = 32) -> list[Input]:
    """Inputs of exactly ``tokens`` tokens, cut from real functions (short ones are repeated)."""
    return [resized(item, tokens) for item in subject.encode(texts[:count])]


def example_runner(subject: Subject, dataset: Dataset) -> Callable[[int], object]:
    """``run(row)``: tokenize and encode the functions of one example at its natural length, unbatched."""

    def run(row: int) -> object:
        functions = [dataset.texts[member] for member in dataset.members[row]]
        return [subject.pass_over(ids) for ids in subject.encode(functions)]

    return run
