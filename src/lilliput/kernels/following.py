"""Operations that follow a product in a graph and can be fused with it, so that its result is written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import openvino as ov

from lilliput.kernels.nodes import kind, readers


@dataclass(frozen=True)
class Bias:
    """``product + values``, with one constant per row."""

    values: ov.op.Constant
    result: ov.Node

    @classmethod
    def of(cls, product: ov.Node, rows: int) -> Bias | None:
        """The bias of a product, if nothing else reads the product."""
        result, other = _sum(product)
        if result is None or other is None or kind(other) != "Constant":
            return None
        values = other.get_node()
        fits = values.get_element_type() == ov.Type.f32 and values.data.size == rows == values.data.shape[-1]
        return cls(values, result) if fits else None


@dataclass(frozen=True)
class Gate:
    """``silu(first) * second`` of two values that nothing else reads."""

    first: ov.Node
    result: ov.Node

    @classmethod
    def between(cls, values: Sequence[ov.Node]) -> Gate | None:
        """The gate between two values of equal shape, in either order."""
        if len(values) != 2 or values[0].get_output_partial_shape(0) != values[1].get_output_partial_shape(0):
            return None
        for first, second in (values, values[::-1]):
            activated, result = _only_reader(first), _only_reader(second)
            if activated is None or result is None or not _is_silu(activated):
                continue
            if result.get_type_name() == "Multiply" and _only_reader(activated) == result:
                return cls(first, result)
        return None


@dataclass(frozen=True)
class Addend:
    """``value + source``, of equal shapes: a residual connection."""

    source: ov.Output
    result: ov.Node

    @classmethod
    def of(cls, value: ov.Node) -> Addend | None:
        """What is added to a value, if nothing else reads the value."""
        result, other = _sum(value)
        if result is None or other is None or kind(other) == "Constant" or other.get_node() == value:
            return None
        fits = other.get_element_type() == ov.Type.f32 and other.get_partial_shape() == value.get_output_partial_shape(
            0
        )
        return cls(other, result) if fits else None


def _sum(value: ov.Node) -> tuple[ov.Node | None, ov.Output | None]:
    """The addition that is a value's only reader, and the other summand."""
    result = _only_reader(value)
    if result is None or result.get_type_name() != "Add":
        return None, None
    first, second = result.input_values()
    return result, second if first.get_node() == value else first


def _is_silu(node: ov.Node) -> bool:
    if node.get_type_name() != "Swish" or len(node.inputs()) == 1:
        return bool(node.get_type_name() == "Swish")
    slope = node.input_value(1).get_node()
    return slope.get_type_name() == "Constant" and bool(np.all(slope.data == 1))


def _only_reader(node: ov.Node) -> ov.Node | None:
    found = readers(node.output(0))
    return found[0] if len(found) == 1 else None
