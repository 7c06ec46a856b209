"""Calibration data through a generator, one stage after another: memory holds one block and the data's vectors."""

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
"""Pieces of calibration data that go through a stage at once."""

ENGINE = {"PERFORMANCE_HINT": "LATENCY"}
"""Properties: products are of bfloat16 where the processor has it, which is as exact as need be."""


def _nothing() -> Matrix:
    return np.zeros((0, 0, 0), np.float32)


@dataclass
class Flow:
    """Calibration data on their way.

    Attributes:
        data: what goes through each stack; as many pieces in all of them.
        hidden: width of the stream.
        vectors: what the next stage takes, ``[pieces, tokens, hidden]``.
        memory: what the stack before gave, likewise; nothing in the first.
    """

    data: Sequence[Tokens]
    hidden: int
    vectors: Matrix = field(default_factory=_nothing)
    memory: Matrix = field(default_factory=_nothing)

    def begin(self, stack: int) -> None:
        """Have room for a stack's vectors; those that there are become its memory."""
        self.memory, self.vectors = self.vectors, np.empty((*self.data[stack].ids.shape, self.hidden), np.float32)

    def inputs(self, stack: int, part: slice) -> dict[str, NDArray[Any]]:
        """What graphs may take, of some of the pieces."""
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
    """One stage, with weights that need not be the checkpoint's.

    Attributes:
        readers: name of each distinct value that linear layers read -> those layers.
    """

    def __init__(self, stage: Stage, weights: Mapping[str, Matrix]) -> None:
        self.stage = stage
        self._graph, self.readers = stage.build(_constants(weights))

    def seen(self, flow: Flow, names: Sequence[str], advance: bool = False) -> Iterator[dict[str, Matrix]]:
        """What is read while the data go through, of some pieces after others: ``[tokens, width]``, padding left out.

        Args:
            flow: the data.
            names: of ``readers``.
            advance: whether the data are behind the stage when all was seen; else they stay before it.
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
        """Have the data go through."""
        for _ in self.seen(flow, [], advance=True):
            pass


def _constants(weights: Mapping[str, Matrix]) -> dict[str, Callable[[], Value]]:
    return {name: partial(ops.constant, weight) for name, weight in weights.items()}


Run = Callable[[Mapping[str, NDArray[Any]]], dict[str, Matrix]]


def _compiled(model: ov.Model, outputs: Sequence[str]) -> Run:
    """What runs a graph, for some of its outputs."""
    results = {result.get_friendly_name(): result for result in model.get_results()}
    wanted = ov.Model([results[name] for name in outputs], model.get_parameters(), "part")
    compiled = ov.Core().compile_model(wanted, "CPU", ENGINE)
    taken = [parameter.get_friendly_name() for parameter in model.get_parameters()]

    def run(inputs: Mapping[str, NDArray[Any]]) -> dict[str, Matrix]:
        found = compiled([np.ascontiguousarray(inputs[name]) for name in taken])
        return {name: np.asarray(found[place], np.float32) for place, name in enumerate(outputs)}

    return run
