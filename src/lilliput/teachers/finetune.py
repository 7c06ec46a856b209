"""Fine-tune an encoder on labelled data to make a teacher."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lilliput.batching import Batch, Batches, BatchPlan, TokenIds
from lilliput.data.dataset import Dataset
from lilliput.errors import DataError, UserError, refuse_absurd
from lilliput.evaluate.classification import ClassificationScores, score
from lilliput.files import atomic_folder, begin_work, explain_disk_errors, followed, work_folder
from lilliput.locks import release
from lilliput.progress import Progress
from lilliput.provenance import versions
from lilliput.tasks import Task
from lilliput.teachers.folder import TeacherManifest, refuse_occupied, save_teacher
from lilliput.teachers.huggingface import BaseEncoder, open_base, tokenizing, usable_tokens
from lilliput.teachers.inference import dataset_logits
from lilliput.teachers.model import JOINS, POOLINGS, EncoderClassifier
from lilliput.teachers.outputs import content_hash
from lilliput.teachers.scratch import build_scratch, is_scratch
from lilliput.training import History, TrainingPlan, device, fit

MOST_TOKENS = 16_384
"""Upper bound of ``max_tokens``: twice what the longest encoders of code take."""


@dataclass(frozen=True)
class FinetuneSettings:
    """Settings of a fine-tuning run.

    Attributes:
        epochs: passes over the data.
        learning_rate: the peak; ``None``: the base's default (2e-5 if pretrained, 5e-4 from scratch).
        batch: examples per step.
        max_tokens: longest input, special tokens included; ``None``: 400, or fewer if the encoder has fewer positions.
        pooling: how token vectors become a function's vector, a name in
            :data:`~lilliput.teachers.model.POOLINGS`; ``None``: the base's default.
        join: how a pair's vectors become the head's input, a name in :data:`~lilliput.teachers.model.JOINS`.
        dropout: dropout probability in the head.
        weight_decay: AdamW's.
        warmup_fraction: fraction of all steps spent on warm-up.
        seed: seed of the head's weights, the order of the data and dropout.
    """

    epochs: int = 3
    learning_rate: float | None = None
    batch: int = 32
    max_tokens: int | None = None
    pooling: str | None = None
    join: str = "difference"
    dropout: float = 0.1
    weight_decay: float = 0.01
    warmup_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for field, known in (("pooling", POOLINGS), ("join", JOINS)):
            if getattr(self, field) not in (None, *known):
                raise UserError(
                    f"unknown value '{getattr(self, field)}'.",
                    where=f"--{field}",
                    remedy=f"Choose: {', '.join(known)}.",
                )
        bounds = {
            "epochs": (self.epochs >= 1, "must be at least 1"),
            "learning-rate": (self.learning_rate is None or 0 < self.learning_rate < math.inf, "must be above 0"),
            "batch": (self.batch >= 1, "must be at least 1"),
            "max-tokens": ((self.max_tokens or 0) <= MOST_TOKENS, f"must be at most {MOST_TOKENS:,}"),
            "seed": (0 <= self.seed < 2**63, "must be at least 0 and below 2 to the power of 63"),
        }
        for option, (fine, complaint) in bounds.items():
            if not fine:
                found = getattr(self, option.replace("-", "_"))
                raise UserError(f"{complaint}; it is {found}.", where=f"--{option}", remedy="Choose another.")
        refuse_absurd(vars(self))


@dataclass(frozen=True)
class FinetuneResult:
    """Result of a fine-tuning run.

    Attributes:
        path: the teacher's folder.
        history: one entry per epoch: ``loss``, ``valid_accuracy``, ``valid_f1``.
        scores: scores of the kept weights on the validation data, which also selected them; ``None`` without such data.
    """

    path: Path
    history: list[History]
    scores: ClassificationScores | None


def finetune(
    base: str | Path,
    task: Task,
    train: Dataset,
    valid: Dataset | None,
    out: Path,
    *,
    settings: FinetuneSettings | None = None,
    progress: Progress | None = None,
) -> FinetuneResult:
    """Fine-tune an encoder into a teacher.

    Repeating the call resumes a run that was killed at any moment: a hidden folder beside ``out`` holds its state.

    Args:
        base: folder or hub id of an encoder, or a :mod:`~lilliput.teachers.scratch` specification.
        task: the task of the data.
        train: training examples; unlabelled ones are ignored.
        valid: validation examples, likewise; the best epoch on them is kept. ``None``: the last epoch is kept.
        out: the teacher's folder; a teacher already there is replaced once the new one is complete, anything else is
            refused.
        settings: training settings.
        progress: shown while working.

    Raises:
        CheckpointError: the base cannot be opened, or ``out`` exists and is not a teacher.
        DataError: no labelled examples, or data of another task.
        UserError: settings that do not suit the base, or training that diverged.
    """
    settings, progress = settings or FinetuneSettings(), progress or Progress()
    if _are_one(out, base):
        raise UserError(
            f"{out} is the base itself.",
            where="--out",
            remedy="Name another folder: the teacher would replace the base.",
        )
    if refuse_occupied(out):
        progress.note(f"{out}: the teacher there is replaced when the new one is whole.")
    train = _labelled(train, task, train.label_names)
    valid = None if valid is None else _labelled(valid, task, train.label_names)
    encoder = _open(base, train, settings, progress)
    max_tokens = usable_tokens(settings.max_tokens, encoder.encoder)
    pooling = settings.pooling or encoder.pooling
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        model = EncoderClassifier(
            encoder.encoder,
            len(train.label_names),
            arity=task.arity,
            pooling=pooling,
            join=settings.join,
            dropout=settings.dropout,
        ).to(device())

    def tokens_of(data: Dataset) -> TokenIds:
        progress.note(f"tokenizing {len(data.texts):,} functions")
        return TokenIds(tokenizing(encoder.tokenizer, max_tokens)(data.texts), encoder.pad_id, max_tokens)

    valid_tokens = None if valid is None else tokens_of(valid)

    def scores() -> ClassificationScores | None:
        if valid is None or valid_tokens is None:
            return None
        predictions = dataset_logits(model, valid, valid_tokens).argmax(axis=1)
        return score(valid.labels, predictions, len(valid.label_names), task.positive)

    def validate() -> dict[str, float]:
        found = scores()
        return {} if found is None else {"valid_accuracy": found.accuracy, "valid_f1": found.f1}

    provenance = _provenance(encoder, task, train, valid, settings)
    with explain_disk_errors(out):
        work = work_folder(followed(out))
    begin_work(work)
    history = fit(
        model,
        Batches(train, tokens_of(train), BatchPlan(examples=settings.batch, seed=settings.seed)),
        cross_entropy,
        TrainingPlan(
            epochs=settings.epochs,
            learning_rate=encoder.learning_rate if settings.learning_rate is None else settings.learning_rate,
            warmup_fraction=settings.warmup_fraction,
            weight_decay=settings.weight_decay,
            seed=settings.seed,
            keep_best=None if valid is None else "valid_accuracy",
        ),
        validate=validate,
        checkpoint=work / "training.pt",
        fingerprint=json.dumps(provenance, sort_keys=True),
        progress=progress,
    )
    kept = scores()
    manifest = TeacherManifest(
        task=task.name,
        label_names=train.label_names,
        arity=task.arity,
        pooling=pooling,
        join=settings.join,
        max_tokens=max_tokens,
        output=model.convention,
        provenance=provenance,
        metrics={"history": history, **({} if kept is None else {"valid": kept.as_dict()})},
    )
    with atomic_folder(out) as folder:
        save_teacher(folder, model, encoder.tokenizer, manifest)
    shutil.rmtree(work)
    release(work)
    return FinetuneResult(out, history, kept)


def _are_one(folder: Path, base: str | Path) -> bool:
    try:
        return folder.samefile(base)
    except (OSError, ValueError):  # one of them does not exist, or is not a valid path
        return False


def cross_entropy(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy of a labelled batch."""
    return functional.cross_entropy(model(batch).float(), batch.labels)


def _open(base: str | Path, train: Dataset, settings: FinetuneSettings, progress: Progress) -> BaseEncoder:
    if not is_scratch(base):
        return open_base(base)
    progress.note(f"training a tokenizer on {len(train.texts):,} functions")
    return build_scratch(str(base), train.texts, settings.seed, settings.max_tokens)


def _labelled(data: Dataset, task: Task, label_names: tuple[str, ...]) -> Dataset:
    """The labelled examples of a dataset, which must fit the task."""
    where = ", ".join(data.sources) or None
    if data.arity != task.arity:
        raise DataError(
            f"its examples join {data.arity} function(s), those of the task '{task.name}' join {task.arity}.",
            where=where,
            remedy="Choose data of this task.",
        )
    if data.label_names != label_names:
        raise DataError(
            f"its classes are {', '.join(data.label_names)}; those of the training data are {', '.join(label_names)}.",
            where=where,
            remedy="Use data with the same classes.",
        )
    known = np.flatnonzero(data.labels >= 0)
    if not len(known):
        raise DataError("it has no labelled example.", where=where, remedy="Give data with labels.")
    return data if len(known) == len(data) else data.subset(known)


def _provenance(
    base: BaseEncoder, task: Task, train: Dataset, valid: Dataset | None, settings: FinetuneSettings
) -> dict[str, Any]:
    """Everything that determines the result, and the versions that produced it."""
    data = {"train": train} | ({} if valid is None else {"valid": valid})
    return {
        "base": {"name": base.name, "sha256": base.fingerprint},
        "task": task.name,
        "data": {
            name: {
                "files": list(part.sources),
                "examples": len(part),
                "sha256": part.sha256,
                "content_sha256": content_hash(part),
            }
            for name, part in data.items()
        },
        "settings": asdict(settings),
        "versions": versions("torch", "transformers", "tokenizers"),
    }
