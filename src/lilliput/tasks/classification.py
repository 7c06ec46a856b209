"""Classification with the user's own labels: one function, two or more classes.

No class is the positive one, even if there are two: they are merely ordered by name, so scores are macro averages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lilliput.data.dataset import Dataset
from lilliput.data.tables import PLAIN_COLUMNS, Columns, read_tables, require_single
from lilliput.tasks.base import Task


def read_classes(
    paths: Sequence[Path],
    columns: Columns = PLAIN_COLUMNS,
    label_names: tuple[str, ...] | None = None,
    labelled: bool = True,
) -> Dataset:
    """Read single functions from tables, with the classes that their labels name.

    Labels are not class indices, since the order of classes is arbitrary, unless the classes are merely numbered
    (``LABEL_0``, ``LABEL_1``: transformers' names for unnamed classes).

    Raises:
        UserError: ``columns`` names a second code column.
        DataError, MissingExtra: as :func:`~lilliput.data.tables.read_tables` does.
    """
    require_single(columns)
    numbered = label_names is not None and label_names == tuple(f"LABEL_{i}" for i in range(len(label_names)))
    return read_tables(paths, columns, label_names, labelled, by_index=numbered)


CLASSIFICATION = Task(name="classification", arity=1, label_names=None, positive=None, reader=read_classes)
