"""Recognize the steps of decoding a token in a graph, each by the node at which it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import prod

import numpy as np
import openvino as ov

from lilliput.kernels.library import ATTENTION, PRODUCTS, SOURCE_ATTENTION
from lilliput.kernels.nodes import behind, kind, number

LANES = 16
"""The width of normalized rows is a multiple of this, whatever the processor (``native/lanes.hpp``)."""


class Kind(IntEnum):
    """The kind of a step: ``Kind`` of ``native/program.hpp``, which also lists each kind's numbers."""

    PRODUCTS = 0
    ATTENTION = 1
    RMS = 2
    ROTARY = 3
    LAYER_NORM = 4
    GELU = 5
    RELU = 6
    MULTIPLY = 7
    SCALE = 8
    SOURCE_ATTENTION = 9


@dataclass(frozen=True)
class Step:
    """A step of the program.

    Attributes:
        kind: what it does.
        inputs: values it reads.
        outputs: values it computes.
        numbers: its other parameters.
    """

    kind: Kind
    inputs: Sequence[ov.Output]
    outputs: Sequence[ov.Output]
    numbers: Sequence[int]


def step_at(node: ov.Node) -> Step | None:
    """The step that ends at a node of a one-token graph; ``None`` if no step ends there."""
    find = _ENDS.get(node.get_type_name())
    return None if find is None else find(node)


def _products(node: ov.Node) -> Step:
    attributes = node.get_attributes()
    numbers = (int(attributes["gated"]), *attributes["weights"])
    return Step(Kind.PRODUCTS, node.input_values(), node.outputs(), numbers)


def _attention(node: ov.Node) -> Step:
    numbers = [*_of_attention(node), node.get_attributes()["distances"]]
    return Step(Kind.ATTENTION, node.input_values(), node.outputs(), numbers)


def _source_attention(node: ov.Node) -> Step:
    return Step(Kind.SOURCE_ATTENTION, node.input_values(), node.outputs(), _of_attention(node))


def _of_attention(node: ov.Node) -> list[int]:
    attributes = node.get_attributes()
    cache, heads, kv_heads, width = (attributes[name] for name in ("cache", "heads", "kv_heads", "width"))
    return [cache, heads, kv_heads, width, _float_bits(attributes["scale"]), attributes.get("window", 0)]


def _gelu(node: ov.Node) -> Step | None:
    count = prod(shape_of(node.output(0)))
    by_tanh = str(node.get_attributes()["approximation_mode"]).lower() == "tanh"
    return None if count % LANES else Step(Kind.GELU, node.input_values(), node.outputs(), (count, by_tanh))


def _relu(node: ov.Node) -> Step | None:
    count = prod(shape_of(node.output(0)))
    return None if count % LANES else Step(Kind.RELU, node.input_values(), node.outputs(), (count,))


def _gate(node: ov.Node) -> Step | None:
    """An activated value times another."""
    one, other = node.input_values()
    if kind(one) not in ("Gelu", "Relu") or shape_of(one) != shape_of(other):
        return None
    count = prod(shape_of(one))
    return None if count % LANES else Step(Kind.MULTIPLY, (one, other), node.outputs(), (count,))


def _scaled_norm(node: ov.Node) -> Step | None:
    """A norm's output times a scalar."""
    value, factor = node.input_values()
    by = number(factor)
    if by is None or kind(value) != "Multiply" or _rms(value.get_node()) is None:
        return None
    return Step(Kind.SCALE, (value,), node.outputs(), (prod(shape_of(value)), _float_bits(by)))


def _rms(node: ov.Node) -> Step | None:
    """The norm that :func:`lilliput.graph.blocks.rms_norm` makes."""
    normal, weight = node.input_values()
    if kind(normal) != "Divide" or kind(weight) != "Constant":
        return None
    value, root = normal.get_node().input_values()
    total = behind(root, "Sqrt")
    mean = None if total is None else behind(total, "Add")
    square = None if mean is None else behind(mean, "ReduceMean")
    if total is None or mean is None or square is None or kind(square) != "Power":
        return None
    base, exponent = square.get_node().input_values()
    axis, epsilon = mean.get_node().input_value(1), total.get_node().input_value(1)
    width = shape_of(value)[-1]
    fits = name_of(base) == name_of(value) and _is(exponent, 2) and _is(axis, -1) and prod(shape_of(weight)) == width
    if not fits or width % LANES or kind(epsilon) != "Constant":
        return None
    numbers = (prod(shape_of(value)) // width, width, _float_bits(epsilon.get_node().data.reshape(-1)[0]))
    return Step(Kind.RMS, (value, weight), node.outputs(), numbers)


def _layer_norm(node: ov.Node) -> Step | None:
    """The norm that :func:`lilliput.graph.blocks.layer_norm` makes, with a bias."""
    product, bias = node.input_values()
    normal = behind(product, "Multiply")
    if normal is None or kind(normal) != "MVN":
        return None
    weight = product.get_node().input_value(1)
    value, axes = normal.get_node().input_values()
    how = normal.get_node().get_attributes()
    width = shape_of(value)[-1]
    constant = kind(weight) == kind(bias) == "Constant" and prod(shape_of(weight)) == prod(shape_of(bias)) == width
    plain = how["normalize_variance"] and str(how["eps_mode"]).lower() == "inside_sqrt" and _is(axes, -1)
    if not constant or not plain or width % LANES:
        return None
    numbers = (prod(shape_of(value)) // width, width, _float_bits(how["eps"]))
    return Step(Kind.LAYER_NORM, (value, weight, bias), node.outputs(), numbers)


def _rotary(node: ov.Node) -> Step | None:
    """The rotation that :func:`lilliput.graph.blocks.rotated` makes."""
    turned, source = node.output(0), None
    if node.get_type_name() == "Concat":  # with the dimensions that are not rotated
        turned, rest = node.input_values() if len(node.inputs()) == 2 else (turned, turned)
        source = behind(rest, "VariadicSplit")
        if source is None or rest.get_index() != 1 or kind(turned) != "Add":
            return None
    straight, crossed = turned.get_node().input_values()
    if kind(straight) != "Multiply" or kind(crossed) != "Multiply":
        return None
    (head, cosine), (swapped, sine) = (value.get_node().input_values() for value in (straight, crossed))
    split = behind(head, "VariadicSplit")
    if source is None and split is None:
        source = head
    elif source is None or split is None or name_of(split) != name_of(source) or head.get_index() != 0:
        return None  # only some dimensions are rotated: their Concat is the step
    shapes = [shape_of(value) for value in (head, cosine, sine)]
    same = {shape[-1] for shape in shapes} | {prod(shape) for shape in shapes[1:]}
    if not _is_swapped(swapped, head) or (kind(cosine), kind(sine)) != ("Cos", "Sin") or len(same) != 1:
        return None
    width = shape_of(source)[-1]
    numbers = (prod(shape_of(source)) // width, width, shapes[0][-1])
    return Step(Kind.ROTARY, (source, cosine, sine), node.outputs(), numbers)


_ENDS: Mapping[str, Callable[[ov.Node], Step | None]] = {
    PRODUCTS: _products,
    ATTENTION: _attention,
    SOURCE_ATTENTION: _source_attention,
    "Multiply": lambda node: _rms(node) or _gate(node) or _scaled_norm(node),
    "Add": lambda node: _layer_norm(node) or _rotary(node),
    "Concat": _rotary,
    "Gelu": _gelu,
    "Relu": _relu,
}


def _is_swapped(value: ov.Output, head: ov.Output) -> bool:
    """Whether it is the second half of ``head``, negated, and then the first."""
    if kind(value) != "Concat" or len(value.get_node().inputs()) != 2:
        return False
    minus, first = value.get_node().input_values()
    second = behind(minus, "Multiply")
    if second is None or not _is(minus.get_node().input_value(1), -1):
        return False
    sources = [behind(half, "VariadicSplit") for half in (first, second)]
    halves = [half.get_index() for half in (first, second)] == [0, 1] and shape_of(first) == shape_of(second)
    return halves and all(source is not None and name_of(source) == name_of(head) for source in sources)


def name_of(value: ov.Output) -> tuple[str, int]:
    """A key that is unique within the graph."""
    return value.get_node().get_name(), value.get_index()


def shape_of(value: ov.Output) -> list[int]:
    """Its shape, which must be static."""
    return [int(size) for size in value.get_shape()]


def _is(value: ov.Output, number: float) -> bool:
    return kind(value) == "Constant" and value.get_node().data.reshape(-1).tolist() == [number]


def _float_bits(value: float) -> int:
    """The bits of a value as float32."""
    return int(np.float32(value).view(np.int32))


def seen_through(value: ov.Output) -> ov.Output:
    """Skip operations that, for one token, leave the numbers in their order."""
    while (source := _same_numbers(value.get_node())) is not None:
        value = source
    return value


def _same_numbers(node: ov.Node) -> ov.Output | None:
    """The input of a node that only changes its shape; ``None`` if it does more."""
    if node.get_type_name() not in ("Reshape", "Transpose", "Gather"):
        return None
    source, how = node.input_value(0), node.input_value(1)
    sizes = shape_of(source)
    match node.get_type_name():
        case "Transpose":
            moved = [axis for axis in how.get_node().data if sizes[axis] > 1] if kind(how) == "Constant" else [1, 0]
            return source if moved == sorted(moved) else None
        case "Gather":  # the last token of one
            axis = node.input_value(2)
            only = kind(axis) == "Constant" and sizes[int(axis.get_node().data)] == 1
            return source if only and prod(shape_of(node.output(0))) == prod(sizes) else None
    return source
