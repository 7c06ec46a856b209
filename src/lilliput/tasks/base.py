"""What a classification task is: how its examples are read, how many functions each joins, what its classes are."""

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
        name: what ``--task`` calls it.
        arity: functions an example joins, 1 or 2.
        label_names: the classes by index, or ``None`` where the data names them.
        positive: the class that precision, recall and F1 speak of (``None``: macro average over all).
        reader: ``(paths, columns, label_names, labelled) -> Dataset``; call :meth:`read`.
        language: of the functions in its best-known data; ``None``: there are none.
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
        """The examples in ``paths``.

        Args:
            paths: files of the kinds the task reads, or one.
            columns: names of the columns of tables; by default the task's own.
            label_names: the classes in order, where the data should not name them.
            labelled: whether labels are read; else every label is ``-1``.
        """
        files = [Path(path) for path in file_list(paths)]
        return self.reader(files, columns or Columns(), label_names, labelled)

    def classes(self, given: Sequence[str] | None) -> tuple[str, ...] | None:
        """The classes to read training data with: the task's own, or those ``given``; ``None``: the data names them.

        Raises:
            UserError: names are given where the task has its own (they would change what its labels mean), or they are
                not two or more different names.
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
