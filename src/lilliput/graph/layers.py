"""Layers common to all generator graphs, by the names of their weights; and a graph's inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import openvino as ov
from openvino import opset13 as ops

from lilliput.graph import blocks
from lilliput.graph.blocks import Value

Weights = Mapping[str, Callable[[], Value]]
"""Name -> builder of the weight's float32 value in the graph; weights that an architecture lacks are left out."""

InputRounding = Callable[[str, Value], Value]
"""Maps a linear layer's name and input to the input as it is multiplied."""


class LayerFacts(Protocol):
    """The properties of an architecture that layers need."""

    @property
    def norm(self) -> str:
        """``rms`` or ``layer``."""

    @property
    def norm_epsilon(self) -> float:
        """Added to the variance."""

    @property
    def activation(self) -> str:
        """A name in :data:`~lilliput.graph.blocks.ACTIVATIONS`."""

    @property
    def gated(self) -> bool:
        """Whether the feed-forward layer multiplies by a second, activated projection."""


class Layers:
    """Layers of the architecture ``facts``, with ``weights``.

    ``rounding`` is called once for each distinct input of the linear layers, with the first layer that reads it; the
    output layer is not among them. ``None``: inputs are not rounded.
    """

    def __init__(self, facts: LayerFacts, weights: Weights, rounding: InputRounding | None = None) -> None:
        self.facts, self.weights, self.rounding = facts, weights, rounding
        self.inputs: dict[str, Value] = {}
        """Name of each linear layer built -> its unrounded input."""
        self._rounded: dict[int, Value] = {}
        """Identity of an input -> the rounded input. ``inputs`` keeps the inputs alive, so identities are unique."""

    def linear(self, value: Value, name: str) -> Value:
        """``value @ weight.T``, plus the bias if there is one."""
        self.inputs[name] = value
        product = ops.matmul(self._rounding(value, name), self.weights[f"{name}.weight"](), False, True)
        bias = self.weights.get(f"{name}.bias")
        return product if bias is None else ops.add(product, bias())

    def _rounding(self, value: Value, name: str) -> Value:
        if self.rounding is None:
            return value
        if id(value) not in self._rounded:
            self._rounded[id(value)] = self.rounding(name, value)
        return self._rounded[id(value)]

    def norm(self, value: Value, name: str) -> Value:
        """The norm called ``name`` of ``value``; ``value`` itself if there is no such norm."""
        if f"{name}.weight" not in self.weights:
            return value
        bias = self.weights.get(f"{name}.bias")
        scale = self.weights[f"{name}.weight"]()
        return blocks.NORMS[self.facts.norm](value, scale, None if bias is None else bias(), self.facts.norm_epsilon)

    def mlp(self, name: str, value: Value) -> Value:
        """The feed-forward layer."""
        activate = blocks.ACTIVATIONS[self.facts.activation]
        inner = self.linear(value, f"{name}.up")
        if not self.facts.gated:
            return self.linear(activate(inner), f"{name}.down")
        gate = activate(self.linear(value, f"{name}.gate"))
        return self.linear(ops.multiply(gate, inner), f"{name}.down")

    def logits(self, value: Value) -> Value:
        """The output layer, whose weights may be the embedding's."""
        own = "head.weight" in self.weights
        product = ops.matmul(value, self.weights["head.weight" if own else "embedding.weight"](), False, True)
        return ops.add(product, self.weights["head.bias"]()) if "head.bias" in self.weights else product


def graph_input(name: str, shape: Sequence[int], kind: ov.Type = ov.Type.i64) -> Value:
    """An input of a graph; -1 in its shape means any size."""
    parameter = ops.parameter(list(shape), kind, name=name)
    parameter.output(0).get_tensor().set_names({name})
    return parameter


LAST_TOKEN = "last token"
"""Name prefix of nodes that drop all tokens but the last."""


def last_token(value: Value, of: str) -> Value:
    """``[B, T, width]`` to ``[B, 1, width]``; ``of`` must be unique in a graph."""
    node = ops.gather(value, ops.constant([-1]), ops.constant(1))
    node.set_friendly_name(f"{LAST_TOKEN} of {of}")
    return node


def every_token(model: ov.Model) -> ov.Model:
    """Change a graph that computes the last token's output so that it computes every token's."""
    for node in model.get_ops():
        if node.get_friendly_name().startswith(LAST_TOKEN):
            node.output(0).replace(node.input_value(0))
    model.validate_nodes_and_infer_types()
    return model


def finished(name: str, value: Value, output: str, inputs: list[Value], sinks: list[Value]) -> ov.Model:
    """The graph with ``value`` as its ``output``; ``sinks`` are the new values of its state."""
    result = ops.result(value, name=output)
    result.output(0).get_tensor().set_names({output})
    return ov.Model([result], sinks, inputs, name)
