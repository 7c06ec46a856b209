"""Rounding that knows what a generator's layers read: GPTQ and AWQ, one block after another.

Calibration data go through the blocks in turn; of an encoder-decoder through the encoder's, and then through the
decoder's, which read what the encoder gave. A block's inputs are what the blocks before it, already rounded, give; what
its layers read is seen with its own weights as they were. Memory holds one block and the data's vectors, whatever the
model's size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError
from lilliput.formats.weights import AWQ, AWQ_GPTQ, GPTQ, Quantized, Scheme
from lilliput.graph.architectures import Config, read_piece, stages
from lilliput.graph.pieces import Pieces, Tensors
from lilliput.graph.stages import HEAD, Stage
from lilliput.graph.stored import StoredWeight
from lilliput.quantize.awq import clip, column_scales
from lilliput.quantize.calibration import Tokens
from lilliput.quantize.gptq import gptq
from lilliput.quantize.passes import BATCH, Flow, StageRun
from lilliput.quantize.policy import Policy, head_name
from lilliput.quantize.rounding import nearest
from lilliput.quantize.stored_values import stored_values

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
class Original:
    """What there is of a checkpoint.

    Attributes:
        config: what it is.
        pieces: where each of our weights is.
        tensors: the checkpoint's.
    """

    config: Config
    pieces: Pieces
    tensors: Tensors

    def names(self, stage: Stage) -> list[str]:
        """Of the weights that a stage takes."""
        return [name for name in self.pieces if name.startswith(stage.takes)]

    def weight(self, name: str) -> Matrix:
        """One of them."""
        return read_piece(self.pieces[name], self.tensors)


class Blockwise:
    """The :class:`~lilliput.quantize.stream.Rounding` of GPTQ and AWQ; of the output layer, where its scheme says so.

    Args:
        original: the checkpoint.
        policy: what is stored how; it names the method, too.
        data: calibration data, of each stack.
    """

    def __init__(self, original: Original, policy: Policy, data: Sequence[Tokens]) -> None:
        self.original, self.policy = original, policy
        self.head = head_name(original.pieces)
        self.stages = stages(original.config)
        self.place = -1
        self.flow = Flow(data, original.config.hidden)
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
        self._keep(name, weight)  # of what is not rounded this is what is stored
        return weight

    def round(self, name: str, weight: Matrix, scheme: Scheme) -> Quantized:
        """Codes of a weight that :meth:`change` gave."""
        seen = self.inputs.get(HEAD if name == self.head else name.removesuffix(".weight"))
        if seen is None:  # the embedding, and mostly the output layer
            return nearest(weight, scheme)
        if name == self.head:
            return _joined(
                [_gptq(name, weight[row : row + HEAD_ROWS], scheme, seen) for row in range(0, len(weight), HEAD_ROWS)]
            )
        if scheme.rounding in (GPTQ, AWQ_GPTQ):
            found = _gptq(name, weight, scheme, seen)
        else:
            found = nearest(clip(weight, seen.sample, scheme), scheme)
        self._keep(name, found.values())
        return found

    def _keep(self, name: str, values: Matrix) -> None:
        """Note a weight of the present block, for what comes after it."""
        if self.place >= 0 and self.stages[self.place].has(name):
            self.values[name] = values

    def _enter(self, name: str) -> None:
        """Get to the stage that a weight is of, through all before it."""
        wanted = self._place_of(name)
        while self.place < wanted:
            self._leave()
            self.place += 1
            if self._is_asked_for(self.stages[self.place]):
                self._look(self.stages[self.place])

    def _is_asked_for(self, stage: Stage) -> bool:
        """Whether anything is still to be rounded by what is read there."""
        own = [name for name in self.original.pieces if stage.has(name)]
        return any(name not in self.done for name in own) or not (own or stage.first)

    def _place_of(self, name: str) -> int:
        """Of what no block has, the present: whether it is rounded depends on no inputs."""
        if name == self.head and self.policy.head.rounding == GPTQ:
            return len(self.stages) - 1
        return next((place for place, stage in enumerate(self.stages) if stage.has(name)), self.place)

    def _leave(self) -> None:
        """Have the data go through the present stage as it is stored."""
        if self.place < 0:
            return
        stage = self.stages[self.place]
        StageRun(stage, {name: self._present(name, stage) for name in self.original.names(stage)}).advance(self.flow)
        self.values, self.changes = {}, {}
        self.inputs = {layer: seen for layer, seen in self.inputs.items() if not stage.has(layer)}

    def _present(self, name: str, stage: Stage) -> Matrix:
        """A weight of a stage as it is stored. What is of no block, or comes behind it in the table (norms of queries
        and keys), is stored as it is in the checkpoint."""
        if stage.has(name) and name in self.done:
            return stored_values(self.done[name], self.file)
        return self.values[name] if name in self.values else self.original.weight(name)

    def _look(self, stage: Stage) -> None:
        """See what is read in a stage, or of what it gives; and, for AWQ, find how that has its weights changed."""
        weights = {name: self.original.weight(name) for name in self.original.names(stage)}
        run = StageRun(stage, weights)
        linear, head = self.policy.linear.rounding, self.policy.head.rounding
        found = {name: Inputs(head if layers == [HEAD] else linear) for name, layers in run.readers.items()}
        for outputs in run.seen(self.flow, list(found)):
            for name, inputs in found.items():
                inputs.add(outputs[name])
        if linear in (AWQ, AWQ_GPTQ):
            self.changes = self._rescaled(stage, weights, run.readers, found)
        self.inputs |= {layer: found[name] for name, layers in run.readers.items() for layer in layers}

    def _rescaled(
        self,
        stage: Stage,
        weights: Mapping[str, Matrix],
        readers: Mapping[str, list[str]],
        found: Mapping[str, Inputs],
    ) -> Changes:
        """AWQ's scales, with what undoes each: the norm or the layer whose output it is."""
        changes: Changes = {}
        for name, layers in readers.items():
            source = f"{stage.own}{stage.sources.get(layers[0].removeprefix(stage.own))}"
            if f"{source}.weight" not in weights:
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


def _gptq(name: str, weight: Matrix, scheme: Scheme, seen: Inputs) -> Quantized:
    try:
        return gptq(weight, scheme, seen.gram, DAMPING)
    except ValueError as error:
        raise CheckpointError(
            f"its weight '{name}' cannot be rounded by what its layer reads when code goes through it: {error}.",
            remedy="Choose --rounding nearest or hqq; if the checkpoint is whole, its weights overflow.",
        ) from error


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
