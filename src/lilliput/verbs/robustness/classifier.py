"""``robustness`` for classifiers: predictions that flip under rewrites, and faithfulness to the teacher."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.artifact import is_artifact
from lilliput.data.dataset import Dataset
from lilliput.data.rewrites import LANGUAGES, language_named, language_of
from lilliput.data.tables import Columns
from lilliput.errors import DataError, UserError, refuse_unused, require_whole
from lilliput.evaluate.faithfulness import Calibration, Faithfulness, calibration, faithfulness
from lilliput.evaluate.flips import Flips, flips
from lilliput.files import write_json
from lilliput.progress import Progress
from lilliput.tasks import Task, task_named
from lilliput.verbs.kept import Kept, beside
from lilliput.verbs.robustness.kept import KeptSubject, identity_of, kept_rewritings
from lilliput.verbs.subjects import Subject, open_subject, require_arity

RESULT = "robustness.json"


@dataclass(frozen=True)
class RobustnessResult:
    """The result; :meth:`as_dict` is the JSON contract of ``lilliput robustness``.

    Attributes:
        name: name of the model.
        task: name of its task.
        n: number of examples.
        flips: the model's flips.
        calibration: the model's calibration; ``None`` if fewer than two examples are labelled.
        against: name of the teacher, if one was given.
        faithfulness: faithfulness of the model to the teacher.
        against_flips: the teacher's flips on the same rewritings.
        sources: files that the examples are from.
        sha256: hash of these files.
        command: the command, recorded.
    """

    name: str
    task: str
    n: int
    flips: Flips
    calibration: Calibration | None
    against: str | None
    faithfulness: Faithfulness | None
    against_flips: Flips | None
    sources: tuple[str, ...]
    sha256: str
    command: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "task": self.task,
            "n": self.n,
            "flips": self.flips.as_dict(),
            "calibration": None if self.calibration is None else dataclasses.asdict(self.calibration),
            "against": None
            if self.against is None or self.faithfulness is None or self.against_flips is None
            else {
                "name": self.against,
                "faithfulness": self.faithfulness.as_dict(),
                "flips": self.against_flips.as_dict(),
            },
            "data": {"sources": list(self.sources), "sha256": self.sha256},
            "command": self.command,
        }


def robustness(
    path: str | Path,
    task: str,
    data: str | Path | Sequence[str | Path],
    *,
    against: str | Path | None = None,
    language: str | None = None,
    seeds: int = 1,
    limit: int | None = None,
    tokenizer: str | Path | None = None,
    columns: Columns | None = None,
    threads: int = 1,
    seed: int = 0,
    out: str | Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> RobustnessResult:
    """Measure how robust an artifact or a checkpoint is, and how faithful it is to its teacher.

    Args:
        path: an artifact's folder, or a checkpoint's folder, file or hub id.
        task: name of the task; for an artifact, its own.
        data: files of labelled examples.
        against: the teacher: a checkpoint, or another artifact.
        language: a name in :data:`~lilliput.data.rewrites.LANGUAGES`; ``None``: see :func:`spoken`.
        seeds: rewritings of each function by each rewrite.
        limit: maximum number of examples, sampled at random; ``None``: all.
        tokenizer: tokenizer for a checkpoint without its own.
        columns: names of the columns of tables.
        threads: processor threads.
        seed: random seed of the sample and of the calibration split.
        out: ``.json`` file or folder to write the result to; an interrupted run resumes from what is kept beside it.
        command: recorded in the result.
        progress: shown while working.

    Raises:
        UserError: bad input, an artifact of another task, or a teacher with other classes.
        MissingExtra: tree-sitter, or for a checkpoint torch, is not installed.
    """
    kind, progress = task_named(task), progress or Progress()
    for option, value in (("--seeds", seeds), ("--limit", limit)):
        if value is not None:
            require_whole(value, 1, option)
    if language is not None:
        language_named(language)
    inputs = [path, data, against, tokenizer]
    if tokenizer is not None:
        models = [one for one in (path, against) if one is not None]
        words = "goes with checkpoints: an artifact has its own"
        refuse_unused({"--tokenizer": (all(map(is_artifact, models)), words)})
    target, kept_path = beside(None if out is None else Path(out), RESULT, inputs)
    subject = _opened(path, kind, tokenizer, threads)
    teacher = None if against is None else _opened(against, kind, tokenizer, threads)
    if teacher is not None and teacher.label_names != subject.label_names:
        raise UserError(
            f"the teacher has the classes {', '.join(teacher.label_names)}; "
            f"the model has {', '.join(subject.label_names)}.",
            where="--against",
            remedy="Name the model's own teacher.",
        )
    dataset = kind.read(data, columns or Columns(), subject.label_names, True)
    if limit is not None and limit < len(dataset):
        dataset = dataset.subset(np.sort(np.random.default_rng(seed).permutation(len(dataset))[:limit]))
    chosen = language or spoken(dataset, task)
    kept = Kept(kept_path)
    progress.note(f"{len(dataset):,} examples, read as {chosen}")
    model = KeptSubject(subject, kept, identity_of(subject, tokenizer))
    logits = model.logits(dataset, progress)
    made = kept_rewritings(dataset, chosen, seeds, kept, progress)
    found = flips(model.predictions, made, progress)
    faithful = teacher_flips = None
    if teacher is not None:
        guide = KeptSubject(teacher, kept, identity_of(teacher, tokenizer))
        faithful = faithfulness(logits, guide.logits(dataset, progress), dataset.labels, seed=seed)
        teacher_flips = flips(guide.predictions, made, progress)
    known = np.flatnonzero(dataset.labels >= 0)
    result = RobustnessResult(
        name=subject.name,
        task=task,
        n=len(dataset),
        flips=found,
        calibration=calibration(logits[known], dataset.labels[known], seed) if len(known) >= 2 else None,
        against=None if teacher is None else teacher.name,
        faithfulness=faithful,
        against_flips=teacher_flips,
        sources=dataset.sources,
        sha256=dataset.sha256,
        command=command,
    )
    if target is not None:
        write_json(target, result.as_dict())
    return result


def spoken(dataset: Dataset, task: str) -> str:
    """The language of a dataset's functions: the task's usual one, unless another grammar parses more of them.

    Raises:
        DataError: no grammar parses any of them without an error.
    """
    name = language_of(dataset.texts, task_named(task).language)
    if name is None:
        raise DataError(
            f"none of the first functions parses without an error as {', '.join(LANGUAGES)}.",
            where=", ".join(dataset.sources) or None,
            remedy="Name the language with --language.",
        )
    return name


def _opened(path: str | Path, task: Task, tokenizer: str | Path | None, threads: int) -> Subject:
    given = None if tokenizer is None or is_artifact(path) else Path(tokenizer)
    subject = open_subject(path, task.name, given, threads)
    require_arity(subject, task)
    return subject
