"""Which functions look most alike: TF-IDF of their tokens through an inverted index, and the overlap of two bags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

COMMON = 0.2
"""Tokens in more than this share of the functions say nothing about likeness, and would cost most of the time."""


def nearest(bags: Sequence[Counter[str]], count: int) -> NDArray[np.int64]:
    """Each function's nearest neighbors by cosine similarity of TF-IDF vectors, nearest first.

    The weight of a token is ``(1 + ln tf) * ln(n / df)`` (Manning et al., "Introduction to Information Retrieval", table
    6.15, "ltc"). A row costs the length of its tokens' posting lists.

    Args:
        bags: each function's tokens with how often they occur.
        count: neighbors wanted; no more than ``len(bags) - 1`` are given.

    Returns:
        Shape ``[len(bags), min(count, len(bags) - 1)]``, indices into ``bags``.
    """
    rows = len(bags)
    index: dict[str, int] = {}
    token = np.array([index.setdefault(name, len(index)) for bag in bags for name in bag], dtype=np.int64)
    often = np.array([times for bag in bags for times in bag.values()], dtype=np.float64)
    sizes = np.array([len(bag) for bag in bags], dtype=np.int64)
    row = np.repeat(np.arange(rows), sizes)
    frequency = np.bincount(token, minlength=len(index))
    weight = (1 + np.log(often)) * np.log(rows / frequency[token])
    length = np.sqrt(np.bincount(row, weight**2, minlength=rows))
    weight /= np.maximum(length, 1e-12)[row]

    kept = (frequency[token] > 1) & (frequency[token] <= max(COMMON * rows, 2))
    token, row, weight = token[kept], row[kept], weight[kept]
    by_token = np.argsort(token, kind="stable")
    posted_row, posted_weight = row[by_token], weight[by_token]
    ends = np.cumsum(np.bincount(token, minlength=len(index)))
    starts = ends - np.bincount(token, minlength=len(index))
    of_row = np.searchsorted(row, np.arange(rows + 1))

    width = min(count, rows - 1)
    found = np.empty((rows, max(width, 0)), dtype=np.int64)
    for this in range(rows):
        mine = slice(of_row[this], of_row[this + 1])
        spans = [slice(starts[name], ends[name]) for name in token[mine]]
        similarity = np.zeros(rows)
        if spans:
            others = np.concatenate([posted_row[span] for span in spans])
            shares = np.concatenate([posted_weight[span] * by for span, by in zip(spans, weight[mine], strict=True)])
            similarity = np.bincount(others, shares, minlength=rows)
        similarity[this] = -1.0
        best = np.argpartition(-similarity, width - 1)[:width] if width else np.empty(0, dtype=np.int64)
        found[this] = best[np.lexsort((best, -similarity[best]))]
    return found


def overlap(first: Counter[str], second: Counter[str]) -> float:
    """The Jaccard index of two bags: tokens in common over tokens in either, each counted as often as it occurs."""
    common = (first & second).total()
    either = first.total() + second.total() - common
    return common / either if either else 1.0
