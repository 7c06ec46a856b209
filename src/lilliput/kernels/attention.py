"""Graphs whose attention over earlier tokens our kernels compute, and keep the keys and values for.

What is replaced is a decoder's attention as :mod:`lilliput.graph.decoder` writes it: keys and values behind a state,
shared by several heads of queries or not, a causal mask, perhaps with a window. The engine's own takes several times as
long: see docs/kernels.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov
from openvino import opset13 as ops

from lilliput.encoder import MASKED
from lilliput.kernels.library import ATTENTION, Heads, Library
from lilliput.kernels.nodes import behind, inputs_of, kind, number, readers, same

SHARED = 16
"""Values that share a scale in the cache: a head's width is a multiple (``native/page.hpp``)."""

ONE_TOKEN_INPUTS = ("input_ids", "position_ids")
"""Of :func:`one_more_token`'s graph."""


@dataclass(frozen=True)
class Remembered:
    """Keys or values as attention reads them.

    Attributes:
        new: those of the new tokens, ``[B, heads, T, width]``.
        sink: what keeps them, with those before, as the state.
        order: which sequence of the step before each one goes on from, int32 ``[B]``.
    """

    new: ov.Output
    sink: ov.Node
    order: ov.Output

    @classmethod
    def of(cls, value: ov.Output) -> Remembered | None:
        """What stands behind ``value``; ``None``: something else."""
        if kind(value) == "Reshape":  # heads repeated for all queries that share them
            value = behind(value, "Reshape", "Broadcast", "Unsqueeze") or value
        if kind(value) != "Concat" or len(value.get_node().inputs()) != 2:
            return None
        past, new = value.get_node().input_values()
        sinks = [reader for reader in readers(value) if reader.get_type_name() == "Assign"]
        if kind(past) != "Gather" or kind(past.get_node().input_value(0)) != "ReadValue" or len(sinks) != 1:
            return None
        return cls(new, sinks[0], past.get_node().input_value(1))


@dataclass(frozen=True)
class CausalMask:
    """The mask that :func:`lilliput.graph.blocks.causal_mask` makes.

    Attributes:
        real: 0 at padding, int64 ``[B, S]``.
        window: how far back tokens see; 0: to the start.
    """

    real: ov.Output
    window: int

    @classmethod
    def of(cls, value: ov.Output) -> CausalMask | None:
        """``None``: it is another mask."""
        allowed, *choices = inputs_of(value, "Select") or [value]
        seen, padding = inputs_of(allowed, "LogicalAnd") or (allowed, allowed)
        seen, *near = inputs_of(seen, "LogicalAnd") or (seen,)
        column, *row = inputs_of(seen, "LessEqual") or (seen,)
        real, *nothing = inputs_of(behind(padding, "Unsqueeze") or padding, "NotEqual") or (padding,)
        values = [number(constant) for constant in (*choices, *nothing)]
        if values != [0, MASKED, 0] or not row or not _are_places(column, row[0], real):
            return None
        window = _window(near[0], column, row[0]) if near else 0
        return None if window is None else cls(real, window)


def _are_places(column: ov.Output, row: ov.Output, real: ov.Output) -> bool:
    """Whether they are the places of all tokens, ``[S, 1]`` turned, and of the new ones."""
    every, new = (inputs_of(behind(value, "Unsqueeze") or value, "Range") for value in (column, row))
    if not every or not new or [number(every[0]), number(every[2]), number(new[2])] != [0, 1, 1]:
        return False
    length = behind(every[1], "Gather", "ShapeOf")
    before, *_ = inputs_of(new[0], "Subtract") or (new[0],)
    return length is not None and same(length, real) and same(every[1], new[1]) and same(before, new[1])


def _window(near: ov.Output, column: ov.Output, row: ov.Output) -> int | None:
    """Of ``column > row - window``; ``None``: it is another condition."""
    place, *bound = inputs_of(near, "Greater") or (near,)
    source, *size = (inputs_of(bound[0], "Subtract") if bound else []) or (near,)
    found = number(size[0]) if size else None
    return int(found) if found and same(place, column) and same(source, row) else None


@dataclass(frozen=True)
class StatefulAttention:
    """An attention that the kernels can compute.

    Attributes:
        node: it.
        keys, values: what it reads.
        mask: what it may see.
        result: ``[B, T, heads * width]``: the node's, heads side by side.
    """

    node: ov.Node
    keys: Remembered
    values: Remembered
    mask: CausalMask
    result: ov.Node

    @classmethod
    def of(cls, node: ov.Node) -> StatefulAttention | None:
        """``None``: they cannot."""
        if node.get_type_name() != "ScaledDotProductAttention" or len(node.inputs()) != 4:
            return None
        query, *pair, mask = node.input_values()
        keys, values = (Remembered.of(value) for value in pair)
        allowed, result = CausalMask.of(mask), _joined(node)
        if keys is None or values is None or allowed is None or result is None:
            return None
        shapes = [value.get_partial_shape() for value in (query, keys.new, values.new)]
        known = all(shape.rank.get_length() == 4 and shape[1].is_static and shape[3].is_static for shape in shapes)
        if not known or shapes[1] != shapes[2] or shapes[0][3] != shapes[1][3]:
            return None
        (heads, width), kv_heads = (shapes[0][axis].get_length() for axis in (1, 3)), shapes[1][1].get_length()
        return None if width % SHARED or heads % kv_heads else cls(node, keys, values, allowed, result)


def use_attention(model: ov.Model, library: Library, threads: int) -> list[str]:
    """Replace a graph's attention, in place, wherever the kernels can compute it.

    Keys and values are then kept by the operations themselves, in 8 bits, and forgotten when a mask is as long as what
    is new: the graph's state has them no more.

    Args:
        model: read, not compiled.
        library: the kernels.
        threads: processor threads.

    Returns:
        Names of the nodes replaced.
    """
    replaced = []
    masks: dict[str, ov.Output] = {}
    for attention in [StatefulAttention.of(node) for node in model.get_ordered_ops()]:
        if attention is None:
            continue
        real = attention.mask.real
        source = real.get_node().get_name()
        if source not in masks:
            masks[source] = ops.convert(real, "i32").output(0)
        name = str(attention.node.get_friendly_name())
        sources = attention.node.input_value(0), attention.keys.new, attention.values.new
        parts = [_heads(source) for source in sources]
        node = library.attention(parts, masks[source], attention.keys.order, attention.mask.window, threads)
        node.set_friendly_name(name)
        attention.result.output(0).replace(node.output(0))
        for sink in (attention.keys.sink, attention.values.sink):
            variable = model.get_variable_by_id(sink.get_variable_id())
            model.remove_sink(sink)
            model.remove_variable(variable)
        replaced.append(name)
    model.validate_nodes_and_infer_types()
    return replaced


def one_more_token(model: ov.Model, library: Library) -> ov.Model | None:
    """A graph that reads one more token of a single sequence, sharing weights and caches with ``model``.

    All its shapes are known beforehand, so that the engine works out none while running: a graph of a hundred such
    operations takes milliseconds less. Its inputs are :data:`ONE_TOKEN_INPUTS`, ``[1, 1]``.

    Args:
        model: what :func:`use_attention` made; it reads the tokens before.
        library: the kernels.

    Returns:
        ``None``: some of its attention is the engine's.
    """
    single = model.clone()
    attention = [node for node in single.get_ops() if node.get_type_name() == ATTENTION]
    if not attention or single.get_sinks():
        return None
    for node in attention:
        replacement = library.attention_going_on(node)
        replacement.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(replacement.output(0))
    inputs = [single.input(name).get_node() for name in ONE_TOKEN_INPUTS]
    step = ov.Model(single.get_results(), inputs, "one more token")
    step.reshape({name: [1, 1] for name in ONE_TOKEN_INPUTS})
    return step


def _heads(value: ov.Output) -> Heads:
    """``value [B, heads, T, width]``, without the transposition that made it, if one did."""
    _, heads, _, width = value.get_partial_shape()
    turned = kind(value) == "Transpose" and _order(value.get_node()) == [0, 2, 1, 3]
    source = value.get_node().input_value(0) if turned else value
    return Heads(source, heads.get_length(), width.get_length(), turned)


def _joined(node: ov.Node) -> ov.Node | None:
    """What puts an attention's heads side by side, if nothing else reads it."""
    turned = readers(node.output(0))
    if len(turned) != 1 or turned[0].get_type_name() != "Transpose" or _order(turned[0]) != [0, 2, 1, 3]:
        return None
    joined = readers(turned[0].output(0))
    return joined[0] if len(joined) == 1 and joined[0].get_type_name() == "Reshape" else None


def _order(node: ov.Node) -> list[int]:
    order = node.input_value(1).get_node()
    return [int(axis) for axis in order.data] if order.get_type_name() == "Constant" else []
