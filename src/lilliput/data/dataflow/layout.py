"""A function with its data flow as GraphCodeBERT is given it (Guo et al., ICLR 2021, sections 4.1 and 4.2).

One sequence: ``<s>``, the pieces of the code's tokens, ``</s>``, then one place a node of the data flow. A mask says
who attends to whom: code to code; a node to the nodes its value is from and to the pieces of its own token, and these
to it; ``<s>`` and ``</s>`` to everything. A node has no embedding of its own: it is the mean of its pieces' embeddings,
at position 0, while code counts from 2 and padding is 1 (RoBERTa's padding index; as in the model's released code).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lilliput.data.dataflow.flow import Flow

NODE = -1
"""Stands in the token ids where a node of the data flow is."""

NODE_POSITION, PAD_POSITION, FIRST_POSITION = 0, 1, 2


@dataclass(frozen=True)
class Room:
    """How long an input may be.

    Attributes:
        code: places for code where there are many nodes, ``<s>`` and ``</s>`` included.
        nodes: places that code leaves to nodes, where there are as many; if code needs less than its own, they get
            what it leaves.
    """

    code: int = 384
    nodes: int = 128

    @property
    def total(self) -> int:
        """Places in all."""
        return self.code + self.nodes


ROOM = Room()
"""As in the Compressor paper's released code."""


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
        none = np.zeros((0, 2), np.int64)
        return GraphInput(self.ids[: self.code], self.code, none, none)


def lay_out(flow: Flow, pieces: Sequence[Sequence[int]], frame: tuple[int, int], room: Room) -> GraphInput:
    """The input of a function.

    Args:
        flow: its tokens and data flow.
        pieces: ids of the pieces of each of its tokens.
        frame: ids of ``<s>`` and ``</s>``.
        room: how long it may be. What does not fit is cut from the ends of the code and of the nodes.
    """
    ends = np.cumsum([0, *map(len, pieces)])
    kept = min(int(ends[-1]), room.total - 2 - min(len(flow.nodes), room.nodes))
    body = [piece for token in pieces for piece in token][:kept]
    code = len(body) + 2
    nodes = flow.nodes[: room.total - code]
    tokens = np.array([node.token for node in nodes], np.int64)
    spans = np.stack((ends[tokens], ends[tokens + 1]), axis=1) + 1 if len(nodes) else np.zeros((0, 2), np.int64)
    spans[spans[:, 1] > kept + 1] = 0
    edges = [(place, source) for place, node in enumerate(nodes) for source in node.sources if source < len(nodes)]
    return GraphInput(
        ids=np.array([frame[0], *body, frame[1], *[NODE] * len(nodes)], np.int64),
        code=code,
        spans=spans.astype(np.int64),
        edges=np.array(edges, np.int64).reshape(-1, 2),
    )
