"""Replace attention over earlier tokens in graphs with kernels that also keep the keys and values.

What is replaced is a decoder's attention as :mod:`lilliput.graph.decoder` and :mod:`lilliput.graph.seq2seq` write it:
keys and values kept in a state, perhaps shared by several query heads, and a causal mask, perhaps with a window or a
relative position bias (:mod:`lilliput.kernels.masks`). The engine's own takes several times as long: see
docs/kernels.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov
from openvino import opset13 as ops

from lilliput.kernels.library import ATTENTION, SOURCE_ATTENTION, Heads, Library
from lilliput.kernels.masks import CausalMask, RelativeMask
from lilliput.kernels.nodes import behind, inputs_of, kind, number, readers, same

SHARED = 16
"""Values that share a scale in the cache: a head's width is a multiple of it (``native/page.hpp``)."""

ONE_TOKEN_INPUTS = ("input_ids", "position_ids")
"""Inputs of :func:`one_more_token`'s graph."""


@dataclass(frozen=True)
class Remembered:
    """Keys or values as attention reads them.

    Attributes:
        new: those of the new tokens, ``[B, heads, T, width]``.
        sink: the node that stores them, with those of earlier tokens, as the state.
        order: which sequence of the previous step each one continues, int32 ``[B]``.
    """

    new: ov.Output
    sink: ov.Node
    order: ov.Output

    @classmethod
    def of(cls, value: ov.Output) -> Remembered | None:
        """The keys or values that ``value`` is made from, or ``None`` if it is something else."""
        repeated = behind(value, "Reshape", "Broadcast")  # heads, for all queries that share them
        if repeated is not None and kind(repeated) == "Unsqueeze":
            value, axis = repeated.get_node().input_values()
            if number(axis) != 2:
                return None
        if kind(value) != "Concat" or value.get_node().get_attributes()["axis"] != 2:
            return None
        past, *added = value.get_node().input_values()
        sinks = [reader for reader in readers(value) if reader.get_type_name() == "Assign"]
        state, *ordered = inputs_of(past, "Gather") or (past,)
        if kind(state) != "ReadValue" or number(ordered[1]) != 0 or len(added) != 1:
            return None
        written, read = (
            [node.get_attributes()["variable_id"] for node in each] for each in (sinks, [state.get_node()])
        )
        return cls(added[0], sinks[0], ordered[0]) if written == read else None


@dataclass(frozen=True)
class Attention:
    """An attention of the engine's, with what the kernels need to know about any attention.

    Attributes:
        node: the attention's node.
        query: ``[B, heads, T, width]``.
        key, value: ``[B, heads, S, width]``.
        mask: added to scores.
        scale: multiplies the products of queries and keys.
        result: ``[B, T, heads * width]``: the node's output, heads side by side.
    """

    node: ov.Node
    query: ov.Output
    key: ov.Output
    value: ov.Output
    mask: ov.Output
    scale: float
    result: ov.Node

    @classmethod
    def of(cls, node: ov.Node) -> Attention | None:
        """The attention at ``node``, or ``None`` if it is something else or is read in another way."""
        result = _joined(node) if node.get_type_name() == "ScaledDotProductAttention" else None
        if result is None or len(node.inputs()) not in (4, 5) or node.get_attributes()["causal"]:
            return None
        query, key, value, mask, *given = node.input_values()
        width = query.get_partial_shape()[-1]
        scale = (width.get_length() ** -0.5 if width.is_static else None) if not given else number(given[0])
        if scale is None:
            return None
        source, *factor = query.get_node().input_values() if kind(query) == "Multiply" else [query]
        multiplied = number(factor[0]) if factor else None
        if multiplied is not None:  # queries scaled beforehand
            query, scale = source, scale * multiplied
        return cls(node, query, key, value, mask, scale, result)

    def heads(self, key: ov.Output, value: ov.Output) -> list[Heads] | None:
        """Queries, and the given keys and values; ``None`` if the kernels do not support their shapes."""
        shapes = [part.get_partial_shape() for part in (self.query, key, value)]
        known = all(shape.rank.get_length() == 4 and shape[1].is_static and shape[3].is_static for shape in shapes)
        if not known or shapes[1][1] != shapes[2][1] or len({shape[3].get_length() for shape in shapes}) != 1:
            return None
        (heads, width), kv_heads = (shapes[0][axis].get_length() for axis in (1, 3)), shapes[1][1].get_length()
        return None if width % SHARED or heads % kv_heads else [heads_of(part) for part in (self.query, key, value)]

    def replace(self, node: ov.Node) -> str:
        """Put ``node`` in its place, under its name, and return that name."""
        name = str(self.node.get_friendly_name())
        node.set_friendly_name(name)
        self.result.output(0).replace(node.output(0))
        return name


@dataclass(frozen=True)
class StatefulAttention:
    """An attention to new and earlier tokens that the kernels can compute.

    Attributes:
        attention: the engine's.
        keys, values: what it reads.
        parts: queries, keys and values of the new tokens.
        mask: what each token may see.
        bias: relative position bias, or ``None``.
    """

    attention: Attention
    keys: Remembered
    values: Remembered
    parts: list[Heads]
    mask: CausalMask
    bias: ov.Output | None

    @classmethod
    def of(cls, attention: Attention) -> StatefulAttention | None:
        """``None`` if the kernels cannot compute it."""
        keys, values = (Remembered.of(value) for value in (attention.key, attention.value))
        relative = RelativeMask.of(attention.mask)
        mask = CausalMask.of(attention.mask if relative is None else relative.allowed)
        parts = None if keys is None or values is None else attention.heads(keys.new, values.new)
        if keys is None or values is None or mask is None or parts is None or not same(keys.order, values.order):
            return None
        if relative is None:
            return cls(attention, keys, values, parts, mask, None)
        fits = same(relative.real, mask.real) and relative.bias.get_partial_shape()[0] == parts[0].heads
        return cls(attention, keys, values, parts, mask, relative.bias) if fits else None


def use_attention(model: ov.Model, library: Library, threads: int) -> list[str]:
    """Replace a graph's attention, in place, wherever the kernels can compute it.

    The operations themselves then keep the keys and values, in 8 bits, instead of the graph's state, and discard them
    when a mask covers only the new tokens.

    Args:
        model: read, not compiled.
        library: the kernels.
        threads: processor threads.

    Returns:
        Names of the replaced nodes.
    """
    replaced = []
    masks: dict[str, ov.Output] = {}
    for node in model.get_ordered_ops():
        attention = Attention.of(node)
        own = None if attention is None else StatefulAttention.of(attention)
        if own is None:
            continue
        real = own.mask.real
        source = real.get_node().get_name()
        if source not in masks:
            masks[source] = ops.convert(real, "i32").output(0)
        scale, window = own.attention.scale, own.mask.window
        found = library.attention(own.parts, masks[source], own.keys.order, threads, scale, window, own.bias)
        replaced.append(own.attention.replace(found))
        for sink in (own.keys.sink, own.values.sink):
            variable = model.get_variable_by_id(sink.get_variable_id())
            model.remove_sink(sink)
            model.remove_variable(variable)
    model.validate_nodes_and_infer_types()
    return replaced


def one_more_token(model: ov.Model, library: Library) -> ov.Model | None:
    """Make a graph that reads one more token of a single sequence, sharing weights and caches with ``model``.

    All its shapes are static, so that the engine infers none while running, which saves milliseconds in a graph of a
    hundred such operations. Its inputs are :data:`ONE_TOKEN_INPUTS`, ``[1, 1]``.

    Args:
        model: made by :func:`use_attention`, and perhaps :func:`lilliput.kernels.sources.use_source_attention`; it
            reads the earlier tokens.
        library: the kernels.

    Returns:
        The graph, or ``None`` if the engine computes some of its attention.
    """
    single = model.clone()
    attention = [node for node in single.get_ops() if node.get_type_name() in (ATTENTION, SOURCE_ATTENTION)]
    engines = any(node.get_type_name() == "ScaledDotProductAttention" for node in single.get_ops())
    if not attention or engines or single.get_sinks():
        return None
    for node in attention:
        replacement = library.attention_going_on(node)
        replacement.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(replacement.output(0))
    inputs = [single.input(name).get_node() for name in ONE_TOKEN_INPUTS]
    step = ov.Model(single.get_results(), inputs, "one more token")
    step.reshape({name: [1, 1] for name in ONE_TOKEN_INPUTS})
    return step


def heads_of(value: ov.Output) -> Heads:
    """``value [B, heads, T, width]``, without the transposition that made it, if there is one."""
    _, heads, _, width = value.get_partial_shape()
    turned = kind(value) == "Transpose" and _order(value.get_node()) == [0, 2, 1, 3]
    source = value.get_node().input_value(0) if turned else value
    return Heads(source, heads.get_length(), width.get_length(), turned)


def _joined(node: ov.Node) -> ov.Node | None:
    """The node that puts an attention's heads side by side, if nothing else reads the attention."""
    turned = readers(node.output(0))
    if len(turned) != 1 or turned[0].get_type_name() != "Transpose" or _order(turned[0]) != [0, 2, 1, 3]:
        return None
    joined = readers(turned[0].output(0))
    return joined[0] if len(joined) == 1 and joined[0].get_type_name() == "Reshape" else None


def _order(node: ov.Node) -> list[int]:
    order = node.input_value(1).get_node()
    return [int(axis) for axis in order.data] if order.get_type_name() == "Constant" else []
