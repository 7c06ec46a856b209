"""What a classification task is: how its examples are read, how many functions each joins, what its classes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lilliput.data.dataset import Dataset
from lilliput.data.tables import Columns


@dataclass(frozen=True)
class Task:
    """A kind of classification.

    Attributes:
        name: what ``--task`` calls it.
        arity: functions an example joins, 1 or 2.
        label_names: the classes by index, or ``None`` where the data names them.
        positive: the class that precision, recall and F1 speak of (``None``: macro average over all).
        read: ``read(paths, columns, label_names, labelled) -> Dataset``.
    """

    name: str
    arity: int
    label_names: tuple[str, ...] | None
    positive: int | None
    read: Callable[[Sequence[Path], Columns, tuple[str, ...] | None, bool], Dataset]
