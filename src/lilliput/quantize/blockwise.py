"""Rounding that knows what a decoder's layers read: GPTQ and AWQ, one block of the decoder after another.

Calibration data go through the blocks in turn. A block's inputs are what the blocks before it, already rounded, give;
what its layers read is seen with its own weights as they were. Memory holds one block and the data's vectors, whatever
the model's size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from lilliput.graph.architectures import read_piece
from lilliput.graph.blocks import Value
from lilliput.graph.decoder import DecoderConfig, block_graph, embedding_graph
from lilliput.graph.pieces import Pieces
from lilliput.graph.stored import StoredWeight
from lilliput.quantize.awq import clip, column_scales
from lilliput.quantize.gptq import gptq
from lilliput.quantize.policy import Policy
from lilliput.quantize.rounding import nearest
from lilliput.quantize.stored_values import stored_values
from lilliput.quantize.weights import AWQ, AWQ_GPTQ, GPTQ, Quantized, Scheme
from lilliput.teachers.tensors import Tensors

Matrix = NDArray[np.float32]
Changes = dict[str, list[Callable[[Matrix], Matrix]]]
"""Name of a weight -> what is done to it before it is rounded."""

BATCH = 4
"""Pieces of calibration data that go through a block at once."""

DAMPING = 0.05
"""GPTQ's, of the diagonal's mean. With few tokens a column the paper's 0.01 fits them, and does worse on others."""

AWQ_TOKENS = 512
"""Inputs that AWQ looks at."""


@dataclass(frozen=True)
class Decoder:
    """What there is of a checkpoint.

    Attributes:
        config: what it is.
        pieces: where each of our weights is.
        tensors: the checkpoint's.
    """

    config: DecoderConfig
    pieces: Pieces
    tensors: Tensors

    def layer(self, index: int) -> dict[str, Matrix]:
        """The weights of a block, by name."""
        prefix = f"layers.{index}."
        return {name: read_piece(piece, self.tensors) for name, piece in self.pieces.items() if name.startswith(prefix)}


class Blockwise:
    """The :class:`~lilliput.quantize.stream.Rounding` of GPTQ and AWQ.

    Args:
        decoder: the checkpoint.
        policy: what is stored how; it names the method, too.
        ids: calibration data, ``[pieces, tokens]``.
    """

    def __init__(self, decoder: Decoder, policy: Policy, ids: NDArray[np.int64]) -> None:
        self.decoder, self.policy, self.ids = decoder, policy, ids
        self.layer = -1
        self.vectors = np.zeros(0, np.float32)
        self.inputs: dict[str, Inputs] = {}
        self.changes: Changes = {}
        self.values: dict[str, Matrix] = {}
        self.done: Mapping[str, StoredWeight] = {}
        self.file = Path()

    def resume(self, done: Mapping[str, StoredWeight], file: Path) -> None:
        """What an earlier run has stored, and where."""
        self.done, self.file = done, file

    def change(self, name: str, weight: Matrix) -> Matrix:
        """The weight as it is to be rounded."""
        self._enter(name)
        for change in self.changes.get(name, []):
            weight = change(weight)
        self.values[name] = weight  # of what is not rounded this is what is stored
        return weight

    def round(self, name: str, weight: Matrix, scheme: Scheme) -> Quantized:
        """Codes of a weight that :meth:`change` gave."""
        seen = self.inputs.get(name.removesuffix(".weight"))
        if seen is None:  # the embedding and the output layer, which have schemes of their own
            return nearest(weight, scheme)
        if scheme.rounding in (GPTQ, AWQ_GPTQ):
            found = gptq(weight, scheme, seen.gram, DAMPING)
        else:
            found = nearest(clip(weight, seen.sample, scheme), scheme)
        self.values[name] = found.values()
        return found

    def _enter(self, name: str) -> None:
        """Get to the block of a weight, through all before it."""
        match = re.match(r"layers\.(\d+)\.", name)
        wanted = int(match[1]) if match else self.layer
        while self.layer < wanted:
            self._leave()
            self.layer += 1
            if all(name in self.done for name in self._names()):
                continue
            self.inputs, self.changes = self._look(self.decoder.layer(self.layer))

    def _names(self) -> list[str]:
        return [name for name in self.decoder.pieces if name.startswith(f"layers.{self.layer}.")]

    def _leave(self) -> None:
        """The vectors after the present block as it is stored; before the first block, the embedding's."""
        if self.layer < 0:
            graph = embedding_graph(self.decoder.config, _constants(self._outside()))
            run = _compiled(graph)
            self.vectors = np.concatenate([run([part, _positions(part)])["hidden"] for part in self._batches(self.ids)])
            return
        for name in self._names():
            if name in self.done:
                self.values[name] = stored_values(self.done[name], self.file)
        graph, _ = block_graph(self.decoder.config, _constants(self.values), self.layer)
        run = _compiled(graph, ["hidden"])
        for part in self._batches(self.vectors):  # a view: what is written is kept
            part[:] = run(self._block_inputs(part))["hidden"]
        self.values, self.inputs, self.changes = {}, {}, {}

    def _outside(self) -> dict[str, Matrix]:
        names = ("embedding.weight", "positions.weight")
        return {
            name: read_piece(self.decoder.pieces[name], self.decoder.tensors)
            for name in names
            if name in self.decoder.pieces
        }

    def _look(self, weights: dict[str, Matrix]) -> tuple[dict[str, Inputs], Changes]:
        """What the present block's layers read; and, for AWQ, how that has its weights changed."""
        graph, readers = block_graph(self.decoder.config, _constants(weights), self.layer)
        run = _compiled(graph, list(readers))
        found = {name: Inputs(self.policy.linear.rounding) for name in readers}
        for part in self._batches(self.vectors):
            outputs = run(self._block_inputs(part))
            for name, inputs in found.items():
                inputs.add(outputs[name].reshape(-1, outputs[name].shape[-1]))
        changes: Changes = {}
        if self.policy.linear.rounding in (AWQ, AWQ_GPTQ):
            changes = self._rescaled(weights, readers, found)
        return {layer: found[name] for name, layers in readers.items() for layer in layers}, changes

    def _rescaled(
        self, weights: Mapping[str, Matrix], readers: Mapping[str, list[str]], found: Mapping[str, Inputs]
    ) -> Changes:
        """AWQ's scales, with what undoes each: the norm or the layer whose output it is."""
        changes: Changes = {}
        for name, layers in readers.items():
            source = _source(self.decoder.config, layers, weights)
            if source is None:
                continue
            matrices = [weights[f"{layer}.weight"] for layer in layers]
            scheme = self.policy.linear.fitted(matrices[0].shape[1])
            scales = column_scales(matrices, found[name].sample, scheme)
            found[name].rescale(scales)
            for layer in layers:
                changes.setdefault(f"{layer}.weight", []).append(partial(np.multiply, scales))
            for part in (f"{source}.weight", f"{source}.bias"):
                if part in weights:
                    changes.setdefault(part, []).append(partial(_divided_rows, scales))
        return changes

    def _batches(self, array: NDArray[np.generic]) -> list[NDArray[np.generic]]:
        return [array[first : first + BATCH] for first in range(0, len(array), BATCH)]

    def _block_inputs(self, vectors: NDArray[np.generic]) -> list[NDArray[np.generic]]:
        mask = np.ones(vectors.shape[:2], np.int64)
        inputs: list[NDArray[np.generic]] = [vectors, mask]
        return inputs if self.decoder.config.rotary is None else [*inputs, _positions(mask)]


class Inputs:
    """What was read by a layer, as far as a method looks at it.

    Attributes:
        gram: ``[width, width]``: the sum of the inputs' outer products, for GPTQ.
        sample: ``[tokens, width]``: some of the inputs, for AWQ.
    """

    def __init__(self, rounding: str) -> None:
        self._outer, self._sampled = rounding != AWQ, rounding != GPTQ
        self.gram = np.zeros((0, 0), np.float32)
        self._parts: list[Matrix] = []

    def add(self, inputs: Matrix) -> None:
        """Count ``inputs [tokens, width]``."""
        if self._outer:
            gram = inputs.T @ inputs
            self.gram = gram if not self.gram.size else self.gram + gram
        if self._sampled:
            self._parts.append(inputs[:: max(1, len(inputs) * BATCH // AWQ_TOKENS)].copy())

    @property
    def sample(self) -> Matrix:
        """See the class."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def rescale(self, scales: Matrix) -> None:
        """Divide the inputs by ``scales [width]``."""
        self._parts = [self.sample / scales]
        if self._outer:
            self.gram /= scales
            self.gram /= scales[:, None]


def _divided_rows(scales: Matrix, weight: Matrix) -> Matrix:
    """A norm's vector, or a layer's weight or bias, so that its outputs are divided by ``scales``."""
    return weight / (scales if weight.ndim == 1 else scales[:, None])


def _source(config: DecoderConfig, layers: list[str], weights: Mapping[str, Matrix]) -> str | None:
    """What the inputs of ``layers`` come from by a linear map; ``None``: nothing that a scale could be undone in."""
    prefix, _, first = layers[0].rpartition(".")
    sources = {"query": "attention_norm", "gate": "mlp_norm", "up": "mlp_norm"}
    if config.gated:
        sources["down"] = "up"
    if config.heads == config.kv_heads:
        sources["output"] = "value"
    source = f"{prefix}.{sources.get(first)}"
    return source if f"{source}.weight" in weights else None


def _constants(weights: Mapping[str, Matrix]) -> dict[str, Callable[[], Value]]:
    return {name: partial(ops.constant, weight) for name, weight in weights.items()}


def _positions(ids: NDArray[np.generic]) -> NDArray[np.int64]:
    return np.broadcast_to(np.arange(ids.shape[1], dtype=np.int64), ids.shape[:2])


Run = Callable[[list[NDArray[np.generic]]], dict[str, Matrix]]


def _compiled(model: ov.Model, outputs: list[str] | None = None) -> Run:
    """What runs a graph, for some of its outputs; in bfloat16 where the processor can, which is as exact as need be."""
    wanted = ov.Model([model.output(name) for name in outputs], model.get_parameters(), "part") if outputs else model
    compiled = ov.Core().compile_model(wanted, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    names = [next(iter(port.get_names() & set(outputs or ["hidden"]))) for port in compiled.outputs]

    def run(inputs: list[NDArray[np.generic]]) -> dict[str, Matrix]:
        results = compiled([np.ascontiguousarray(value) for value in inputs])
        return {name: np.asarray(results[place], np.float32) for place, name in enumerate(names)}

    return run
