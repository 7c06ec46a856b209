"""Calibration data through a decoder, one block after another: memory holds one block and the data's vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from lilliput.graph.blocks import Value
from lilliput.graph.decoder import DecoderConfig, block_graph, embedding_graph, final_norm_graph

Matrix = NDArray[np.float32]

BATCH = 4
"""Pieces of calibration data that go through a block at once."""

EMBEDDING_WEIGHTS = ("embedding.weight", "positions.weight")
"""What :func:`embedded` takes, as far as a decoder has it."""

FINAL_NORM = ("final_norm.weight", "final_norm.bias")
"""What :func:`normed` takes, likewise."""

HIDDEN = "hidden"
"""Name of what goes from block to block."""


def embedded(config: DecoderConfig, weights: Mapping[str, Matrix], ids: NDArray[np.int64]) -> Matrix:
    """What the first block takes for ``ids [pieces, tokens]``: ``[pieces, tokens, hidden]``."""
    run = _compiled(embedding_graph(config, _constants(weights)), [HIDDEN])
    return np.concatenate([run([part, _positions(part)])[HIDDEN] for part in _batches(ids)])


def normed(config: DecoderConfig, weights: Mapping[str, Matrix], vectors: Matrix) -> Iterator[Matrix]:
    """What the output layer takes, of the last block's outputs ``vectors [pieces, tokens, hidden]``: parts of them."""
    run = _compiled(final_norm_graph(config, _constants(weights)), ["normed"])
    for part in _batches(vectors):
        yield run([part])["normed"]


class BlockRun:
    """One block, with weights that need not be the checkpoint's.

    Attributes:
        readers: name of each distinct input of linear layers -> the layers that read it.
    """

    def __init__(self, config: DecoderConfig, weights: Mapping[str, Matrix], index: int) -> None:
        self.config = config
        self._graph, self.readers = block_graph(config, _constants(weights), index)

    def outputs(self, vectors: Matrix, names: Sequence[str]) -> Iterator[tuple[Matrix, dict[str, Matrix]]]:
        """Parts of ``vectors [pieces, tokens, hidden]``, as views that may be written to, and what the block makes of
        each: :data:`HIDDEN`, which the next block takes, or names in ``readers``."""
        run = _compiled(self._graph, names)
        for part in _batches(vectors):
            mask = np.ones(part.shape[:2], np.int64)
            positions = [] if self.config.rotary is None else [_positions(mask)]
            yield part, run([part, mask, *positions])

    def advance(self, vectors: Matrix) -> None:
        """Turn the block's inputs into the next one's."""
        for part, outputs in self.outputs(vectors, [HIDDEN]):
            part[:] = outputs[HIDDEN]


def _batches(array: NDArray[Any]) -> list[NDArray[Any]]:
    return [array[first : first + BATCH] for first in range(0, len(array), BATCH)]


def _constants(weights: Mapping[str, Matrix]) -> dict[str, Callable[[], Value]]:
    return {name: partial(ops.constant, weight) for name, weight in weights.items()}


def _positions(ids: NDArray[np.generic]) -> NDArray[np.int64]:
    return np.broadcast_to(np.arange(ids.shape[1], dtype=np.int64), ids.shape[:2])


Run = Callable[[list[NDArray[np.generic]]], dict[str, Matrix]]


def _compiled(model: ov.Model, outputs: Sequence[str]) -> Run:
    """What runs a graph, for some of its outputs; in bfloat16 where the processor can, which is as exact as need be."""
    wanted = ov.Model([model.output(name) for name in outputs], model.get_parameters(), "part")
    compiled = ov.Core().compile_model(wanted, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    names = [next(iter(port.get_names() & set(outputs))) for port in compiled.outputs]

    def run(inputs: list[NDArray[np.generic]]) -> dict[str, Matrix]:
        results = compiled([np.ascontiguousarray(value) for value in inputs])
        return {name: np.asarray(results[place], np.float32) for place, name in enumerate(names)}

    return run
