"""Perplexity of a decoder on pieces of code: e to the mean negative log-likelihood of the tokens, in nats."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lilliput.arrays import require_finite
from lilliput.artifact import TOKENIZER, Artifact, open_artifact
from lilliput.data.code_texts import HELD_OUT, code_files, read_texts, windows
from lilliput.errors import UserError
from lilliput.evaluate.intervals import bootstrap_mean
from lilliput.generator_manifest import DECODER
from lilliput.graph.layers import every_token
from lilliput.progress import Progress
from lilliput.runtime.engine import Engine
from lilliput.runtime.graphs import decoder_engine
from lilliput.runtime.tokens import read_tokenizer

PASS_TOKENS = 128
"""Tokens per pass: logits of a large vocabulary take a megabyte per token."""

LARGEST_NLL = math.log(sys.float_info.max)
"""Bound on the nats per token, below which the perplexity is a finite float."""


@dataclass(frozen=True)
class Perplexity:
    """A measured perplexity.

    Attributes:
        perplexity: e to the ``nll``; ``None`` where it overflows, as with damaged weights.
        nll: mean negative log-likelihood, nats per token.
        interval: of the perplexity, 95 %, by a bootstrap over pieces, since tokens of a piece are not independent;
            ``None``: there is one piece, or all have the same nll, or an end overflows.
        pieces: nll of each piece.
        tokens: total number of predicted tokens.
    """

    perplexity: float | None
    nll: float
    interval: tuple[float, float] | None
    pieces: tuple[float, ...]
    tokens: int


def held_out_ids(artifact: Path, pieces: int = 64, length: int = 512) -> NDArray[np.int64]:
    """Token ids ``[pieces, length]`` of standard-library files held out from calibration."""
    tokenizer = read_tokenizer(open_artifact(artifact).file(TOKENIZER))
    return windows(read_texts(code_files(HELD_OUT)), tokenizer, pieces, length)


def perplexity(
    artifact: str | Path, ids: NDArray[np.int64], threads: int | None = None, progress: Progress | None = None
) -> Perplexity:
    """Measure a decoder artifact's perplexity; all tokens of a piece but the first are predicted.

    Args:
        artifact: a generator's folder.
        ids: ``[pieces, tokens]``.
        threads: number of threads; ``None`` leaves the choice to the engine.
        progress: shown while working.

    Raises:
        UserError: the artifact is an encoder-decoder, which does not model text on its own.
    """
    engine = reader(open_artifact(artifact), threads)
    means = []
    with (progress or Progress()).track("measuring perplexity", len(ids)) as advance:
        for row in ids:
            means.append(float(np.concatenate([costs(*read) for read in passes(engine, row)]).mean()))
            advance()
    nlls = np.array(means)
    mean = bootstrap_mean(nlls)
    low, high = perplexity_of(mean.low), perplexity_of(mean.high)
    interval = None if low is None or high is None or mean.low == mean.high else (low, high)
    return Perplexity(perplexity_of(mean.value), mean.value, interval, tuple(means), ids[:, 1:].size)


def perplexity_of(nll: float) -> float | None:
    """e to a mean negative log-likelihood (nats); ``None`` where it overflows, since JSON has no infinity."""
    return math.exp(nll) if nll < LARGEST_NLL else None


def reader(artifact: Artifact, threads: int | None = None) -> Engine:
    """A decoder's engine that returns every token's logits.

    Raises:
        UserError: the artifact is an encoder-decoder, which does not model text on its own.
    """
    if artifact.generator.family != DECODER:
        raise UserError("has an encoder; next tokens are of decoders.", where=artifact.path, remedy="Choose another.")
    return decoder_engine(artifact, threads, every_token)


def passes(engine: Engine, ids: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Read a piece in passes; each yields the logits of its tokens, ``[T', vocabulary]``, and the tokens that follow.

    Args:
        engine: see :func:`reader`.
        ids: ``[T]``, at least two.
    """
    engine.restart()
    for first in range(0, len(ids) - 1, PASS_TOKENS):
        part = ids[None, first : min(first + PASS_TOKENS, len(ids) - 1)]
        last = first + part.shape[1]
        mask, positions = np.ones((1, last), np.int64), np.arange(first, last)[None]
        (logits,) = engine(part, mask, positions, np.zeros(1, np.int32))
        yield logits[0], ids[first + 1 : last + 1]


def costs(logits: NDArray[np.float32], tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """Negative log-likelihood of each row's token, nats: ``[T]`` from ``logits [T, vocabulary]``.

    Raises:
        NumericError: a value is NaN or infinite.
    """
    top = logits.max(axis=1, keepdims=True)
    require_finite(top)
    chosen = np.take_along_axis(logits, tokens[:, None], axis=1) - top
    found = np.asarray(np.log(np.exp(logits - top).sum(axis=1, dtype=np.float64)) - chosen[:, 0], np.float64)
    require_finite(found)
    return found
