"""Teachers that read code with its data flow, as GraphCodeBERT does (Guo et al., ICLR 2021).

The rest of the package treats such a teacher like any other. Its token ids hold :data:`~lilliput.data_flow.NODE`
at nodes, and its mask has a row for each position: ``[F, T, T]``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lilliput.batching import Ints, TokenIds
from lilliput.data.dataflow import data_flow
from lilliput.data.dataflow.grammars import Grammar
from lilliput.data.dataflow.layout import ROOM, Room, lay_out
from lilliput.data.dataset import Dataset
from lilliput.data_flow import FIRST_POSITION, NODE, NODE_POSITION, PAD_POSITION, GraphInput
from lilliput.runtime.tokens import CodeTokenizer
from lilliput.teachers.model import POOLINGS, Encoded, EncoderClassifier
from lilliput.teachers.teacher import Teacher


@dataclass(frozen=True)
class GraphEncoding:
    """Turn texts into inputs with data flow.

    Attributes:
        tokenizer: encodes each token of the code separately.
        language: language of the code, see :func:`~lilliput.data.dataflow.data_flow`.
        room: how long an input may be.
        flow: whether inputs include nodes at all.
        isolated: whether names and constants without any edge are nodes too.
        collapse_whitespace: replace each run of white space by one space before anything else.
    """

    tokenizer: CodeTokenizer
    language: str | Grammar
    room: Room = ROOM
    flow: bool = True
    isolated: bool = False
    collapse_whitespace: bool = False

    def __call__(self, texts: Sequence[str]) -> list[GraphInput]:
        """The input of each text."""
        if self.collapse_whitespace:
            texts = [" ".join(text.split()) for text in texts]
        flows = [data_flow(text, self.language, limit=self.room.total, isolated=self.isolated) for text in texts]
        words = list({token: None for flow in flows for token in flow.tokens})
        spaced = [f" {word}" for word in words]  # as inside code, not at its beginning
        encoded = self.tokenizer.tokenizer.encode_batch_fast(spaced, add_special_tokens=False)
        pieces = {word: item.ids for word, item in zip(words, encoded, strict=True)}
        frame = (cast("int", self.tokenizer.start), cast("int", self.tokenizer.end))
        inputs = [lay_out(flow, [pieces[token] for token in flow.tokens], frame, self.room) for flow in flows]
        return inputs if self.flow else [item.without_nodes() for item in inputs]


@dataclass(frozen=True)
class GraphTokenIds(TokenIds):
    """Token ids with the attention masks of data flow.

    Attributes:
        graphs: the full inputs, one for each of ``ids``.
    """

    graphs: Sequence[GraphInput] = ()

    def mask(self, functions: Ints, width: int) -> Tensor:
        """``[F, width, width]`` bool: whether the row's position attends to the column's."""
        block = np.zeros((len(functions), width, width), np.bool_)
        for row, function in enumerate(functions):
            graph = self.graphs[function]
            block[row, : len(graph.ids), : len(graph.ids)] = graph.mask
        return torch.from_numpy(block)


@dataclass(frozen=True)
class GraphTeacher(Teacher):
    """A teacher that reads data flow.

    Attributes:
        graphs: turns texts into inputs; ``tokenize`` returns only their ids.
    """

    graphs: Callable[[Sequence[str]], list[GraphInput]]

    def tokens(self, dataset: Dataset) -> GraphTokenIds:
        """Token ids of a dataset's functions, with their masks."""
        graphs = self.graphs(dataset.texts)
        return GraphTokenIds([graph.ids for graph in graphs], self.pad_id, self.max_tokens, graphs)


class GraphClassifier(EncoderClassifier):
    """A RoBERTa that attends along data flow, and a head on its pooled vectors."""

    def encode(self, ids: Tensor, mask: Tensor, layers: bool = False) -> Encoded:
        """Encode functions.

        Args:
            ids: ``[F, T]``, :data:`~lilliput.data_flow.NODE` at nodes.
            mask: ``[F, T, T]``, whether the row's position attends to the column's; or ``[F, T]``, 1 where there is no
                padding: then all of these positions attend to each other, nodes included, which ignores data flow
                and takes as much time.
            layers: see :class:`~lilliput.teachers.model.Encoded`.
        """
        pad = cast("Any", self.encoder.config).pad_token_id
        nodes = ids == NODE
        real = ids != pad
        code = real & ~nodes
        attends = mask.bool() if mask.dim() == 3 else (real[:, None, :] & real[:, :, None])
        places = code.cumsum(1) + FIRST_POSITION - 1
        positions = torch.where(code, places, torch.where(nodes, NODE_POSITION, PAD_POSITION))
        words = cast("Any", self.encoder).get_input_embeddings()(ids.clamp(min=0))
        own = (attends & nodes[:, :, None] & code[:, None, :]).float()
        means = own @ words / own.sum(2, keepdim=True).clamp(min=1)
        embeddings = torch.where(nodes[:, :, None], means, words)
        # Softmax needs an entry in each row: padding, and nodes whose token was truncated, attend to all but padding.
        attends = attends | (~attends.any(2, keepdim=True) & real[:, None, :])
        result = self.encoder(
            inputs_embeds=embeddings,
            attention_mask=attends[:, None],
            position_ids=positions,
            output_hidden_states=layers,
        )
        vectors = POOLINGS[self.pooling](result.last_hidden_state, lambda: embeddings, real)
        return Encoded(vectors, layers=tuple(result.hidden_states) if layers else ())


def ids_of(graphs: Callable[[Sequence[str]], list[GraphInput]]) -> Callable[[Sequence[str]], list[NDArray[np.int64]]]:
    """Make a function from texts to token ids of one from texts to inputs."""
    return lambda texts: [graph.ids for graph in graphs(texts)]
