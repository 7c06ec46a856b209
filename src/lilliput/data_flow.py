"""Data flow as an option of students: GraphCodeBERT's nodes beside the tokens that the layers see.

"GraphCodeBERT: Pre-training Code Representations with Data Flow" (Guo et al., ICLR 2021), section 4: a node of the
graph is a place of the sequence, with one position for all nodes (4.1), and attention is masked by the graph (4.2). How
it is found and laid out is in :mod:`lilliput.data.dataflow`; here is what models are given of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LANGUAGES = ("c", "java", "python")
"""Whose data flow can be found."""

MOST_NODES = 256
"""Nodes at most; the paper has 64 or 128."""


@dataclass(frozen=True)
class DataFlow:
    """What a student reads beside its tokens.

    Attributes:
        nodes: at most; of a function with more, the first.
        language: that functions are read as.
    """

    nodes: int
    language: str

    def __post_init__(self) -> None:
        if type(self.nodes) is not int or not 1 <= self.nodes <= MOST_NODES:
            raise ValueError(f"'nodes' of the data flow must be 1 to {MOST_NODES}, not {self.nodes!r}")
        if self.language not in LANGUAGES:
            raise ValueError(
                f"'language' of the data flow must be one of {', '.join(LANGUAGES)}, not {self.language!r}"
            )

    def __str__(self) -> str:
        return f"data flow of up to {self.nodes} nodes, read as {self.language}"


NODE = -1
"""Stands in the token ids where a node of the data flow is."""

NODE_POSITION, PAD_POSITION, FIRST_POSITION = 0, 1, 2


@dataclass(frozen=True)
class GraphInput:
    """One function's input of ``L`` places, ``C`` of them code, then ``N = L - C`` nodes.

    Attributes:
        ids: ``[L]`` int64: token ids, then :data:`NODE` for each node.
        code: C, ``<s>`` and ``</s>`` included.
        spans: ``[N, 2]`` int64: the places of the pieces of each node's token, from and up to; equal where the token
            did not fit wholly.
        edges: ``[E, 2]`` int64: ``(node, source)``, counted from the first node.
    """

    ids: NDArray[np.int64]
    code: int
    spans: NDArray[np.int64]
    edges: NDArray[np.int64]

    def __len__(self) -> int:
        """L."""
        return len(self.ids)

    @property
    def tokens(self) -> NDArray[np.int64]:
        """``[C]``: the ids of the code alone."""
        return self.ids[: self.code]

    @property
    def positions(self) -> NDArray[np.int64]:
        """``[L]`` int64 position ids: code 2, 3, .., nodes 0."""
        places = np.arange(len(self.ids))
        return np.where(places < self.code, places + FIRST_POSITION, NODE_POSITION)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """``[L, L]`` bool: whether the row's place attends to the column's."""
        length, code = len(self.ids), self.code
        mask = np.zeros((length, length), np.bool_)
        mask[:code, :code] = True
        mask[[0, code - 1]] = True
        for place, (first, last) in enumerate(self.spans.tolist(), start=code):
            mask[place, first:last] = True
            mask[first:last, place] = True
        mask[code + self.edges[:, 0], code + self.edges[:, 1]] = True
        return mask

    def without_nodes(self) -> GraphInput:
        """The same code without its data flow."""
        return over(self.tokens, _NONE, _NONE)


_NONE = np.zeros((0, 2), np.int64)


def over(tokens: NDArray[np.int64], spans: NDArray[np.int64], edges: NDArray[np.int64]) -> GraphInput:
    """The input of code ``tokens`` with a node over each of ``spans``, and ``edges`` among these."""
    ids = np.concatenate((tokens, np.full(len(spans), NODE, np.int64)))
    return GraphInput(ids, len(tokens), spans, edges)


def stacked(inputs: Sequence[GraphInput], multiple: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The nodes of several inputs as arrays: ``(spans [F, N, 2], edges [F, N, N])``.

    N is the most nodes of one, rounded up to a ``multiple``, and not 0. A span of padding is empty: ``(0, 0)``. An edge
    says that the value of the row's node is from the column's.
    """
    most = max(len(item.spans) for item in inputs)
    width = max(1, -(-most // multiple)) * multiple
    spans = np.zeros((len(inputs), width, 2), np.int64)
    edges = np.zeros((len(inputs), width, width), np.bool_)
    for row, item in enumerate(inputs):
        spans[row, : len(item.spans)] = item.spans
        edges[row, item.edges[:, 0], item.edges[:, 1]] = True
    return spans, edges
