"""Check that a graph's weights have the form that :mod:`lilliput.graph.stored` writes.

The engine assumes that scales and zero points match the shape of their codes, and crashes on an untrusted graph in
which they do not.
"""

from __future__ import annotations

from typing import Any

import openvino as ov

CODE_TYPES = ("i8", "u8", "i4", "u4", "u3", "u2", "u1", "nf4")
"""Constant types that only weights have."""


def odd_weight(model: ov.Model) -> str | None:
    """The name of a constant of codes that is not part of such a weight, or whose shape does not match its scales."""
    nodes = model.get_ops()
    codes = [node for node in nodes if _is_constant(node) and node.get_element_type().get_type_name() in CODE_TYPES]
    sound = {name for node in nodes if node.get_type_name() == "Multiply" for name in _sound(node)}
    return next((node.get_friendly_name() for node in codes if node.get_name() not in sound), None)


def _sound(product: Any) -> tuple[str, ...]:
    """The codes and zero points that a product multiplies by scales of matching shape, by the engine's unique names: a
    friendly name can belong to two constants, when a weight is used twice."""
    value, scales = _inputs(product)
    value, zeros = _inputs(value) if value.get_type_name() == "Subtract" else (value, None)
    codes, *others = (_unconverted(node) for node in (value, zeros) if node is not None)
    if not all(map(_is_constant, (codes, scales, *others))) or not codes.shape or 0 in codes.shape:
        return ()
    wanted = ([*codes.shape[:-1], 1], [1] * len(codes.shape))  # per row or group; or one for all
    if list(scales.shape) not in wanted or any(other.shape != scales.shape for other in others):
        return ()
    return tuple(str(node.get_name()) for node in (codes, *others))


def _inputs(node: Any) -> tuple[Any, Any]:
    first, second = (value.get_node() for value in node.input_values())
    return first, second


def _unconverted(node: Any) -> Any:
    return node.input_value(0).get_node() if node.get_type_name() == "Convert" else node


def _is_constant(node: Any) -> bool:
    return bool(node.get_type_name() == "Constant")
