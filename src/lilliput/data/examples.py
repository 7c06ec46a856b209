"""Collect examples into a :class:`~lilliput.data.dataset.Dataset`: functions are checked, duplicates merged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.data.dataset import Dataset
from lilliput.data.labels import LabelSet
from lilliput.data.lines import Place, sha256_of_all, shown
from lilliput.errors import DataError

MAX_FUNCTION_BYTES = 1_000_000
"""Longest function accepted, in bytes of UTF-8: longer ones are generated tables or mistakes."""


def check_code(value: Any, place: Place, what: str = "the code", longest: int = MAX_FUNCTION_BYTES) -> str:
    """Check that ``value`` is the source of a function, and return it.

    Raises:
        DataError: it is not a string, is empty, holds a NUL character or a lone surrogate (which UTF-8 cannot), or is
            longer than ``longest`` bytes.
    """
    if not isinstance(value, str):
        raise place.error(f"{what} is not a string but {shown(value)}.", "Write the function's source as a string.")
    if not value.strip():
        raise place.error(f"{what} is empty.", "Add the function's source, or leave it out.")
    if (nul := value.find("\0")) >= 0:
        raise place.error(f"{what} holds a NUL character (character {nul + 1}).", "Remove it: source code has none.")
    try:
        size = len(value.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise place.error(
            f"{what} holds a lone surrogate (character {error.start + 1}), which is not valid Unicode.", "Remove it."
        ) from error
    if size > longest:
        raise place.error(
            f"{what} is {size:,} bytes long; the longest function accepted is {longest:,} bytes.",
            "Remove it, or give single functions instead of whole files.",
        )
    return value


class ExampleBuilder:
    """Collects examples one by one; functions with exactly the same text become one.

    Args:
        arity: functions per example, 1 or 2.
        label_names: the classes by index, or ``None`` to collect them from the labels.
        labelled: whether labels are read; if not, every label is -1.
        by_index: whether labels may give the index of one of ``label_names``.
    """

    def __init__(self, arity: int, label_names: tuple[str, ...] | None, labelled: bool, by_index: bool = True) -> None:
        self.arity = arity
        self.labelled = labelled
        self._classes = LabelSet(label_names, by_index)
        self._function_index: dict[str, int] = {}
        self._members: list[int] = []
        self._labels: list[int] = []

    def add(self, codes: Sequence[str], label: object, place: Place) -> None:
        """Add one example: ``arity`` functions (checked by :func:`check_code`) and the raw value of its label.

        Raises:
            DataError: labels are read, and this one is missing or names no class.
        """
        self._labels.append(self._classes.index(label, place) if self.labelled else -1)
        self._members.extend(self._function_index.setdefault(code, len(self._function_index)) for code in codes)

    def dataset(self, paths: Sequence[Path]) -> Dataset:
        """All examples added, as a dataset that was read from the files ``paths``."""
        names, final = self._classes.ordered()
        labels = np.array(self._labels, dtype=np.int64)
        return Dataset(
            texts=tuple(self._function_index),
            members=np.array(self._members, dtype=np.int64).reshape(-1, self.arity),
            labels=final[labels] if self.labelled else labels,
            label_names=names,
            sources=tuple(path.name for path in paths),
            sha256=sha256_of_all(paths),
        )


def require_paths(paths: Sequence[Path]) -> None:
    """Refuse an empty list of files.

    Raises:
        DataError: ``paths`` is empty.
    """
    if not paths:
        raise DataError("no data file was given.", remedy="Give at least one path.")
