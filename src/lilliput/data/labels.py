"""Class labels: what a value in a label column means, and the order of classes."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

from lilliput.data.dataset import Dataset
from lilliput.data.lines import Place, listed, shown
from lilliput.errors import DataError, UserError, is_plain

MAX_CLASSES = 1000
"""More different labels than this mean that the wrong column was named."""
MAX_LABEL = 200
"""Characters of the longest label: anything longer is not the name of a class."""


def normalized(text: str) -> str:
    """``text`` stripped and in Unicode NFC, so that names that look the same are the same."""
    return unicodedata.normalize("NFC", text.strip())


def label_text(value: object, place: Place) -> str:
    """The name of the class that ``value`` stands for, the same in every file format.

    Integers (also as ``1.0``, even in a string: CSV has nothing else) are written in decimal, booleans as ``true`` and
    ``false`` whatever their case, strings :func:`normalized`.

    Raises:
        DataError: there is no label, or it is not an integer, string or boolean, or has several lines, more than
            :data:`MAX_LABEL` characters, or unprintable ones.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise place.error("has no label.", "Add the label, or leave the row out.")
    if not isinstance(value, str):
        raise place.error(
            f"the label {shown(value)} is not an integer, string or boolean.", "Write it as one of these."
        )
    text = normalized(value)
    if len(text.splitlines()) == 1 and not is_plain(text):
        raise place.error(f"the label {shown(text)} has a character in it that cannot be shown.", "Leave it out.")
    if len(text) > MAX_LABEL or len(text.splitlines()) > 1:
        wrong = f"has {len(text):,} characters" if len(text) > MAX_LABEL else "has a line break in it"
        raise place.error(
            f"the label {shown(text)} {wrong}.", f"Write a label as one line of at most {MAX_LABEL} characters."
        )
    return _canonical(text)


def _canonical(text: str) -> str:
    """Numbers and booleans in the form shared by all file formats; other text unchanged."""
    if re.fullmatch(r"-?[0-9]+\.0+", text):
        return str(int(text.partition(".")[0]))
    return text.lower() if text.lower() in _TRUTH else text


def _is_integer(text: str) -> bool:
    return re.fullmatch("-?[0-9]{1,18}", text) is not None


_TRUTH = {"false": "0", "true": "1"}


class LabelSet:
    """The classes, given beforehand or collected while reading.

    Args:
        names: the classes by index, or ``None`` to collect them. Labels are names.
        by_index: whether a label may also be an index, provided no name is a number; ``false`` and ``true`` then mean
            0 and 1, unless either is a name.

    Raises:
        UserError: ``names`` repeats a name (``true`` and ``false`` in any case), or has fewer than two.
    """

    def __init__(self, names: tuple[str, ...] | None, by_index: bool = True) -> None:
        self._index = {_canonical(normalized(name)): i for i, name in enumerate(names or ())}
        if names is not None and (len(names) < 2 or len(self._index) < len(names)):
            raise UserError(f"the classes {listed(names)} are not two or more different names.", where="label names")
        self._given, self._by_index = names, by_index
        if by_index and names is not None and not any(map(_is_integer, names)):
            by_number = {str(i): i for i in range(len(names))}
            truth = {} if _TRUTH.keys() & self._index.keys() else _TRUTH
            self._index = by_number | {word: by_number[digit] for word, digit in truth.items()} | self._index

    def index(self, value: object, place: Place) -> int:
        """The class of ``value``: its index, or, for classes being collected, a number that :meth:`ordered` maps.

        Raises:
            DataError: ``value`` is not a label, names no class, or is one class too many.
        """
        text = label_text(value, place)
        if text not in self._index:
            if self._given is not None:
                classes = ", ".join(f"{name} ({i})" if self._by_index else name for i, name in enumerate(self._given))
                raise place.error(f"the label {shown(text)} is none of the classes: {classes}.", "Correct the label.")
            if len(self._index) == MAX_CLASSES:
                raise place.error(
                    f"the label {shown(text)} would be class number {MAX_CLASSES + 1}.",
                    "Check that --label-column names the column of classes.",
                )
            self._index[text] = len(self._index)
        return self._index[text]

    def ordered(self) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """The names by final index, and the final index of each number that :meth:`index` gave.

        Collected names are sorted as numbers if all are integers, else as text.
        """
        if self._given is not None:
            return self._given, np.arange(len(self._given), dtype=np.int64)
        numeric = all(map(_is_integer, self._index))
        names = sorted(self._index, key=(lambda name: (int(name), name)) if numeric else (lambda name: (0, name)))
        final = np.empty(len(names), dtype=np.int64)
        for place, name in enumerate(names):
            final[self._index[name]] = place
        return tuple(names), final


def require_two_classes(dataset: Dataset) -> None:
    """Refuse data that no classifier can be trained on.

    Raises:
        DataError: fewer than two classes have an example in ``dataset``.
    """
    present = np.unique(dataset.labels[dataset.labels >= 0])
    if len(present) >= 2:
        return
    found = f"all have the label {shown(dataset.label_names[present[0]])}" if len(present) else "none has a label"
    raise DataError(
        f"a classifier needs examples of at least two classes; of {len(dataset):,} here, {found}.",
        remedy="Give data with examples of each class.",
        where=", ".join(dataset.sources) or None,
    )
