"""Rounding that knows what a decoder's layers read: GPTQ and AWQ, one block of the decoder after another.

Calibration data go through the blocks in turn. A block's inputs are what the blocks before it, already rounded, give;
what its layers read is seen with its own weights as they were. Memory holds one block and the data's vectors, whatever
the model's size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lilliput.graph.architectures import read_piece
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Pieces
from lilliput.graph.stored import StoredWeight
from lilliput.quantize.awq import clip, column_scales
from lilliput.quantize.gptq import gptq
from lilliput.quantize.passes import BATCH, EMBEDDING_WEIGHTS, FINAL_NORM, BlockRun, embedded, normed
from lilliput.quantize.policy import Policy, head_name
from lilliput.quantize.rounding import nearest
from lilliput.quantize.stored_values import stored_values
from lilliput.quantize.weights import AWQ, AWQ_GPTQ, GPTQ, Quantized, Scheme
from lilliput.teachers.tensors import Tensors

Matrix = NDArray[np.float32]
Changes = dict[str, list[Callable[[Matrix], Matrix]]]
"""Name of a weight -> what is done to it before it is rounded."""

DAMPING = 0.05
"""GPTQ's, of the diagonal's mean. With few tokens a column the paper's 0.01 fits them, and does worse on others."""

AWQ_TOKENS = 512
"""Inputs that AWQ looks at."""

HEAD_ROWS = 16384
"""Of the output layer, rounded at a time: there are as many rows as tokens, and GPTQ takes each row by itself."""


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
    """The :class:`~lilliput.quantize.stream.Rounding` of GPTQ and AWQ; of the output layer, where its scheme says so.

    Args:
        decoder: the checkpoint.
        policy: what is stored how; it names the method, too.
        ids: calibration data, ``[pieces, tokens]``.
    """

    def __init__(self, decoder: Decoder, policy: Policy, ids: NDArray[np.int64]) -> None:
        self.decoder, self.policy, self.ids = decoder, policy, ids
        self.head = head_name(decoder.pieces)
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
        if seen is None:  # the embedding, and mostly the output layer
            return nearest(weight, scheme)
        if name == self.head:
            return _joined(
                [
                    gptq(weight[row : row + HEAD_ROWS], scheme, seen.gram, DAMPING)
                    for row in range(0, len(weight), HEAD_ROWS)
                ]
            )
        if scheme.rounding in (GPTQ, AWQ_GPTQ):
            found = gptq(weight, scheme, seen.gram, DAMPING)
        else:
            found = nearest(clip(weight, seen.sample, scheme), scheme)
        self.values[name] = found.values()
        return found

    def _enter(self, name: str) -> None:
        """Get to the block of a weight, through all before it."""
        match, last = re.match(r"layers\.(\d+)\.", name), self.decoder.config.layers
        wanted = int(match[1]) if match else last if name == self.head and self._head_is_calibrated() else self.layer
        while self.layer < wanted:
            self._leave()
            self.layer += 1
            if self.layer == last:
                self.inputs = {self.head.removesuffix(".weight"): self._look_behind()}
            elif all(name in self.done for name in self._names()):
                continue
            else:
                self.inputs, self.changes = self._look(self.decoder.layer(self.layer))

    def _names(self) -> list[str]:
        return [name for name in self.decoder.pieces if name.startswith(f"layers.{self.layer}.")]

    def _leave(self) -> None:
        """The vectors after the present block as it is stored; before the first block, the embedding's."""
        if self.layer < 0:
            self.vectors = embedded(self.decoder.config, self._outside(EMBEDDING_WEIGHTS), self.ids)
            return
        for name in self._names():
            if name in self.done:
                self.values[name] = stored_values(self.done[name], self.file)
        BlockRun(self.decoder.config, self.values, self.layer).advance(self.vectors)
        self.values, self.inputs, self.changes = {}, {}, {}

    def _outside(self, names: Sequence[str]) -> dict[str, Matrix]:
        pieces = self.decoder.pieces
        return {name: read_piece(pieces[name], self.decoder.tensors) for name in names if name in pieces}

    def _head_is_calibrated(self) -> bool:
        return self.policy.head.rounding == GPTQ

    def _look_behind(self) -> Inputs:
        """What the output layer reads."""
        found = Inputs(GPTQ)
        for part in normed(self.decoder.config, self._outside(FINAL_NORM), self.vectors):
            found.add(part.reshape(-1, part.shape[-1]))
        return found

    def _look(self, weights: dict[str, Matrix]) -> tuple[dict[str, Inputs], Changes]:
        """What the present block's layers read; and, for AWQ, how that has its weights changed."""
        block = BlockRun(self.decoder.config, weights, self.layer)
        found = {name: Inputs(self.policy.linear.rounding) for name in block.readers}
        for _, outputs in block.outputs(self.vectors, list(block.readers)):
            for name, inputs in found.items():
                inputs.add(outputs[name].reshape(-1, outputs[name].shape[-1]))
        changes: Changes = {}
        if self.policy.linear.rounding in (AWQ, AWQ_GPTQ):
            changes = self._rescaled(weights, block.readers, found)
        return {layer: found[name] for name, layers in block.readers.items() for layer in layers}, changes

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


def _joined(parts: Sequence[Quantized]) -> Quantized:
    """Blocks of rows as one matrix."""
    zeros = [part.zeros for part in parts if part.zeros is not None]
    return Quantized(
        parts[0].scheme,
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.scales for part in parts]),
        np.concatenate(zeros) if zeros else None,
    )


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
