"""``shrink``: turn a teacher into an artifact within a budget."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.artifact import CARD, EVIDENCE, GRAPH, TOKENIZER, ArtifactBytes, Manifest, refuse_occupied, save
from lilliput.data.dataset import Dataset, concatenate
from lilliput.data.labels import require_two_classes
from lilliput.data.rewrites import language_named
from lilliput.data.tables import Columns
from lilliput.distill.lesson import measures
from lilliput.errors import BudgetError
from lilliput.evaluate.classification import ClassificationScores, score
from lilliput.evaluate.thresholds import operating_points
from lilliput.extras import require
from lilliput.progress import Progress
from lilliput.provenance import today, versions
from lilliput.report.card import model_card
from lilliput.report.card_facts import card_facts
from lilliput.runtime.classifier import softmax
from lilliput.search import Architecture
from lilliput.tasks import Task, task_named
from lilliput.teachers import Teacher, open_teacher
from lilliput.teachers.outputs import content_hash
from lilliput.units import show_bytes
from lilliput.verbs.robustness import spoken
from lilliput.verbs.search import DEFAULT_LATENCY_MS
from lilliput.verbs.shrink.plan import require_single, searched_bytes
from lilliput.verbs.shrink.settings import ShrinkSettings
from lilliput.verbs.shrink.stages import ShrinkOutcome, ShrinkStages
from lilliput.verbs.stages import Stages
from lilliput.version import VERSION


@dataclass(frozen=True)
class ShrinkResult:
    """The result of a shrink.

    Attributes:
        path: the artifact.
        bytes: bytes on disk, by part.
        architecture: the chosen architecture.
        precision: weight format.
        valid_accuracy: accuracy of the artifact on the validation data, which also chose it.
        float_accuracy: accuracy of the same student before quantization.
        teacher_accuracy: accuracy of the teacher.
        quantization: ``none``, ``calibration`` or ``quantization-aware``.
    """

    path: Path
    bytes: ArtifactBytes
    architecture: Architecture
    precision: str
    valid_accuracy: float
    float_accuracy: float
    teacher_accuracy: float
    quantization: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = {name: getattr(self, name) for name in ("valid_accuracy", "float_accuracy", "teacher_accuracy")}
        return {
            "path": str(self.path),
            "bytes": self.bytes.as_dict(),
            "architecture": self.architecture.as_dict(),
            "precision": self.precision,
            **plain,
            "quantization": self.quantization,
        }


def shrink(
    teacher: str | Path,
    task: str,
    train: Sequence[str | Path],
    valid: Sequence[str | Path],
    out: str | Path,
    *,
    size: int = 3_000_000,
    latency_ms: float | None = DEFAULT_LATENCY_MS,
    unlabelled: Sequence[str | Path] = (),
    columns: Columns | None = None,
    tokenizer: Path | None = None,
    settings: ShrinkSettings | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> ShrinkResult:
    """Shrink a teacher to a small model.

    Args:
        teacher: folder, file or hub id; see :func:`lilliput.teachers.open_teacher`.
        task: name of the task.
        train: labelled training files.
        valid: validation files, used to choose the architecture, the quantization and the epoch.
        out: the artifact's folder.
        size: bytes of the whole artifact.
        latency_ms: latency limit on one thread for a function of as many tokens as the layers may see
            (``settings.attended``, else ``settings.max_tokens``); ``None``: no limit.
        unlabelled: files of more examples, for the teacher to label.
        columns: names of the columns of tables.
        tokenizer: tokenizer for a teacher without its own.
        settings: how to shrink.
        command: recorded in the provenance.
        progress: shown while working.

    Raises:
        UserError: bad input, or a budget that nothing fits. If interrupted at any point, the same call resumes.
    """
    kind, columns = task_named(task), columns or Columns()
    settings = settings or ShrinkSettings()
    require_single(settings, kind)
    refuse_occupied(out)
    if settings.language is not None:
        language_named(settings.language)
    if settings.robust or settings.data_flow:
        require("tree_sitter")  # fail before the work, not after
    opened = open_teacher(teacher, tokenizer=tokenizer, task=task)
    data = kind.read(train, columns, opened.label_names, True)
    require_two_classes(data)
    checked = kind.read(valid, columns, opened.label_names, True)
    if unlabelled:
        data = concatenate(data, kind.read(unlabelled, columns, opened.label_names, False))
    return shrink_model(
        opened,
        kind,
        data,
        checked,
        Path(out),
        size=size,
        latency_ms=latency_ms,
        settings=settings,
        command=command,
        progress=progress or Progress(),
    )


def shrink_model(
    teacher: Teacher,
    task: Task,
    train: Dataset,
    valid: Dataset,
    out: Path,
    *,
    size: int,
    latency_ms: float | None,
    settings: ShrinkSettings,
    command: str = "",
    progress: Progress,
) -> ShrinkResult:
    """The core of :func:`shrink`, on an opened teacher and data in memory.

    Args:
        teacher: the opened teacher.
        task: the task.
        train: labelled, and possibly unlabelled, examples.
        valid: labelled examples.
        out, size, latency_ms, settings, command, progress: see :func:`shrink`.

    Raises:
        UserError: see :func:`shrink`.
    """
    if (settings.robust or settings.data_flow) and settings.language is None:
        settings = dataclasses.replace(settings, language=spoken(train, task.name))
    identity = {
        "schema": 1,
        "teacher": teacher.fingerprint,
        "task": task.name,
        "lilliput": VERSION,
        "train": content_hash(train),
        "valid": content_hash(valid),
        "size": size,
        "latency_ms": latency_ms,
        "settings": dataclasses.asdict(settings),
    }
    if refuse_occupied(out):
        progress.note(f"{out}: the artifact there is replaced when the new one is complete.")
    searched_bytes(size, settings, train.label_names)  # fail on an impossible budget before setting work aside
    stages = Stages(out, identity, progress, set_aside=True)
    work = ShrinkStages(teacher, task, train, valid, size, latency_ms, settings, stages, progress)
    try:
        work.shortlist()
    except BudgetError:  # nothing to resume: no model fits these settings
        stages.give_up()
        raise
    result = _write(work, work.run(), out, command)
    stages.finish()
    return result


def _write(work: ShrinkStages, outcome: ShrinkOutcome, out: Path, command: str) -> ShrinkResult:
    """Write the artifact, atomically."""
    settings, labels = work.settings, work.train.label_names
    predictions = outcome.valid_logits.argmax(axis=1)
    scores = score(work.valid.labels, predictions, len(labels), work.task.positive, seed=settings.seed)
    teacher_accuracy = measures(outcome.teacher_logits, work.valid.labels)["valid_accuracy"]
    manifest = Manifest(
        task=work.task.name,
        labels=labels,
        config=outcome.config,
        precision=settings.precision,
        max_tokens=work.plan.max_tokens,
        provenance=_provenance(work, teacher_accuracy, command),
    )
    files = {
        GRAPH: outcome.integer.graph,
        TOKENIZER: outcome.tokenizer,
        EVIDENCE: json.dumps(_evidence(work, outcome, scores), separators=(",", ":")).encode(),
    }
    sizes = {GRAPH: len(outcome.integer.graph), TOKENIZER: len(outcome.tokenizer)}
    files[CARD] = model_card(card_facts(out.name, manifest, _evidence(work, outcome, scores), sizes)).encode()
    room = work.size - len(json.dumps(manifest.as_dict(), indent=2)) - _FILE_TABLE_BYTES
    if sum(map(len, files.values())) > room:
        work.progress.note("the budget leaves no room for the training history and trials; they are left out.")
        files[EVIDENCE] = json.dumps(_evidence(work, outcome, scores, brief=True), separators=(",", ":")).encode()
    over = sum(map(len, files.values())) - room
    if over > 0:
        raise BudgetError(
            f"the artifact would take {over:,} bytes more than the {work.size:,} allowed.",
            where="--size",
            remedy=f"Raise the budget by {over:,} bytes or more: the size predicted was too small.",
        )
    artifact = save(out, manifest, files)
    work.progress.note(f"{out}: {show_bytes(artifact.bytes().total)}, {scores.accuracy:.2%} validation accuracy")
    return ShrinkResult(
        path=out,
        bytes=artifact.bytes(),
        architecture=outcome.config.architecture,
        precision=settings.precision,
        valid_accuracy=scores.accuracy,
        float_accuracy=outcome.float_accuracy,
        teacher_accuracy=teacher_accuracy,
        quantization=outcome.integer.method,
    )


_FILE_TABLE_BYTES = 1000
"""Upper bound on the size of the manifest's table of four files."""


def _provenance(work: ShrinkStages, teacher_accuracy: float, command: str) -> dict[str, Any]:
    return {
        "teacher": {"name": work.teacher.name, "sha256": work.teacher.fingerprint, "valid_accuracy": teacher_accuracy},
        "data": {
            name: {
                "files": list(data.sources[:_NAMED_FILES]),
                "file_count": len(data.sources),
                "examples": len(data),
                "sha256": data.sha256,
            }
            for name, data in work.data().items()
        },
        "seed": work.settings.seed,
        "command": command,
        "date": today(),
        "versions": versions("openvino", "torch", "onnx", "tokenizers", "numpy"),
    }


_NAMED_FILES = 8
"""Maximum number of data files named in a manifest: it counts against the budget, and the hash identifies the data."""


def validation_evidence(
    scores: ClassificationScores, logits: NDArray[np.float32], labels: NDArray[np.int64], positive: int | None
) -> dict[str, Any]:
    """An artifact's evidence on validation data, as plain JSON values.

    Args:
        scores: scores of the predictions from ``logits``.
        logits: ``[n, classes]``.
        labels: class indices, ``[n]``, none missing.
        positive: the class whose precision and recall are given at several thresholds; ``None``: no class.
    """
    found = {
        **scores.as_dict(),
        "majority": int(np.bincount(labels).max()) / len(labels),
        "note": "chosen on this data; measure on held-out data before relying on it",
    }
    if positive is not None:
        points = operating_points(softmax(logits)[:, positive], labels, positive)
        found["operating_points"] = points.as_dict()
    return found


def _evidence(
    work: ShrinkStages, outcome: ShrinkOutcome, scores: ClassificationScores, brief: bool = False
) -> dict[str, Any]:
    history = [{"stage": stage, **line} for stage, lines in outcome.history.items() for line in lines]
    return {
        "valid": validation_evidence(scores, outcome.valid_logits, work.valid.labels, work.task.positive),
        "quantization": {
            "method": outcome.integer.method,
            "clip": outcome.integer.clip,
            "accuracy_before": outcome.float_accuracy,
            "accuracy_after": outcome.integer.accuracy,
        },
        "search": {
            "shortlist": [] if brief else [item.as_dict() for item in outcome.shortlist],
            "trials": [] if brief else [trial.as_dict() for trial in outcome.trials],
        },
        "history": [] if brief else history,
        "settings": dataclasses.asdict(dataclasses.replace(work.settings, mix=work.mix)),
    }
