"""The classification task: how its examples are read, how many functions each joins, and what its classes are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lilliput.data.dataset import Dataset
from lilliput.data.labels import normalized
from lilliput.data.lines import file_list, listed
from lilliput.data.tables import Columns
from lilliput.errors import UserError


@dataclass(frozen=True)
class Task:
    """A kind of classification.

    Attributes:
        name: its name for ``--task``.
        arity: functions per example, 1 or 2.
        label_names: the classes by index, or ``None`` if the data names them.
        positive: the class whose precision, recall and F1 are reported (``None``: macro average over all).
        reader: ``(paths, columns, label_names, labelled) -> Dataset``; call :meth:`read`.
        language: language of the functions in its best-known dataset; ``None`` if there is no such dataset.
    """

    name: str
    arity: int
    label_names: tuple[str, ...] | None
    positive: int | None
    reader: Callable[[Sequence[Path], Columns, tuple[str, ...] | None, bool], Dataset]
    language: str | None = None

    def read(
        self,
        paths: str | Path | Sequence[str | Path],
        columns: Columns | None = None,
        label_names: tuple[str, ...] | None = None,
        labelled: bool = True,
    ) -> Dataset:
        """Read the examples in ``paths``.

        Args:
            paths: one or more files of the kinds the task reads.
            columns: column names of tables; by default the task's own.
            label_names: the classes in order, if the data should not name them.
            labelled: whether to read labels; else every label is ``-1``.
        """
        files = [Path(path) for path in file_list(paths)]
        return self.reader(files, columns or Columns(), label_names, labelled)

    def classes(self, given: Sequence[str] | None) -> tuple[str, ...] | None:
        """The classes to read training data with: the task's own, or those ``given``; ``None``: the data names them.

        Raises:
            UserError: names are given although the task has its own (they would change what its labels mean), or they
                are not two or more different names.
        """
        if given is None:
            return self.label_names
        if self.label_names is not None:
            raise UserError(
                f"task '{self.name}' has its own classes, {listed(self.label_names)}.",
                where="--labels",
                remedy="Leave the names out, or choose task 'classification'.",
            )
        names = tuple(normalized(name) for name in given)
        if "" in names:
            raise UserError(f"name {names.index('') + 1} is empty.", where="--labels", remedy="Name every class.")
        if len(names) < 2 or len(set(names)) < len(names):
            raise UserError(
                f"the classes {listed(names)} are not two or more different names.",
                where="--labels",
                remedy="Name each class once.",
            )
        return names
