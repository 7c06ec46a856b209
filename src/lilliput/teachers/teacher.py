"""A teacher: an opened, trained classifier with everything needed to use it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lilliput.batching import TokenIds
from lilliput.data.dataset import Dataset
from lilliput.files import sha256_of
from lilliput.progress import Progress
from lilliput.teachers.inference import dataset_logits
from lilliput.teachers.model import TeacherModel

Tokenize = Callable[[Sequence[str]], list[NDArray[np.int64]]]
"""Texts to token ids, special tokens included, truncated to the teacher's ``max_tokens``."""


@dataclass(frozen=True)
class Teacher:
    """A classifier to learn from.

    Attributes:
        name: for messages and provenance.
        model: in evaluation mode, on :func:`lilliput.training.device`.
        tokenize: see :data:`Tokenize`.
        pad_id: token id of padding.
        max_tokens: the longest input, special tokens included.
        label_names: the classes, in the order of the logits.
        files: the files it was read from.
        fingerprint: sha256 over the contents of ``files``.
    """

    name: str
    model: TeacherModel
    tokenize: Tokenize
    pad_id: int
    max_tokens: int
    label_names: tuple[str, ...]
    files: tuple[Path, ...]
    fingerprint: str

    @property
    def arity(self) -> int:
        """Functions per example: 1 or 2."""
        return self.model.arity

    def bytes(self) -> int:
        """Size of its files on disk."""
        return sum(path.stat().st_size for path in self.files)

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Token ids of each text, as the model's input."""
        return self.tokenize(texts)

    def tokens(self, dataset: Dataset) -> TokenIds:
        """Token ids of a dataset's functions."""
        return TokenIds(self.encode(dataset.texts), self.pad_id, self.max_tokens)

    def logits(self, dataset: Dataset, progress: Progress | None = None, exact: bool = True) -> NDArray[np.float32]:
        """Logits ``[n, classes]`` of a dataset's examples, columns in the order of ``label_names``.

        Args:
            dataset: of the teacher's arity.
            progress: shown while working.
            exact: compute in float32; else in bfloat16 where that is fast.

        Raises:
            DataError: there are no examples, or they are of another arity.
        """
        return dataset_logits(self.model, dataset, self.tokens(dataset), progress, exact)


def fingerprint_of(files: Iterable[Path]) -> str:
    """sha256 over the names and contents of ``files``, in order of their names."""
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        digest.update(f"{path.name}\0{sha256_of(path)}\n".encode())
    return digest.hexdigest()
