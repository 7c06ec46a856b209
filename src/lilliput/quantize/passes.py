"""Run calibration data through a generator stage by stage: memory holds one block and the data's vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from lilliput.graph.blocks import Value
from lilliput.graph.stages import HIDDEN, MEMORY, Stage
from lilliput.quantize.calibration import Tokens

Matrix = NDArray[np.float32]

BATCH = 4
"""Pieces of calibration data that go through a stage together."""

ENGINE = {"PERFORMANCE_HINT": "LATENCY"}
"""Engine properties: products are in bfloat16 where the processor has it, which is exact enough."""


def _nothing() -> Matrix:
    return np.zeros((0, 0, 0), np.float32)


@dataclass
class Flow:
    """Calibration data between stages.

    Attributes:
        data: input of each stack, all with the same number of pieces.
        hidden: width of the residual stream.
        vectors: input of the next stage, ``[pieces, tokens, hidden]``.
        memory: output of the previous stack, in the same layout; empty in the first stack.
    """

    data: Sequence[Tokens]
    hidden: int
    vectors: Matrix = field(default_factory=_nothing)
    memory: Matrix = field(default_factory=_nothing)

    def begin(self, stack: int) -> None:
        """Allocate a stack's vectors; the current vectors become its memory."""
        self.memory, self.vectors = self.vectors, np.empty((*self.data[stack].ids.shape, self.hidden), np.float32)

    def inputs(self, stack: int, part: slice) -> dict[str, NDArray[Any]]:
        """All inputs that graphs may take, for some of the pieces."""
        tokens, source = self.data[stack], self.data[0]
        ids, places = tokens.ids[part], np.arange(tokens.ids.shape[1], dtype=np.int64)
        return {
            "input_ids": ids,
            "position_ids": np.broadcast_to(places, ids.shape),
            "attention_mask": tokens.mask[part].astype(np.int64),
            "encoder_attention_mask": source.mask[part].astype(np.int64),
            HIDDEN: self.vectors[part],
            MEMORY: self.memory[part],
        }


class StageRun:
    """Runs one stage with given weights, which may differ from the checkpoint's.

    Attributes:
        readers: name of each distinct value that linear layers read -> those layers.
    """

    def __init__(self, stage: Stage, weights: Mapping[str, Matrix]) -> None:
        self.stage = stage
        self._graph, self.readers = stage.build(_constants(weights))

    def seen(self, flow: Flow, names: Sequence[str], advance: bool = False) -> Iterator[dict[str, Matrix]]:
        """Yield, batch by batch, the inputs of layers: ``[tokens, width]`` without padding.

        Args:
            flow: the data.
            names: names in ``readers``.
            advance: whether ``flow`` moves on to the next stage; otherwise it stays before this one.
        """
        wanted = list(dict.fromkeys([*names, HIDDEN] if advance else names))
        if not wanted:
            return
        run, stack = _compiled(self._graph, wanted), self.stage.stack
        if advance and self.stage.first:
            flow.begin(stack)
        mask = flow.data[stack].mask
        for first in range(0, len(mask), BATCH):
            part = slice(first, first + BATCH)
            outputs = run(flow.inputs(stack, part))
            if advance:
                flow.vectors[part] = outputs[HIDDEN]
            yield {name: outputs[name][mask[part]] for name in names}

    def advance(self, flow: Flow) -> None:
        """Pass the data through the stage."""
        for _ in self.seen(flow, [], advance=True):
            pass


def _constants(weights: Mapping[str, Matrix]) -> dict[str, Callable[[], Value]]:
    return {name: partial(ops.constant, weight) for name, weight in weights.items()}


Run = Callable[[Mapping[str, NDArray[Any]]], dict[str, Matrix]]


def _compiled(model: ov.Model, outputs: Sequence[str]) -> Run:
    """Compile a graph for some of its outputs."""
    results = {result.get_friendly_name(): result for result in model.get_results()}
    wanted = ov.Model([results[name] for name in outputs], model.get_parameters(), "part")
    compiled = ov.Core().compile_model(wanted, "CPU", ENGINE)
    taken = [parameter.get_friendly_name() for parameter in model.get_parameters()]

    def run(inputs: Mapping[str, NDArray[Any]]) -> dict[str, Matrix]:
        found = compiled([np.ascontiguousarray(inputs[name]) for name in taken])
        return {name: np.asarray(found[place], np.float32) for place, name in enumerate(outputs)}

    return run
