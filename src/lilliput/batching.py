"""Batches for training: shuffled, of like length, with each distinct function encoded once.

Order depends on nothing but the seed and the epoch, so that an interrupted run can go on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lilliput.data.dataset import Dataset
from lilliput.data_flow import GraphInput, stacked

Ints = NDArray[np.int64]

_MULTIPLE = 8  # token counts are rounded up to it: vector units like it, and fewer distinct shapes are compiled
_JITTER = 0.1  # relative noise on lengths, so that an example does not meet the same neighbours every epoch


@dataclass(frozen=True)
class Nodes:
    """Nodes of data flow of some functions, see :func:`~lilliput.data_flow.stacked`.

    Attributes:
        spans: ``[F, N, 2]`` int64, the places of each node's token, from and up to; equal at padding.
        edges: ``[F, N, N]`` bool, whether the value of the row's node is from the column's.
    """

    spans: Tensor
    edges: Tensor

    def to(self, device: torch.device) -> Nodes:
        """The same nodes on ``device``."""
        return Nodes(self.spans.to(device), self.edges.to(device))


@dataclass(frozen=True)
class TokenIds:
    """What a tokenizer made of the functions of a dataset.

    Attributes:
        ids: one array of token ids for each of ``Dataset.texts``.
        pad_id: fills up shorter rows of a batch.
        max_tokens: the longest input the model takes; no row of a batch is longer.
    """

    ids: Sequence[NDArray[np.integer]]
    pad_id: int
    max_tokens: int

    @property
    def lengths(self) -> Ints:
        """Tokens of every function, shape ``[functions]``."""
        return self.lengths_of(range(len(self.ids)))

    def padded(self, functions: Ints) -> Tensor:
        """``[F, T]`` token ids of ``functions``, T the longest rounded up to a multiple of 8 where the model allows."""
        width = min(_rounded_up(int(self.lengths_of(functions).max())), self.max_tokens)
        block = np.full((len(functions), width), self.pad_id, np.int64)
        for row, function in enumerate(functions):
            block[row, : len(self.ids[function])] = self.ids[function]
        return torch.from_numpy(block)

    def mask(self, functions: Ints, width: int) -> Tensor:
        """``[F, width]``: 1 at real tokens, 0 at padding."""
        return torch.from_numpy((np.arange(width) < self.lengths_of(functions)[:, None]).astype(np.int64))

    def nodes(self, functions: Ints) -> Nodes | None:
        """The data flow of ``functions``, for a model that reads it."""
        return None

    def lengths_of(self, functions: Iterable[int]) -> Ints:
        """Tokens of each of ``functions``, shape ``[F]``."""
        return np.array([len(self.ids[i]) for i in functions], np.int64)


@dataclass(frozen=True)
class FlowTokenIds(TokenIds):
    """Token ids of functions with their data flow.

    Attributes:
        inputs: the whole inputs, one for each of ``ids``.
    """

    inputs: Sequence[GraphInput] = ()

    def nodes(self, functions: Ints) -> Nodes:
        """The data flow of ``functions``."""
        spans, edges = stacked([self.inputs[function] for function in functions], _MULTIPLE)
        return Nodes(torch.from_numpy(spans), torch.from_numpy(edges))


@dataclass(frozen=True)
class Batch:
    """Examples and the distinct functions they join.

    Attributes:
        ids: ``[F, T]`` int64 token ids, padded.
        mask: ``[F, T]`` int64, 1 at real tokens.
        members: ``[E, arity]`` int64, rows of ``ids``.
        labels: ``[E]`` int64, ``-1`` where unlabelled.
        rows: ``[E]`` int64, which examples of the dataset these are.
        functions: ``[F]`` int64, which of the dataset's functions these are.
        nodes: their data flow, for a model that reads it.
    """

    ids: Tensor
    mask: Tensor
    members: Tensor
    labels: Tensor
    rows: Tensor
    functions: Tensor
    nodes: Nodes | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device) -> Batch:
        """The same batch on ``device``."""
        there: dict[str, Any] = {name: value for name, value in vars(self).items() if value is not None}
        return Batch(**{name: value.to(device) for name, value in there.items()})


@dataclass(frozen=True)
class BatchPlan:
    """How an epoch is cut into batches.

    Attributes:
        examples: at most this many in a batch.
        tokens: at most this many tokens in a batch, padding included; ``None``: no limit.
        fan: at most this many pairs of one function are kept together. Larger means fewer functions to encode, and
            batches whose examples are more alike.
        window: batches that are shuffled, then sorted by length, together. Larger means less padding, and less chance.
        functions: distinct functions a batch; 0: batches are cut by examples. Otherwise an epoch is one pass over the
            functions, each batch a random set of them with all the examples among them, whatever ``examples`` and
            ``tokens`` say. A function that is in very many pairs, as some of BigCloneBench are, is then encoded once an
            epoch, not once for every few of its pairs.
        seed: of the order.
    """

    examples: int = 32
    tokens: int | None = None
    fan: int = 4
    window: int = 50
    functions: int = 0
    seed: int = 0


def make_batch(dataset: Dataset, tokens: TokenIds, rows: Ints) -> Batch:
    """The examples ``rows`` of ``dataset``, in that order."""
    functions, members = np.unique(dataset.members[rows], return_inverse=True)
    ids = tokens.padded(functions)
    return Batch(
        ids=ids,
        mask=tokens.mask(functions, ids.shape[1]),
        members=torch.from_numpy(members.reshape(len(rows), dataset.arity).astype(np.int64)),
        labels=torch.from_numpy(dataset.labels[rows]),
        rows=torch.from_numpy(np.asarray(rows, np.int64)),
        functions=torch.from_numpy(functions.astype(np.int64)),
        nodes=tokens.nodes(functions),
    )


def epoch_batches(dataset: Dataset, lengths: Ints, plan: BatchPlan, epoch: int) -> list[Ints]:
    """Every example once, in shuffled batches.

    Each example goes by its longest function, its hub. Hubs are shuffled and dealt into windows; inside a window
    examples are sorted by their hub's length, so that a batch needs little padding, and those of one hub stand
    together, so that a batch of pairs needs little more than half the distinct functions of a random one.

    Args:
        dataset: n examples.
        lengths: ``[functions]``, tokens of each function.
        plan: sizes and seed.
        epoch: which epoch's order.

    Returns:
        Arrays of example rows, one a batch, in training order.
    """
    random = np.random.default_rng([plan.seed, epoch])
    if plan.functions:
        return function_batches(dataset, plan.functions, random)
    noisy = lengths * random.uniform(1 - _JITTER, 1 + _JITTER, len(lengths))
    sides = noisy[dataset.members]
    hubs = np.take_along_axis(dataset.members, sides.argmax(1)[:, None], 1)[:, 0]
    shuffled = _shuffled_fans(hubs, plan.fan, random)
    batches: list[Ints] = []
    step = plan.examples * plan.window
    for start in range(0, len(shuffled), step):
        window = shuffled[start : start + step]
        batches.extend(_cut(window[np.lexsort((hubs[window], noisy[hubs[window]]))], dataset.members, lengths, plan))
    return [batches[i] for i in random.permutation(len(batches))]


def function_batches(dataset: Dataset, functions: int, random: np.random.Generator) -> list[Ints]:
    """The examples among each of some random sets of ``functions`` functions, which together are all of them.

    Sets without an example among them are left out. Examples of one function come once an epoch; of pairs, the share
    whose functions fall into one set.
    """
    sets = -(-len(dataset.texts) // functions)
    place = np.empty(len(dataset.texts), np.int64)
    place[random.permutation(len(place))] = np.arange(len(place)) % sets
    sides = place[dataset.members]
    rows = np.flatnonzero((sides == sides[:, :1]).all(1))
    ordered = rows[np.argsort(sides[rows, 0], kind="stable")]
    cuts = np.flatnonzero(np.diff(sides[ordered, 0])) + 1
    return [part for part in np.split(ordered, cuts) if len(part)]


@dataclass(frozen=True)
class Batches:
    """Where a training run gets its batches from: a dataset, its token ids, and how to cut it."""

    dataset: Dataset
    tokens: TokenIds
    plan: BatchPlan = BatchPlan()

    def epoch(self, number: int) -> list[Ints]:
        """The example rows of each batch of an epoch (from 0), see :func:`epoch_batches`."""
        return epoch_batches(self.dataset, self.tokens.lengths, self.plan, number)

    def batch(self, rows: Ints) -> Batch:
        """The examples ``rows``, see :func:`make_batch`."""
        return make_batch(self.dataset, self.tokens, rows)

    def examples(self) -> int:
        """Examples of an epoch, on average."""
        n, drawn = len(self.dataset), self.plan.functions
        if not drawn:
            return n
        return max(1, round(n * min(1.0, drawn / max(len(self.dataset.texts), 1)) ** (self.dataset.arity - 1)))


def _shuffled_fans(hubs: Ints, fan: int, random: np.random.Generator) -> Ints:
    """Rows in random order, except that those of one hub stay together in groups of at most ``fan``."""
    grouped = np.lexsort((random.random(len(hubs)), hubs))
    ordered = hubs[grouped]
    place = np.arange(len(hubs)) - np.searchsorted(ordered, ordered)  # 0, 1, .. among the rows of the same hub
    fans = np.cumsum(place % fan == 0) - 1
    return grouped[np.argsort(random.permutation(len(hubs))[fans], kind="stable")]


def _cut(rows: Ints, members: Ints, lengths: Ints, plan: BatchPlan) -> Iterator[Ints]:
    """Consecutive runs of ``rows`` that stay inside the plan's limits; a row too large for them is a batch alone."""
    start, seen, longest = 0, set[int](), 0
    for position, joined in enumerate(members[rows].tolist()):
        widest = max(int(lengths[i]) for i in joined)
        grown, reach = seen.union(joined), max(longest, widest)
        too_wide = plan.tokens is not None and len(grown) * _rounded_up(reach) > plan.tokens
        if position > start and (position - start == plan.examples or too_wide):
            yield rows[start:position]
            start, grown, reach = position, set(joined), widest
        seen, longest = grown, reach
    if len(rows):
        yield rows[start:]


def _rounded_up(length: int) -> int:
    return -(-length // _MULTIPLE) * _MULTIPLE
