"""Rewrite a whole dataset, to measure a classifier on the result or to train one with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.data.dataset import Dataset
from lilliput.data.rewrites import REWRITES, attempt

Ints = NDArray[np.int64]

MOST_IN_A_ROW = 3
"""Most rewrites of different kinds that :func:`mixed` applies one after the other."""

KEPT_AT_ONCE = 1000
"""Functions that are rewritten and saved together: a run that is killed and restarted repeats no more than these."""


@dataclass(frozen=True)
class RewrittenDataset:
    """A dataset whose functions are rewritten.

    Attributes:
        dataset: the same examples, in the same order.
        changed: shape ``[n]``, bool: whether a function of the example changed.
        functions: number of distinct functions tried.
        functions_changed: how many of them changed.
        refused: how many of them are unchanged because a check rejected the rewrite.
    """

    dataset: Dataset
    changed: NDArray[np.bool_]
    functions: int
    functions_changed: int
    refused: int


def rewrite_dataset(
    dataset: Dataset, language: str, name: str, seed: int = 0, advance: Callable[[], None] = lambda: None
) -> RewrittenDataset:
    """Apply one rewrite to every function of ``dataset``; in pairs, to both.

    Args:
        dataset: labelled or not.
        language: of its functions.
        name: of the rewrite.
        seed: see :func:`lilliput.data.rewrites.attempt`.
        advance: called after each function.

    Raises:
        UserError: no language, or no rewrite, of that name.
        MissingExtra: tree-sitter or the language's grammar is not installed.
    """
    attempts = []
    for text in dataset.texts:
        attempts.append(attempt(text, language, name, seed))
        advance()
    changed = np.array([item.changed for item in attempts], np.bool_)
    texts, places = _distinct([item.text for item in attempts])
    return RewrittenDataset(
        dataset=dataclasses.replace(dataset, texts=texts, members=places[dataset.members], sha256=""),
        changed=np.asarray(changed[dataset.members].any(axis=1)),
        functions=len(attempts),
        functions_changed=int(changed.sum()),
        refused=sum(item.refused for item in attempts),
    )


def mixed(text: str, language: str, seed: int = 0) -> str:
    """``text`` after one to three rewrites of different kinds, drawn at random among those that change something."""
    rng = Random(f"mixed|{seed}|{text}")
    left, result = rng.randint(1, MOST_IN_A_ROW), text
    for name in rng.sample(list(REWRITES), len(REWRITES)):
        found = attempt(result, language, name, seed)
        left, result = left - found.changed, found.text
        if left <= 0 and result != text:  # comments may have been added, and removed again
            break
    return result


def mixed_all(
    texts: Sequence[str],
    language: str,
    seed: int = 0,
    once: Callable[[str, Callable[[], Any]], Any] = lambda name, compute: compute(),
    advance: Callable[[int], None] = lambda count: None,
) -> list[str]:
    """Each of ``texts`` after :func:`mixed`.

    Args:
        texts: functions.
        language: of the functions.
        seed: of the rewrites.
        once: ``once(name, compute)`` returns what ``compute`` returned, now or in an earlier run that was killed.
        advance: called with the number of functions done.
    """
    found: list[str] = []
    for start in range(0, len(texts), KEPT_AT_ONCE):
        part = texts[start : start + KEPT_AT_ONCE]

        def compute(part: Sequence[str] = part) -> list[str]:
            return [mixed(text, language, seed) for text in part]

        found += once(f"rewritten-{start}", compute)
        advance(len(part))
    return found


@dataclass(frozen=True)
class AugmentedDataset:
    """A dataset followed by rewritten copies of some of its examples.

    Attributes:
        dataset: the examples, then the copies.
        rows: shape ``[examples and copies]``: the example that each is, or is a copy of.
        functions: shape ``[functions]``: the function of the original dataset that each is, or is a rewrite of.
    """

    dataset: Dataset
    rows: Ints
    functions: Ints


def augmented(dataset: Dataset, rewritten: Sequence[str], share: float, seed: int = 0) -> AugmentedDataset:
    """``dataset`` plus, for a ``share`` of its examples, a copy that joins rewritten functions under the same label.

    An example none of whose functions changed gets no copy.

    Args:
        dataset: labelled or not.
        rewritten: the rewritten version of each of ``dataset.texts``.
        share: of the examples, above 0 up to 1.
        seed: of the choice of examples.
    """
    count = len(dataset)
    chosen = np.random.default_rng(seed).permutation(count)[: round(share * count)]
    texts, places = _distinct([*dataset.texts, *rewritten])
    there = places[len(dataset.texts) :]
    changed = (there[dataset.members] != dataset.members).any(axis=1)
    rows = np.sort(chosen[changed[chosen]])
    origin = np.zeros(len(texts), np.int64)
    origin[there] = np.arange(len(rewritten))  # a rewrite may equal an original function: originals come last and win
    origin[: len(dataset.texts)] = np.arange(len(dataset.texts))
    return AugmentedDataset(
        dataset=Dataset(
            texts=texts,
            members=np.concatenate((dataset.members, there[dataset.members[rows]])),
            labels=np.concatenate((dataset.labels, dataset.labels[rows])),
            label_names=dataset.label_names,
            sources=dataset.sources,
        ),
        rows=np.concatenate((np.arange(count), rows)),
        functions=origin,
    )


def _distinct(texts: Sequence[str]) -> tuple[tuple[str, ...], Ints]:
    """The distinct ``texts`` in order of first appearance, and the place of each among them."""
    index: dict[str, int] = {}
    places = np.array([index.setdefault(text, len(index)) for text in texts], np.int64)
    return tuple(index), places
