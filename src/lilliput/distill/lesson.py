"""Distillation: the training data of a student, and its training.

"Distilling the Knowledge in a Neural Network" (Hinton et al. 2015); the mix of losses is
:class:`~lilliput.distill.losses.DistillationMix`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lilliput.batching import Batch, Batches, BatchPlan, TokenIds
from lilliput.data.dataset import Dataset
from lilliput.distill.losses import DistillationMix, hard_loss, hidden_loss, soft_loss
from lilliput.distill.student import Student
from lilliput.progress import Progress
from lilliput.runtime.tokens import length_buckets
from lilliput.training import History, TrainingPlan, autocast, fit

EVALUATION_TOKENS = 16384
"""Tokens per batch when no gradients are kept."""


@dataclass(frozen=True)
class Lesson:
    """Examples as the student sees them, with the teacher's outputs.

    Attributes:
        dataset: the examples.
        tokens: the student's token ids of each distinct function.
        logits: the teacher's, ``[examples, classes]``; ``None``: learn from labels only.
        vectors: the teacher's, ``[functions, teacher hidden]``; ``None``: no loss on vectors.
    """

    dataset: Dataset
    tokens: TokenIds
    logits: NDArray[np.float32] | None = None
    vectors: NDArray[np.float32] | None = None


class Apprentice(nn.Module):
    """A student with the projection to its teacher's vectors, which only training needs."""

    def __init__(self, student: Student, teacher_hidden: int, seed: int) -> None:
        super().__init__()
        self.student = student
        generator = torch.Generator().manual_seed(seed)
        width = student.config.width
        self.projection = nn.Parameter(torch.randn(width, max(teacher_hidden, 1), generator=generator) * width**-0.5)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """``(logits [examples, classes], projected vectors [functions, teacher hidden])``."""
        logits, vectors = self.student(batch.ids, batch.mask, batch.members, batch.nodes)
        return logits, vectors @ self.projection


def distill(
    student: Student,
    lesson: Lesson,
    mix: DistillationMix,
    plan: TrainingPlan,
    batch_plan: BatchPlan,
    *,
    validate: Callable[[], Mapping[str, float]] | None = None,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Progress | None = None,
) -> list[History]:
    """Train ``student`` in place on ``lesson``; the arguments are those of :func:`lilliput.training.fit`."""
    soft = None if lesson.logits is None or mix.soft == 0 else torch.from_numpy(lesson.logits)
    hidden = None if lesson.vectors is None or mix.hidden == 0 else torch.from_numpy(lesson.vectors)
    apprentice = Apprentice(student, 0 if hidden is None else hidden.shape[1], plan.seed)

    def loss_of(model: nn.Module, batch: Batch) -> Tensor:
        logits, vectors = cast("tuple[Tensor, Tensor]", model(batch))
        loss = mix.hard * hard_loss(logits, batch.labels)
        if soft is not None:
            loss = loss + mix.soft * soft_loss(logits, soft[batch.rows], mix.temperature)
        if hidden is not None:
            loss = loss + mix.hidden * hidden_loss(vectors, hidden[batch.functions])
        return loss

    return fit(
        apprentice,
        Batches(lesson.dataset, lesson.tokens, batch_plan),
        loss_of,
        plan,
        validate=validate,
        checkpoint=checkpoint,
        fingerprint=f"{fingerprint}|{mix}|{batch_plan}",
        progress=progress,
    )


def predict_logits(student: Student, dataset: Dataset, tokens: TokenIds) -> NDArray[np.float32]:
    """The student's logits ``[examples, classes]``; each distinct function is encoded once."""
    was_training = student.training
    student.eval()
    vectors = torch.empty(len(dataset.texts), student.config.width)
    with torch.no_grad():
        for functions in length_buckets(tokens.lengths.tolist(), EVALUATION_TOKENS):
            ids = tokens.padded(functions)
            with autocast(student.config.layered):
                mask = tokens.mask(functions, ids.shape[1])
                vectors[functions] = student.vectors(ids, mask, tokens.nodes(functions)).float()
        logits = student.classify(vectors, torch.from_numpy(dataset.members)).float().numpy()
    student.train(was_training)
    return cast("NDArray[np.float32]", logits)


def measures(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """``valid_accuracy`` and ``valid_loss`` (cross-entropy) of ``logits [n, classes]``."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return {
        "valid_accuracy": float((logits.argmax(axis=1) == labels).mean()),
        "valid_loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
    }
