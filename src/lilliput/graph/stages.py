"""A generator cut into stages, which data go through in turn: for what quantization has to know of values in it.

A stack of blocks is a stage that embeds tokens, a stage for each block, and one of the norm behind them. A decoder is
one stack; an encoder-decoder is two, the second of which reads what the first gave: its ``memory``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import openvino as ov
from openvino import opset13 as ops

from lilliput.graph.blocks import Value
from lilliput.graph.layers import Layers, Weights

HIDDEN, MEMORY = "hidden", "memory"
"""Names of what goes from stage to stage, ``[B, T, hidden]``, and of what the stack before gave, ``[B, S, hidden]``."""

HEAD = "head"
"""Name of the output layer among the readers of the last stage's output, whichever weight is its."""

Readers = dict[str, list[str]]
"""Name of each distinct value that linear layers read -> those layers."""


@dataclass(frozen=True)
class Stage:
    """One of them.

    Attributes:
        build: the graph of its weights, and its readers. The graph takes, of those that it needs and by these names,
            ``hidden`` (:data:`HIDDEN`), ``memory``, ``input_ids``, ``position_ids``, ``attention_mask`` and
            ``encoder_attention_mask``. It gives ``hidden``, which the next stage takes, and by name a value
            ``[B, T, width]`` for each of the readers.
        stack: of which stack: 0 or 1.
        first: whether it is its stack's first: it takes tokens, not ``hidden``, which becomes the stack's memory.
        own: what the names of a block's own weights begin with; empty: it is no block.
        takes: what the names of all of its weights begin with.
        sources: layer -> norm or layer that its inputs come from by a linear map, so that a scale of the one can be
            undone in the other; all by their names behind ``own``.
    """

    build: Callable[[Weights], tuple[ov.Model, Readers]]
    stack: int = 0
    first: bool = False
    own: str = ""
    takes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether a weight, or a layer, is of this block alone."""
        return bool(self.own) and name.startswith(self.own)


def watched(
    after: Value, layers: Layers, inputs: list[Value], elsewhere: Value | None = None
) -> tuple[ov.Model, Readers]:
    """A stage's graph, as :attr:`Stage.build` gives it.

    Args:
        after: what the next stage takes.
        layers: that have built it.
        inputs: of the graph.
        elsewhere: a value whose readers another stage tells of.
    """
    readers: Readers = {}
    values = {HIDDEN: after}
    for layer, value in layers.inputs.items():
        if value is not elsewhere:
            name = next((known for known, other in values.items() if other is value), layer)
            values[name] = value
            readers.setdefault(name, []).append(layer)
    return ov.Model([ops.result(value, name=name) for name, value in values.items()], inputs, "stage"), readers
