"""A function with its data flow as input of GraphCodeBERT (Guo et al., ICLR 2021, sections 4.1 and 4.2).

The input is one sequence: ``<s>``, the pieces of the code's tokens, ``</s>``, then one place per data-flow node. In the
attention mask, code attends to code; a node to the nodes its value comes from and to the pieces of its own token, and
these to it; ``<s>`` and ``</s>`` to everything. The embedding of a node is the mean of its pieces' embeddings, at
position 0; code counts from 2 and padding is 1 (RoBERTa's padding index; as in the model's released code).

:func:`lay_out` is for models that encode the code's tokens separately, as the paper's does. A student reads its text as
it does without data flow, comments included, with nodes added over it: :func:`lay_over`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lilliput.data.dataflow.flow import Flow
from lilliput.data_flow import NODE, GraphInput, over


@dataclass(frozen=True)
class Room:
    """How long an input may be.

    Attributes:
        code: places for code if there are many nodes, ``<s>`` and ``</s>`` included.
        nodes: places reserved for nodes, if there are as many; nodes also get the places that code does not need.
    """

    code: int = 384
    nodes: int = 128

    @property
    def total(self) -> int:
        """All places."""
        return self.code + self.nodes


ROOM = Room()
"""As in the Compressor paper's released code."""


def lay_out(flow: Flow, pieces: Sequence[Sequence[int]], frame: tuple[int, int], room: Room) -> GraphInput:
    """The input of a function.

    Args:
        flow: its tokens and data flow.
        pieces: ids of the pieces of each of its tokens.
        frame: ids of ``<s>`` and ``</s>``.
        room: how long it may be. The ends of the code and of the nodes are truncated to fit.
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


@dataclass(frozen=True)
class TextGraph:
    """The data flow of a text, independent of the tokenizer.

    Attributes:
        spans: ``[N, 2]`` int32: start and end (exclusive) of each node's token, in characters; ascending.
        edges: ``[E, 2]`` int32: ``(node, source)``.
    """

    spans: NDArray[np.int32]
    edges: NDArray[np.int32]

    @classmethod
    def of(cls, flow: Flow, most: int) -> TextGraph:
        """The first nodes of a flow, at most ``most``, and the edges among them."""
        nodes = flow.nodes[:most]
        spans = [flow.spans[node.token] for node in nodes]
        edges = [(place, source) for place, node in enumerate(nodes) for source in node.sources if source < len(nodes)]
        return cls(np.array(spans, np.int32).reshape(-1, 2), np.array(edges, np.int32).reshape(-1, 2))


def lay_over(graph: TextGraph, tokens: NDArray[np.int64], offsets: NDArray[np.int64], seen: int) -> GraphInput:
    """The input of a text: its tokens unchanged, and nodes, each over the tokens that share characters with its own.

    Args:
        graph: of the text.
        tokens: ``[C]`` ids, including the two that frame the text; truncated if the text was too long.
        offsets: ``[P, 2]``: start and end of every token of the text, truncated or not, in characters.
        seen: places of code that the model's layers see; a node whose pieces are not all among them is left out.
    """
    begins, ends = offsets[:, 0], offsets[:, 1]
    first = np.searchsorted(ends, graph.spans[:, 0], side="right") + 1  # place 0 is the text's frame
    last = np.searchsorted(begins, graph.spans[:, 1], side="left") + 1
    kept = int(((first < last) & (last <= min(seen, len(tokens) - 1))).cumprod().sum())  # nodes are in order
    edges = graph.edges[(graph.edges < kept).all(1)]
    return over(tokens, np.stack((first, last), 1)[:kept].astype(np.int64), edges.astype(np.int64))
