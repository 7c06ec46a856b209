"""Calibrated rounding of a generator, one block after another: GPTQ and AWQ.

Calibration data go through the blocks in turn, in an encoder-decoder first through the encoder's, then through the
decoder's. A block's inputs are the outputs of the earlier blocks, already rounded; the inputs of its layers are
recorded with its own weights not yet rounded. Memory holds one block and the data's vectors, whatever the model's size.
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
"""Name of a weight -> changes applied to it before rounding."""

DAMPING = 0.05
"""GPTQ's damping, as a share of the diagonal's mean. With few tokens per column, the paper's 0.01 overfits them."""

AWQ_TOKENS = 512
"""Number of inputs that AWQ uses."""

HEAD_ROWS = 16384
"""Rows of the output layer rounded at a time: it has a row per token, and GPTQ treats rows independently."""


@dataclass(frozen=True)
class Original:
    """An unquantized checkpoint.

    Attributes:
        config: its architecture.
        pieces: lilliput's weight names -> where each weight is in the checkpoint.
        tensors: the checkpoint's tensors.
    """

    config: Config
    pieces: Pieces
    tensors: Tensors

    def names(self, stage: Stage) -> list[str]:
        """Names of the weights that a stage takes."""
        return [name for name in self.pieces if name.startswith(stage.takes)]

    def weight(self, name: str) -> Matrix:
        """Read the weight ``name``."""
        return read_piece(self.pieces[name], self.tensors)


class Blockwise:
    """The :class:`~lilliput.quantize.stream.Rounding` of GPTQ and AWQ; includes the output layer if its scheme says so.

    Args:
        original: the checkpoint.
        policy: how weights are stored, and by which method they are rounded.
        data: calibration data of each stack.
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
        """Take note of what an earlier run has stored in ``file``."""
        self.done, self.file = done, file

    def change(self, name: str, weight: Matrix) -> Matrix:
        """The weight as it is to be rounded."""
        self._enter(name)
        for change in self.changes.get(name, []):
            weight = change(weight)
        self._keep(name, weight)  # unless it is rounded next, it is stored as it is here
        return weight

    def round(self, name: str, weight: Matrix, scheme: Scheme) -> Quantized:
        """Codes of a weight that :meth:`change` returned."""
        seen = self.inputs.get(HEAD if name == self.head else name.removesuffix(".weight"))
        if seen is None:  # the embedding, and usually the output layer
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
        """Keep a weight of the current block, for the pass to the next block."""
        if self.place >= 0 and self.stages[self.place].has(name):
            self.values[name] = values

    def _enter(self, name: str) -> None:
        """Advance to the stage of the weight ``name``, through all stages before it."""
        wanted = self._place_of(name)
        while self.place < wanted:
            self._leave()
            self.place += 1
            if self._is_asked_for(self.stages[self.place]):
                self._look(self.stages[self.place])

    def _is_asked_for(self, stage: Stage) -> bool:
        """Whether a weight still has to be rounded by the inputs recorded in ``stage``."""
        own = [name for name in self.original.pieces if stage.has(name)]
        return any(name not in self.done for name in own) or not (own or stage.first)

    def _place_of(self, name: str) -> int:
        """Index of a weight's stage; the current one for weights outside of blocks, whose rounding needs no inputs."""
        if name == self.head and self.policy.head.rounding == GPTQ:
            return len(self.stages) - 1
        return next((place for place, stage in enumerate(self.stages) if stage.has(name)), self.place)

    def _leave(self) -> None:
        """Pass the data through the current stage with its weights as stored."""
        if self.place < 0:
            return
        stage = self.stages[self.place]
        StageRun(stage, {name: self._present(name, stage) for name in self.original.names(stage)}).advance(self.flow)
        self.values, self.changes = {}, {}
        self.inputs = {layer: seen for layer, seen in self.inputs.items() if not stage.has(layer)}

    def _present(self, name: str, stage: Stage) -> Matrix:
        """A weight of a stage as it is stored. Weights that belong to no block, or come after it in the table (norms of
        queries and keys), are stored as they are in the checkpoint."""
        if stage.has(name) and name in self.done:
            return stored_values(self.done[name], self.file)
        return self.values[name] if name in self.values else self.original.weight(name)

    def _look(self, stage: Stage) -> None:
        """Record the inputs of a stage's layers, or of layers that read its output; for AWQ, find the changes, too."""
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
        """AWQ's column scales, and their inverse in the norm or layer whose output the columns read."""
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
    """Statistics of a layer's inputs that a method needs.

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
            remedy="Choose --rounding nearest or hqq; if the checkpoint is not damaged, its weights overflow.",
        ) from error


def _joined(parts: Sequence[Quantized]) -> Quantized:
    """Join blocks of rows to one matrix."""
    zeros = [part.zeros for part in parts if part.zeros is not None]
    return Quantized(
        parts[0].scheme,
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.scales for part in parts]),
        np.concatenate(zeros) if zeros else None,
    )


def _divided_rows(scales: Matrix, weight: Matrix) -> Matrix:
    """Divide the outputs of a norm's vector, or of a layer's weight or bias, by ``scales``."""
    return weight / (scales if weight.ndim == 1 else scales[:, None])
