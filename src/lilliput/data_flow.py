"""Data flow as an option of students: GraphCodeBERT's nodes beside the tokens that the layers see.

"GraphCodeBERT: Pre-training Code Representations with Data Flow" (Guo et al., ICLR 2021), section 4: each node of the
graph takes a place in the sequence, all nodes share one position id (4.1), and the graph masks attention (4.2).
:mod:`lilliput.data.dataflow` extracts the graph and lays it out; this module defines the input that models get.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LANGUAGES = ("c", "java", "python")
"""Languages whose data flow can be extracted."""

MOST_NODES = 256
"""Most nodes of an input; the paper has 64 or 128."""


@dataclass(frozen=True)
class DataFlow:
    """The data flow that a student reads beside its tokens.

    Attributes:
        nodes: most nodes per function; of a function with more, the first ones are kept.
        language: language that functions are parsed as.
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
"""Placeholder token id of a data-flow node."""

NODE_POSITION, PAD_POSITION, FIRST_POSITION = 0, 1, 2


@dataclass(frozen=True)
class GraphInput:
    """One function's input of ``L`` places: ``C`` places of code, then ``N = L - C`` nodes.

    Attributes:
        ids: ``[L]`` int64: token ids, then :data:`NODE` for each node.
        code: C, ``<s>`` and ``</s>`` included.
        spans: ``[N, 2]`` int64: start and end (exclusive) of the subtokens of each node's token; equal if the token did
            not fit completely.
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
        """``[L]`` int64 position ids: 2, 3, ... for code, 0 for nodes."""
        places = np.arange(len(self.ids))
        return np.where(places < self.code, places + FIRST_POSITION, NODE_POSITION)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """``[L, L]`` bool: whether the row's place attends to the column's place."""
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
    """The input of code ``tokens`` with a node for each of ``spans``, and ``edges`` among the nodes."""
    ids = np.concatenate((tokens, np.full(len(spans), NODE, np.int64)))
    return GraphInput(ids, len(tokens), spans, edges)


def stacked(inputs: Sequence[GraphInput], multiple: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Stack the nodes of several inputs: ``(spans [F, N, 2], edges [F, N, N])``.

    N is the largest number of nodes, rounded up to a ``multiple``, and never 0. Padding has the empty span ``(0, 0)``.
    An edge says that the value of the row's node comes from the column's.
    """
    most = max(len(item.spans) for item in inputs)
    width = max(1, -(-most // multiple)) * multiple
    spans = np.zeros((len(inputs), width, 2), np.int64)
    edges = np.zeros((len(inputs), width, width), np.bool_)
    for row, item in enumerate(inputs):
        spans[row, : len(item.spans)] = item.spans
        edges[row, item.edges[:, 0], item.edges[:, 1]] = True
    return spans, edges
