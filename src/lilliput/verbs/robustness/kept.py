"""Intermediate findings of ``robustness`` for a classifier, so that an interrupted run can resume."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.data.dataset import Dataset
from lilliput.data.rewrites import REWRITES
from lilliput.data.rewrites.datasets import RewrittenDataset
from lilliput.evaluate.flips import Rewritings, rewritings
from lilliput.files import sha256_of
from lilliput.progress import Progress
from lilliput.teachers.hub import checkpoint_files
from lilliput.verbs.kept import Kept, artifact_key, key_of
from lilliput.verbs.subjects import ArtifactSubject, CheckpointSubject, Subject
from lilliput.version import VERSION

AT_ONCE = 128
"""Examples whose logits are kept together. All pairs are: they share functions, which are encoded once."""


def identity_of(subject: Subject, tokenizer: str | Path | None = None) -> str:
    """A unique key of a classifier, which also changes with versions and tokenizer."""
    if isinstance(subject, ArtifactSubject):
        return artifact_key(subject.classifier.artifact)
    assert isinstance(subject, CheckpointSubject)
    own = "" if tokenizer is None else _hash_of(Path(tokenizer))
    return key_of("checkpoint", subject.teacher.fingerprint, own, VERSION, importlib.metadata.version("torch"))


def _hash_of(tokenizer: Path) -> str:
    """Hash of a tokenizer file, or of a folder's tokenizer."""
    from lilliput.teachers.teacher import fingerprint_of  # imports torch, already loaded for a checkpoint

    return sha256_of(tokenizer) if tokenizer.is_file() else fingerprint_of(checkpoint_files(tokenizer))


@dataclass(frozen=True)
class KeptSubject:
    """A classifier whose logits are computed once.

    Attributes:
        subject: the classifier.
        kept: where logits are kept.
        identity: see :func:`identity_of`.
    """

    subject: Subject
    kept: Kept
    identity: str

    def logits(self, dataset: Dataset, progress: Progress) -> NDArray[np.float32]:
        """Logits ``[examples, classes]``."""
        if dataset.arity > 1:
            return self._part(dataset, progress)
        found = []
        with progress.track(f"{self.subject.name}: classifying", len(dataset)) as advance:
            for first in range(0, len(dataset), AT_ONCE):
                rows = np.arange(first, min(first + AT_ONCE, len(dataset)))
                found.append(self._part(dataset.subset(rows), Progress()))
                advance(len(rows))
        return np.concatenate(found)

    def predictions(self, dataset: Dataset) -> NDArray[np.int64]:
        """Classes ``[examples]``, without progress: the calling loop shows it."""
        return np.asarray(self.logits(dataset, Progress()).argmax(axis=1), np.int64)

    def _part(self, part: Dataset, progress: Progress) -> NDArray[np.float32]:
        key = key_of("logits", self.identity, part.texts, part.members.tolist())
        if key not in self.kept.found:
            self.kept.add(key, {"logits": self.subject.logits(part, progress).tolist()})
        return np.asarray(self.kept.found[key]["logits"], np.float32)


def kept_rewritings(dataset: Dataset, language: str, seeds: int, kept: Kept, progress: Progress) -> Rewritings:
    """Like :func:`~lilliput.evaluate.flips.rewritings` with all rewrites, reusing kept ones."""
    steps = len(REWRITES) * seeds
    with progress.track("rewriting functions", steps * len(dataset.texts)) as advance:

        def one(name: str, seed: int) -> RewrittenDataset:
            key = key_of("rewriting", VERSION, dataset.texts, dataset.members.tolist(), language, name, seed)
            if key not in kept.found:
                kept.add(key, _plain(rewritings(dataset, language, (name,), (seed,)).by_rewrite[name][0]))
            advance(len(dataset.texts))
            return _rewritten(dataset, kept.found[key])

        made = {name: tuple(one(name, seed) for seed in range(seeds)) for name in REWRITES}
    return Rewritings(dataset, language, tuple(range(seeds)), made)


def _plain(made: RewrittenDataset) -> dict[str, Any]:
    """Plain JSON values."""
    counts = {name: getattr(made, name) for name in ("functions", "functions_changed", "refused")}
    arrays = {"members": made.dataset.members.tolist(), "changed": made.changed.tolist()}
    return {"texts": list(made.dataset.texts), **arrays, **counts}


def _rewritten(dataset: Dataset, found: Mapping[str, Any]) -> RewrittenDataset:
    """The inverse of :func:`_plain`."""
    members = np.asarray(found["members"], np.int64)
    return RewrittenDataset(
        dataset=dataclasses.replace(dataset, texts=tuple(found["texts"]), members=members, sha256=""),
        changed=np.asarray(found["changed"], np.bool_),
        functions=found["functions"],
        functions_changed=found["functions_changed"],
        refused=found["refused"],
    )
