"""Sample the next token from logits.

The order of operations is that of transformers' ``generate``: repetition penalty, temperature, top-k, top-p.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lilliput.arrays import require_finite
from lilliput.errors import UserError

Logits = NDArray[np.float32]

MOST_REPETITION = 1000
"""Largest repetition penalty, and the inverse of the smallest: logits stay finite, and far smaller penalties already
rule tokens out."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: divides the logits; 0 takes the most likely token (greedy).
        top_k: draw from the ``top_k`` most likely tokens; 0: from all.
        top_p: draw from the smallest set of most likely tokens whose probabilities sum to at least ``top_p`` ("The
            Curious Case of Neural Text Degeneration", Holtzman et al. 2020, section 3.1); 1: from all.
        repetition_penalty: divides positive logits of tokens already present and multiplies negative ones ("CTRL",
            Keskar et al. 2019, section 4.1); 1: no penalty.

    Raises:
        UserError: a value is invalid.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        sound = {
            "temperature": (0 <= self.temperature < float("inf"), "must be 0 or more"),
            "top_k": (self.top_k >= 0, "must be 0 or more"),
            "top_p": (0 < self.top_p <= 1, "must be above 0 and at most 1"),
            "repetition_penalty": (
                1 / MOST_REPETITION <= self.repetition_penalty <= MOST_REPETITION,
                f"must be {1 / MOST_REPETITION:g} to {MOST_REPETITION:,}",
            ),
        }
        for name, (fine, complaint) in sound.items():
            if not fine:
                raise UserError(f"{complaint}; it is {getattr(self, name)!r}.", where=name)


def next_tokens(
    logits: Logits, seen: NDArray[np.bool_], sampling: Sampling, randoms: list[np.random.Generator]
) -> NDArray[np.int64]:
    """The next token of each of B sequences.

    Args:
        logits: ``[B, vocabulary]``.
        seen: ``[B, vocabulary]``, true for tokens in the sequence, its prompt included.
        sampling: settings.
        randoms: one generator per sequence, so that draws do not depend on the other sequences of the batch.

    Raises:
        NumericError: a logit is infinite or NaN.
    """
    scores = penalized(logits, seen, sampling.repetition_penalty)
    likeliest = np.asarray(scores.argmax(axis=1), np.int64)
    require_finite(np.take_along_axis(scores, likeliest[:, None], axis=1))  # argmax finds NaN
    if sampling.temperature == 0:
        return likeliest
    chances = probabilities(scores, sampling)
    draws = np.array([[random.random()] for random in randoms])
    # The first token whose cumulative sum exceeds the draw's share of the total, which has the same rounding.
    sums = chances.cumsum(axis=1)
    reached = sums > draws * sums[:, -1:]
    return np.asarray(reached.argmax(axis=1), np.int64)


def seen_tokens(rows: Sequence[NDArray[np.int64]], vocabulary: int, penalty: float) -> NDArray[np.bool_]:
    """Which tokens each row has, ``[B, vocabulary]``; ``[B, 0]`` if there is no penalty."""
    seen = np.zeros((len(rows), 0 if penalty == 1 else vocabulary), np.bool_)
    if seen.size:
        for row, ids in enumerate(rows):
            seen[row, ids] = True
    return seen


def penalized(logits: Logits, seen: NDArray[np.bool_], penalty: float) -> Logits:
    """Apply the repetition penalty to ``logits``."""
    if penalty == 1:
        return logits
    return np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits).astype(np.float32)


def probabilities(logits: Logits, sampling: Sampling) -> NDArray[np.float64]:
    """Probability of drawing each token, ``[B, vocabulary]``; ``sampling.temperature`` is not 0."""
    scores = logits.astype(np.float64)
    with np.errstate(over="ignore"):  # a score may overflow to minus infinity; the largest is 0
        scores = (scores - scores.max(axis=1, keepdims=True)) / sampling.temperature
    if 0 < sampling.top_k < scores.shape[1]:
        least = np.partition(scores, -sampling.top_k, axis=1)[:, -sampling.top_k, None]
        scores = np.where(scores < least, -np.inf, scores)
    chances: NDArray[np.float64] = np.exp(scores)
    chances /= chances.sum(axis=1, keepdims=True)
    if sampling.top_p < 1:
        chances = _nucleus(chances, sampling.top_p)
    return chances


def _nucleus(chances: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """``chances`` without the tail: a token is kept if those above it sum to less than ``share``.

    Tokens below ``(1 - share) / vocabulary`` sum to less than ``1 - share``, so they all belong to the tail, and only
    the few others need to be sorted.
    """
    result = np.zeros_like(chances)
    for row, kept in zip(chances, result, strict=True):
        likely = np.flatnonzero(row >= (1 - share) / len(row) * row.sum())
        order = likely[np.argsort(-row[likely], kind="stable")]
        found = row[order]
        above = (found.cumsum() - found) / row.sum()
        chosen = order[above < share]
        kept[chosen] = row[chosen]
    return np.asarray(result / result.sum(axis=1, keepdims=True), np.float64)
