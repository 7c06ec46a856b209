"""A recorded teacher: logits from any source, such as an ensemble or a service, in one file.

The file is ``.npz``: ``functions``, the SHA-256 of each function's UTF-8 text in hexadecimal; ``logits`` float32
``[functions, classes]``; ``labels``, the classes' names. It covers only the functions it was recorded on.

Record training functions out of fold (each by a model that has not seen its label): a teacher's output on an example
it was fitted to is little more than the label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lilliput.arrays import read_arrays
from lilliput.errors import CheckpointError, DataError, refuse_unused
from lilliput.files import atomic_file
from lilliput.tasks import Task
from lilliput.teachers.model import Encoded, TeacherModel
from lilliput.teachers.teacher import Teacher, fingerprint_of
from lilliput.training import device

_AGAIN = "Write it with lilliput.teachers.recorded.record."


def record(path: Path, texts: Sequence[str], logits: NDArray[np.float32], label_names: Sequence[str]) -> None:
    """Write the file of a recorded teacher.

    Args:
        path: ends in ``.npz``.
        texts: functions; of duplicates, the first counts.
        logits: ``[len(texts), len(label_names)]``, finite.
        label_names: the classes, in the order of the columns.

    Raises:
        ValueError: the shapes do not agree, or a logit is not finite.
    """
    if logits.shape != (len(texts), len(label_names)) or not np.isfinite(logits).all():
        raise ValueError(f"logits must be finite, [{len(texts)}, {len(label_names)}]; they are {list(logits.shape)}")
    names, rows = np.unique([_name(text) for text in texts], return_index=True)
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            functions=names,
            logits=logits[rows].astype(np.float32),
            labels=np.array(list(label_names)),
        )


def open_checkpoint(path: Path, *, tokenizer: Path | None, task: Task | None) -> Teacher:
    """Open what :func:`record` wrote.

    Raises:
        CheckpointError: the file is not a recorded teacher, or its classes are not the task's.
        UserError: a tokenizer is given.
    """
    refuse_unused({"--tokenizer": (tokenizer is not None, "does not go with recorded logits, which read no tokens")})
    arrays = _read(path)
    names, labels = arrays["functions"].tolist(), tuple(arrays["labels"].tolist())
    if task is not None and (task.arity != 1 or (task.label_names is not None and task.label_names != labels)):
        raise CheckpointError(
            f"it records {', '.join(labels)} of single functions, which is not what task '{task.name}' asks for.",
            where=path,
            remedy="Name the task it was recorded for.",
        )
    answers = _Answers(path, {name: row for row, name in enumerate(names)})
    return Teacher(
        name=path.stem,
        model=_Recorded(torch.from_numpy(arrays["logits"])).to(device()).eval(),
        tokenize=answers.rows,
        pad_id=0,
        max_tokens=1,
        label_names=labels,
        files=(path,),
        fingerprint=fingerprint_of((path,)),
    )


def _read(path: Path) -> Mapping[str, NDArray[Any]]:
    """The arrays of a file, checked."""
    try:
        stored = read_arrays(path)
        arrays = {name: stored[name] for name in ("functions", "logits", "labels")}
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"no recorded logits can be read here ({error}).", where=path, remedy=_AGAIN) from error
    functions, logits, labels = arrays["functions"], arrays["logits"], arrays["labels"]
    kinds = (functions.dtype.kind, logits.dtype, labels.dtype.kind)
    shapes = functions.ndim == labels.ndim == 1 and logits.shape == (len(functions), len(labels))
    if kinds != ("U", np.dtype(np.float32), "U") or not shapes or len(labels) < 2 or not np.isfinite(logits).all():
        raise CheckpointError("its arrays are not those of recorded logits.", where=path, remedy=_AGAIN)
    return arrays


def _name(text: str) -> str:
    """The key of a function in the file."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class _Answers:
    """Maps functions to rows of the logits."""

    path: Path
    row_of: Mapping[str, int]

    def rows(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Each function's row, in place of its tokens: see :data:`lilliput.teachers.teacher.Tokenize`."""
        rows = [self.row_of.get(_name(text)) for text in texts]
        missing = [text for text, row in zip(texts, rows, strict=True) if row is None]
        if missing:
            raise DataError(
                f"{len(missing):,} of {len(texts):,} functions are not among the {len(self.row_of):,} recorded here, "
                f"such as: {' '.join(missing[0].split())[:60]}",
                where=self.path,
                remedy="Record all functions that the student is to learn from, and those of validation.",
            )
        return [np.array([row], np.int64) for row in rows]


class _Recorded(TeacherModel):
    """A look-up: a function's vector and its logits are its row."""

    arity = 1

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits, requires_grad=False)

    def encode(self, ids: Tensor, mask: Tensor, layers: bool = False) -> Encoded:
        """See :meth:`TeacherModel.encode`."""
        return Encoded(self.logits[ids[:, 0]])

    def classify(self, encoded: Encoded, members: Tensor) -> Tensor:
        """See :meth:`TeacherModel.classify`."""
        return encoded.vectors[members[:, 0]]
