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
        reader: ``(paths, columns, label_names, labelled) -> Dataset``; call :meth:`read`.
    """

    name: str
    arity: int
    label_names: tuple[str, ...] | None
    positive: int | None
    reader: Callable[[Sequence[Path], Columns, tuple[str, ...] | None, bool], Dataset]

    def read(
        self,
        paths: Sequence[str | Path],
        columns: Columns | None = None,
        label_names: tuple[str, ...] | None = None,
        labelled: bool = True,
    ) -> Dataset:
        """The examples in ``paths``.

        Args:
            paths: files of the kinds the task reads.
            columns: names of the columns of tables; by default the task's own.
            label_names: the classes in order, where the data should not name them.
            labelled: whether labels are read; else every label is ``-1``.
        """
        return self.reader([Path(path) for path in paths], columns or Columns(), label_names, labelled)
