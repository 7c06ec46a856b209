"""The one shape of classification data: distinct functions, and examples that join one or two of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Dataset:
    """Labelled (or unlabelled) examples over distinct functions.

    Attributes:
        texts: the distinct functions' source, in order of first appearance.
        members: shape ``[n, arity]``, int64: which ``texts`` each example joins (arity 1: a function; 2: a pair).
        labels: shape ``[n]``, int64 class index, ``-1`` where unlabelled.
        label_names: the classes, by index.
        sources: names of the files it was read from, for messages and provenance.
        sha256: of the bytes read, over all files in order; identifies the data in provenance and cache keys.
    """

    texts: tuple[str, ...]
    members: NDArray[np.int64]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    sources: tuple[str, ...] = ()
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def arity(self) -> int:
        """Functions per example: 1 or 2."""
        return int(self.members.shape[1])

    def subset(self, rows: NDArray[np.int64]) -> Dataset:
        """The examples ``rows`` (indices, in that order), with only the functions that they use."""
        members = self.members[rows]
        used, inverse = np.unique(members, return_inverse=True)
        return Dataset(
            texts=tuple(self.texts[i] for i in used),
            members=inverse.reshape(members.shape).astype(np.int64),
            labels=self.labels[rows],
            label_names=self.label_names,
            sources=self.sources,
            sha256=f"{self.sha256}[{len(rows)}]" if self.sha256 else "",
        )


def concatenate(first: Dataset, second: Dataset) -> Dataset:
    """The examples of both datasets; functions that occur in both are kept once.

    Raises:
        ValueError: they differ in arity.
    """
    if first.arity != second.arity:
        raise ValueError(f"arity {first.arity} and {second.arity} do not go together")
    index = {text: place for place, text in enumerate(first.texts)}
    places = np.array([index.setdefault(text, len(index)) for text in second.texts], np.int64)
    return Dataset(
        texts=tuple(index),
        members=np.concatenate((first.members, places[second.members])),
        labels=np.concatenate((first.labels, second.labels)),
        label_names=first.label_names,
        sources=(*first.sources, *second.sources),
        sha256=hashlib.sha256(f"{first.sha256}+{second.sha256}".encode()).hexdigest(),
    )
