"""Run a teacher over a dataset: each distinct function once, grouped by similar length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from lilliput.batching import TokenIds
from lilliput.data.dataset import Dataset
from lilliput.errors import DataError
from lilliput.progress import Progress
from lilliput.runtime.tokens import length_buckets
from lilliput.teachers.model import Encoded, TeacherModel
from lilliput.training import autocast

CHUNK_TOKENS = 16384
"""Tokens encoded at once, padding included."""

_PAIRS_AT_ONCE = 4096


def function_chunks(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """All functions in chunks of similar length, at most :data:`CHUNK_TOKENS`; their order depends on ``lengths`` only.

    Chunks are shuffled so that the speed of the first ones predicts the time left.
    """
    chunks = list(length_buckets(lengths.tolist(), CHUNK_TOKENS))
    return [chunks[i] for i in np.random.default_rng(0).permutation(len(chunks))]


def encode_chunk(model: TeacherModel, tokens: TokenIds, functions: NDArray[np.int64], exact: bool = False) -> Encoded:
    """Encode ``functions`` [F]; float32 results on the CPU.

    Args:
        model: in evaluation mode.
        tokens: tokens of all functions.
        functions: which of them to encode.
        exact: compute in float32, not in bfloat16 where that is fast.
    """
    home = next(model.parameters()).device
    ids = tokens.padded(functions)
    mask = tokens.mask(functions, ids.shape[1])
    with torch.no_grad(), autocast(not exact):
        encoded = model.encode(ids.to(home), mask.to(home))
    logits = None if encoded.logits is None else encoded.logits.float().cpu()
    return Encoded(encoded.vectors.float().cpu(), logits)


def classify_all(model: TeacherModel, encoded: Encoded, members: NDArray[np.int64]) -> NDArray[np.float32]:
    """Logits ``[n, classes]`` of examples that join the functions ``members [n, arity]``, in float32."""
    home = next(model.parameters()).device
    there = Encoded(encoded.vectors.to(home), None if encoded.logits is None else encoded.logits.to(home))
    rows = torch.from_numpy(members)
    with torch.no_grad():
        parts = [model.classify(there, part.to(home)).float().cpu() for part in torch.split(rows, _PAIRS_AT_ONCE)]
    return torch.cat(parts).numpy()


def gather(parts: Sequence[tuple[NDArray[np.int64], Encoded]]) -> Encoded:
    """Merge the encodings of chunks, each given with its functions, in the order of the functions."""
    place = torch.from_numpy(np.argsort(np.concatenate([functions for functions, _ in parts])))
    logits = [part.logits for _, part in parts if part.logits is not None]
    return Encoded(
        vectors=torch.cat([part.vectors for _, part in parts])[place],
        logits=torch.cat(logits)[place] if logits else None,
    )


def dataset_logits(
    model: TeacherModel, dataset: Dataset, tokens: TokenIds, progress: Progress | None = None, exact: bool = False
) -> NDArray[np.float32]:
    """Logits ``[n, classes]`` of a dataset's examples; the model is left in evaluation mode.

    Raises:
        DataError: there are no examples, or their arity is not the model's.
    """
    check_fits(model, dataset)
    model.eval()
    parts = []
    with (progress or Progress()).track("teacher", len(tokens.ids)) as advance:
        for functions in function_chunks(tokens.lengths):
            parts.append((functions, encode_chunk(model, tokens, functions, exact)))
            advance(len(functions))
    return classify_all(model, gather(parts), dataset.members)


def check_fits(model: TeacherModel, dataset: Dataset) -> None:
    """Refuse a dataset that the model cannot classify."""
    if not len(dataset):
        raise DataError("there are no examples to classify.", remedy="Give at least one.")
    if dataset.arity != model.arity:
        raise DataError(
            f"its examples join {dataset.arity} function(s), the teacher classifies {model.arity} at a time.",
            where=", ".join(dataset.sources) or None,
            remedy="Use a teacher and data of the same task.",
        )
