"""Batches for training: shuffled, of similar length, with each distinct function encoded once.

The order depends only on the seed and the epoch, so that an interrupted run can resume where it stopped.
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

_MULTIPLE = 8  # token counts are rounded up to it: it suits vector units, and fewer distinct shapes are compiled
_JITTER = 0.1  # relative noise on lengths, so that an example does not get the same neighbours every epoch


@dataclass(frozen=True)
class Nodes:
    """Data-flow nodes of some functions, see :func:`~lilliput.data_flow.stacked`.

    Attributes:
        spans: ``[F, N, 2]`` int64, start and end (exclusive) positions of each node's token; equal at padding.
        edges: ``[F, N, N]`` bool, whether the value of the row's node comes from the column's.
    """

    spans: Tensor
    edges: Tensor

    def to(self, device: torch.device) -> Nodes:
        """The same nodes on ``device``."""
        return Nodes(self.spans.to(device), self.edges.to(device))


@dataclass(frozen=True)
class TokenIds:
    """The token ids of a dataset's functions.

    Attributes:
        ids: one array of token ids for each of ``Dataset.texts``.
        pad_id: pads the shorter rows of a batch.
        max_tokens: the longest input that the model takes; no row of a batch is longer.
    """

    ids: Sequence[NDArray[np.integer]]
    pad_id: int
    max_tokens: int

    @property
    def lengths(self) -> Ints:
        """Number of tokens of every function, shape ``[functions]``."""
        return self.lengths_of(range(len(self.ids)))

    def padded(self, functions: Ints) -> Tensor:
        """``[F, T]`` token ids of ``functions``; T is the longest, rounded up to a multiple of 8 if allowed."""
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
        """Number of tokens of each of ``functions``, shape ``[F]``."""
        return np.array([len(self.ids[i]) for i in functions], np.int64)


@dataclass(frozen=True)
class FlowTokenIds(TokenIds):
    """Token ids of functions with their data flow.

    Attributes:
        inputs: the complete inputs, one for each of ``ids``.
    """

    inputs: Sequence[GraphInput] = ()

    def nodes(self, functions: Ints) -> Nodes:
        """The data flow of ``functions``."""
        spans, edges = stacked([self.inputs[function] for function in functions], _MULTIPLE)
        return Nodes(torch.from_numpy(spans), torch.from_numpy(edges))


@dataclass(frozen=True)
class Batch:
    """Examples and the distinct functions they are made of.

    Attributes:
        ids: ``[F, T]`` int64 token ids, padded.
        mask: ``[F, T]`` int64, 1 at real tokens.
        members: ``[E, arity]`` int64, rows of ``ids``.
        labels: ``[E]`` int64, ``-1`` if unlabelled.
        rows: ``[E]`` int64, indices of the examples in the dataset.
        functions: ``[F]`` int64, indices of the functions in the dataset.
        nodes: the functions' data flow, for a model that reads it.
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
        examples: most examples in a batch.
        tokens: most tokens in a batch, padding included; ``None``: no limit.
        fan: most pairs of one function that are kept together. A larger value means fewer functions to encode, and
            batches whose examples are more alike.
        window: batches that are shuffled and then sorted by length together. A larger value means less padding and less
            randomness.
        functions: distinct functions per batch; 0: batches are cut by examples. Otherwise an epoch is one pass over the
            functions: each batch is a random set of them with all the examples among them, and ``examples`` and
            ``tokens`` are ignored. A function in very many pairs, such as some in BigCloneBench, is then encoded once
            per epoch instead of once for every few of its pairs.
        seed: seed of the order.
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
    """Cut an epoch into shuffled batches, with every example once unless ``plan.functions`` is set.

    Each example is placed by its longest function, its hub. Hubs are shuffled and dealt into windows; within a window,
    examples are sorted by their hub's length, so that a batch needs little padding, and those of one hub stay
    together, so that a batch of pairs needs little more than half the distinct functions of a random one.

    Args:
        dataset: n examples.
        lengths: ``[functions]``, number of tokens of each function.
        plan: sizes and seed.
        epoch: index of the epoch.

    Returns:
        Arrays of example rows, one per batch, in training order.
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
    """Partition the functions randomly into sets of ``functions``, and batch the examples inside each set.

    Sets without an example are left out. Examples of one function come once per epoch; of the pairs, only those whose
    functions fall into the same set do.
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
    """Source of a training run's batches: a dataset, its token ids, and how to cut it."""

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
        """Average number of examples in an epoch."""
        n, drawn = len(self.dataset), self.plan.functions
        if not drawn:
            return n
        return max(1, round(n * min(1.0, drawn / max(len(self.dataset.texts), 1)) ** (self.dataset.arity - 1)))


def _shuffled_fans(hubs: Ints, fan: int, random: np.random.Generator) -> Ints:
    """Rows in random order, except that those of one hub stay together in groups of at most ``fan``."""
    grouped = np.lexsort((random.random(len(hubs)), hubs))
    ordered = hubs[grouped]
    place = np.arange(len(hubs)) - np.searchsorted(ordered, ordered)  # 0, 1, ... within the rows of one hub
    fans = np.cumsum(place % fan == 0) - 1
    return grouped[np.argsort(random.permutation(len(hubs))[fans], kind="stable")]


def _cut(rows: Ints, members: Ints, lengths: Ints, plan: BatchPlan) -> Iterator[Ints]:
    """Cut ``rows`` into consecutive batches within the plan's limits; a row too large for them is its own batch."""
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
