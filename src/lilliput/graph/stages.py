"""A generator cut into stages that data pass through in turn, so that quantization can see the values between them.

A stack of blocks consists of a stage that embeds tokens, a stage for each block, and one for the final norm. A decoder
is one stack; an encoder-decoder is two, the second of which reads the first one's output as its ``memory``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import openvino as ov
from openvino import opset13 as ops

from lilliput.graph.blocks import Value
from lilliput.graph.layers import Layers, Weights

HIDDEN, MEMORY = "hidden", "memory"
"""Names of the values between stages, ``[B, T, hidden]``, and of the previous stack's output, ``[B, S, hidden]``."""

HEAD = "head"
"""Name of the output layer among the readers of the last stage's output, whichever weight it uses."""

Readers = dict[str, list[str]]
"""Name of each distinct value that linear layers read -> the layers."""


@dataclass(frozen=True)
class Stage:
    """One stage of a generator.

    Attributes:
        build: makes the graph from weights, and its readers. The graph's inputs are those that it needs of ``hidden``
            (:data:`HIDDEN`), ``memory``, ``input_ids``, ``position_ids``, ``attention_mask`` and
            ``encoder_attention_mask``. Its outputs are ``hidden``, which the next stage takes, and a value
            ``[B, T, width]`` under each name of the readers.
        stack: index of its stack: 0 or 1.
        first: whether it is the first of its stack; it then takes tokens, and ``hidden`` becomes the stack's memory.
        own: name prefix of a block's own weights; empty: it is not a block.
        takes: name prefixes of all of its weights.
        sources: layer -> norm or layer that its inputs come from by a linear map, so that a scale of the layer's
            columns can be undone there; all named without the prefix ``own``.
    """

    build: Callable[[Weights], tuple[ov.Model, Readers]]
    stack: int = 0
    first: bool = False
    own: str = ""
    takes: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether a weight or layer belongs to this block alone."""
        return bool(self.own) and name.startswith(self.own)


def watched(
    after: Value, layers: Layers, inputs: list[Value], elsewhere: Value | None = None
) -> tuple[ov.Model, Readers]:
    """A stage's graph and readers, as :attr:`Stage.build` returns them.

    Args:
        after: the value that the next stage takes.
        layers: the layers that built it.
        inputs: inputs of the graph.
        elsewhere: a value whose readers another stage reports.
    """
    readers: Readers = {}
    values = {HIDDEN: after}
    for layer, value in layers.inputs.items():
        if value is not elsewhere:
            name = next((known for known, other in values.items() if other is value), layer)
            values[name] = value
            readers.setdefault(name, []).append(layer)
    return ov.Model([ops.result(value, name=name) for name, value in values.items()], inputs, "stage"), readers
