"""Training of one shrink: networks by optimizer steps, linear models in one fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lilliput.batching import BatchPlan
from lilliput.distill.lesson import Lesson, distill
from lilliput.distill.linear import fit_linear
from lilliput.distill.losses import DistillationMix
from lilliput.distill.student import Student
from lilliput.progress import Progress
from lilliput.training import History, TrainingPlan
from lilliput.verbs.shrink.settings import ShrinkSettings


@dataclass(frozen=True)
class Fitting:
    """What all trainings of a shrink have in common.

    Attributes:
        settings: settings of the shrink.
        mix: weights of the losses.
        batches: how the data are split into batches.
        file: name -> path of the checkpoint of that name.
        data: hash of the training data.
        progress: shown while training.
    """

    settings: ShrinkSettings
    mix: DistillationMix
    batches: BatchPlan
    file: Callable[[str], Path]
    data: str
    progress: Progress

    def network(
        self,
        student: Student,
        lesson: Lesson,
        epochs: int,
        learning_rate: float,
        name: str,
        validate: Callable[[], Mapping[str, float]] | None = None,
    ) -> list[History]:
        """Train a student's network, with a checkpoint of that name; with ``validate``, keep its best epoch.

        With labels alone, the best epoch is the most accurate one: a student may grow overconfident and still become
        more accurate. With a teacher's probabilities, it is the one with the lowest loss, which is less noisy.
        """
        plan = TrainingPlan(
            epochs=epochs,
            learning_rate=learning_rate,
            seed=self.settings.seed,
            keep_best=("valid_loss" if self.mix.soft else "valid_accuracy") if validate else None,
            bfloat16=student.config.layered,  # without layers there is little to gain and much to round
        )
        checkpoint = self.file(f"{name}.pt")
        history = distill(
            student,
            lesson,
            self.mix,
            plan,
            self.batches,
            validate=validate,
            checkpoint=checkpoint,
            fingerprint=f"{name}|{student.config}|{self.data}",
            progress=self.progress,
        )
        checkpoint.unlink(missing_ok=True)
        return history

    def linear(self, student: Student, lesson: Lesson, name: str) -> History:
        """Fit a student's linear model, with a checkpoint of that name."""
        assert self.settings.linear is not None
        self.progress.note(f"fitting a linear model to {len(lesson.dataset):,} examples")
        checkpoint = self.file(f"{name}-linear.pt")
        line = fit_linear(
            student,
            lesson,
            self.mix,
            self.settings.linear,
            checkpoint=checkpoint,
            fingerprint=f"{name}|{student.config}|{self.data}",
            progress=self.progress,
        )
        checkpoint.unlink(missing_ok=True)
        return line
