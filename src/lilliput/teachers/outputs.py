"""A teacher's outputs on a dataset, cached on disk: students learn from them in every epoch of every trial.

Every finished chunk is saved, so a killed run loses at most one.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lilliput.arrays import read_arrays
from lilliput.data.dataset import Dataset
from lilliput.files import atomic_file
from lilliput.progress import Progress
from lilliput.teachers.inference import check_fits, classify_all, encode_chunk, function_chunks, gather
from lilliput.teachers.model import Encoded
from lilliput.teachers.teacher import Teacher

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class TeacherOutputs:
    """A teacher's outputs.

    Attributes:
        logits: ``[n, classes]``, one row per example, columns in the order of the teacher's labels.
        vectors: ``[functions, h]``, one row per function of the dataset.
    """

    logits: NDArray[np.float32]
    vectors: NDArray[np.float32]


def teacher_outputs(
    teacher: Teacher, dataset: Dataset, cache_dir: Path, progress: Progress | None = None, exact: bool = False
) -> TeacherOutputs:
    """Run ``teacher`` over ``dataset``, or read the cached result of an earlier run.

    Args:
        teacher: of the dataset's arity.
        dataset: labelled or not.
        cache_dir: folder of the cache; file names depend on the teacher's files, the functions, the examples and the
            precision. Damaged files are computed again.
        progress: shown while working.
        exact: compute in float32, not in bfloat16 where that is fast.

    Raises:
        DataError: there are no examples, or they are of another arity.
        UserError: the cache cannot be written.
    """
    check_fits(teacher.model, dataset)
    key = hashlib.sha256(f"{teacher.fingerprint}|{content_hash(dataset)}|{teacher.max_tokens}|{exact}".encode())
    target = cache_dir / f"teacher-{key.hexdigest()[:20]}.npz"
    kept = _read(target, {"logits": len(dataset), "vectors": len(dataset.texts)})
    if kept is None:
        parts = target.with_suffix(".parts")
        encoded = _encode(teacher, dataset, parts, progress or Progress(), exact)
        logits = classify_all(teacher.model, encoded, dataset.members)
        kept = {"logits": logits, "vectors": encoded.vectors.numpy()}
        _write(target, kept)
        shutil.rmtree(parts)
    return TeacherOutputs(logits=kept["logits"], vectors=kept["vectors"])


def content_hash(dataset: Dataset) -> str:
    """sha256 over a dataset's functions, examples and labels, regardless of the files they were read from."""
    digest = hashlib.sha256()
    for text in dataset.texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "little") + content)
    for array in (dataset.members, dataset.labels):
        digest.update(repr(array.shape).encode() + np.ascontiguousarray(array, np.int64).tobytes())
    digest.update(repr(dataset.label_names).encode())
    return digest.hexdigest()


def _encode(teacher: Teacher, dataset: Dataset, parts: Path, progress: Progress, exact: bool) -> Encoded:
    """Every function's encoding; chunks whose file is in the folder ``parts`` are read from it."""
    tokens = teacher.tokens(dataset)
    chunks = function_chunks(tokens.lengths)
    files = [parts / f"{place:06}.npz" for place in range(len(chunks))]
    found = [_read(file, {"vectors": len(chunk)}) for file, chunk in zip(files, chunks, strict=True)]
    left = sum(len(chunk) for chunk, arrays in zip(chunks, found, strict=True) if arrays is None)
    done = []
    with progress.track("teacher", left) as advance:
        for file, chunk, arrays in zip(files, chunks, found, strict=True):
            if arrays is None:
                fresh = encode_chunk(teacher.model, tokens, chunk, exact)
                logits = {} if fresh.logits is None else {"logits": fresh.logits.numpy()}
                _write(file, {"vectors": fresh.vectors.numpy(), **logits})
                done.append((chunk, fresh))
                advance(len(chunk))
            else:
                stored = {name: torch.from_numpy(values) for name, values in arrays.items()}
                done.append((chunk, Encoded(stored["vectors"], stored.get("logits"))))
    return gather(done)


def _write(path: Path, arrays: Arrays) -> None:
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the names for its own options


def _read(path: Path, rows: dict[str, int]) -> Arrays | None:
    """The arrays of a file; ``None`` if it is missing, damaged, or its arrays do not have the expected ``rows``."""
    try:
        arrays = read_arrays(path)
    except (OSError, ValueError):
        return None
    fits = all(name in arrays and len(arrays[name]) == count for name, count in rows.items())
    return arrays if fits else None
