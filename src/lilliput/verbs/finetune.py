"""``finetune``: turn an encoder of code into the teacher of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lilliput.data.dataset import Dataset
from lilliput.data.labels import require_two_classes
from lilliput.data.tables import Columns
from lilliput.errors import refuse_unused
from lilliput.progress import Progress
from lilliput.tasks import task_named

if TYPE_CHECKING:
    from lilliput.teachers.finetune import FinetuneResult


@dataclass(frozen=True)
class Finetuned:
    """A fine-tuned teacher, and its scores on the validation data that chose its epoch."""

    result: FinetuneResult

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        scores = self.result.scores
        valid = None if scores is None else scores.as_dict()
        return {"path": str(self.result.path), "valid": valid, "history": self.result.history}

    def facts(self) -> dict[str, object]:
        """Names and values to print."""
        scores = self.result.scores
        if scores is None:
            return {"teacher": self.result.path}
        ends = scores.intervals["accuracy"]
        interval = "" if ends is None else f" [{ends[0]:.1%}, {ends[1]:.1%}]"
        told = {"f1": f"{scores.f1:.1%}", "mcc": f"{scores.mcc:.3f}"} | dict.fromkeys(scores.undefined, "undefined")
        return {
            "teacher": self.result.path,
            "accuracy (validation)": f"{scores.accuracy:.1%}{interval}, n = {scores.n:,}",
            "F1, MCC": f"{told['f1']}, {told['mcc']}",
            "epochs": len(self.result.history),
        }


def finetune(
    base: str | Path,
    task: str,
    train: str | Path | Sequence[str | Path],
    valid: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    epochs: int = 3,
    learning_rate: float | None = None,
    batch: int = 32,
    max_tokens: int | None = 400,
    pooling: str | None = None,
    join: str = "difference",
    label_names: Sequence[str] | None = None,
    columns: Columns | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Finetuned:
    """Fine-tune an encoder of code for a task.

    Args:
        base: folder or hub id of an encoder, or ``scratch:`` with sizes.
        task: name of the task.
        train: one or more labelled files.
        valid: one or more labelled files; the epoch that scores best on them is kept.
        out: the teacher's folder.
        epochs: passes over the data.
        learning_rate: the peak; ``None``: depends on the base.
        batch: examples per step.
        max_tokens: maximum input length, special tokens included.
        pooling: ``first``, ``mean`` or ``wide``; ``None``: depends on the base.
        join: how the head joins the vectors of a pair: ``difference`` or ``concat``.
        label_names: class names in order; ``None``: those of the task or the data.
        columns: names of the columns of tables.
        seed: random seed.
        progress: shown while training.

    Raises:
        UserError: bad input. If interrupted at any point, the same call resumes.
    """
    kind, columns = task_named(task), columns or Columns()
    refuse_unused({"--join": (join != "difference" and kind.arity == 1, "goes with tasks of pairs")})
    data = kind.read(train, columns, kind.classes(label_names), True)
    require_two_classes(data)
    checked: Dataset = kind.read(valid, columns, data.label_names, True)

    # Imported only now: it takes seconds, and bad data should be refused at once.
    from lilliput.teachers.finetune import FinetuneSettings
    from lilliput.teachers.finetune import finetune as train_teacher

    settings = FinetuneSettings(
        epochs=epochs,
        learning_rate=learning_rate,
        batch=batch,
        max_tokens=max_tokens,
        pooling=pooling,
        join=join,
        seed=seed,
    )
    return Finetuned(train_teacher(base, kind, data, checked, Path(out), settings=settings, progress=progress))
