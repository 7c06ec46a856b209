"""The trainings of one shrink: of networks, by steps, and of linear models, to the end."""

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
    """What the trainings have in common.

    Attributes:
        settings: of the shrink.
        mix: weights of the losses.
        batches: how the data are cut.
        file: name -> where a checkpoint of that name is kept.
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
        """Train a student's network, with a checkpoint of that name; its best epoch is kept where it is validated.

        Of labels alone the most accurate one is best: a student may grow surer of itself than right and still say more
        rightly. Where a teacher's probabilities count, the one of the least loss, which chance moves less.
        """
        plan = TrainingPlan(
            epochs=epochs,
            learning_rate=learning_rate,
            seed=self.settings.seed,
            keep_best=("valid_loss" if self.mix.soft else "valid_accuracy") if validate else None,
            bfloat16=student.config.layered,  # without layers there is little to multiply, and much to round
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
