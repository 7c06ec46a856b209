"""Convert texts to inputs with data flow, for models that read it; needs tree-sitter, but not torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lilliput.data_flow import DataFlow, GraphInput, over
from lilliput.extras import require
from lilliput.runtime.tokens import CodeTokenizer

if TYPE_CHECKING:
    from lilliput.data.dataflow.layout import TextGraph

Input = NDArray[np.integer] | GraphInput
"""A model's input for one function: token ids, or token ids with data-flow nodes."""


class FlowTokenizer:
    """A tokenizer that also extracts the data flow of each text.

    Args:
        tokenizer: the text's tokenizer.
        flow: the data flow that the model reads.
        seen: number of tokens that the model's layers see; nodes of later tokens are left out.

    Raises:
        MissingExtra: tree-sitter or the language's grammar is not installed.
    """

    def __init__(self, tokenizer: CodeTokenizer, flow: DataFlow, seen: int) -> None:
        from lilliput.data.dataflow import grammar_named  # not needed by models without data flow

        require("tree_sitter")
        require(grammar_named(flow.language).package)
        self.tokenizer, self.flow, self.seen = tokenizer, flow, seen

    def graph(self, text: str) -> TextGraph:
        """The data flow of a text, which does not depend on the tokenizer."""
        from lilliput.data.dataflow import data_flow
        from lilliput.data.dataflow.layout import TextGraph

        return TextGraph.of(data_flow(text, self.flow.language, limit=self.seen), self.flow.nodes)

    def encode(self, texts: Sequence[str], graphs: Sequence[TextGraph] | None = None) -> list[GraphInput]:
        """The input of each text.

        Args:
            texts: functions.
            graphs: their data flow, if already known.
        """
        from lilliput.data.dataflow.layout import lay_over

        encoded = self.tokenizer.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        found = []
        for item, graph in zip(encoded, graphs or map(self.graph, texts), strict=True):
            offsets = np.array(item.offsets, np.int64).reshape(-1, 2)
            found.append(lay_over(graph, self.tokenizer.framed(item.ids), offsets, self.seen))
        return found


def reader_for(flow: DataFlow | None, tokenizer: CodeTokenizer, seen: int) -> CodeTokenizer | FlowTokenizer:
    """The converter of texts to a model's inputs: the tokenizer itself unless the model reads data flow."""
    return tokenizer if flow is None else FlowTokenizer(tokenizer, flow, seen)


def tokens_of(item: Input) -> NDArray[np.integer]:
    """The token ids of an input."""
    return item.tokens if isinstance(item, GraphInput) else item


def resized(item: Input, tokens: int) -> Input:
    """Truncate an input, or repeat its body, to exactly ``tokens`` tokens; keeps the nodes that fit."""
    ids = tokens_of(item)
    body = np.resize(ids[1:-1] if len(ids) > 2 else ids, tokens - 2)
    made = np.concatenate((ids[:1], body, ids[-1:]))
    if not isinstance(item, GraphInput):
        return made
    kept = int((item.spans[:, 1] < tokens).sum())  # nodes are sorted
    return over(made, item.spans[:kept], item.edges[(item.edges < kept).all(1)])
