"""Whether a graph's weights are chains as :mod:`lilliput.graph.stored` writes them.

The engine takes for granted that scales and zero points are of their codes' sizes, and ends the process where they are
not in a stranger's graph.
"""

from __future__ import annotations

from typing import Any

import openvino as ov

CODE_TYPES = ("i8", "u8", "i4", "u4", "u3", "u2", "u1", "nf4")
"""Types of constants that only weights have."""


def odd_weight(model: ov.Model) -> str | None:
    """The name of a constant of codes that is no part of such a chain, or whose shape does not fit in it."""
    nodes = model.get_ops()
    codes = [node for node in nodes if _is_constant(node) and node.get_element_type().get_type_name() in CODE_TYPES]
    sound = {name for node in nodes if node.get_type_name() == "Multiply" for name in _sound(node)}
    return next((node.get_friendly_name() for node in codes if node.get_name() not in sound), None)


def _sound(product: Any) -> tuple[str, ...]:
    """The codes and zero points that a product multiplies with scales of their sizes, by the engine's own names: ours,
    of a weight that is used twice, are those of two constants."""
    value, scales = _inputs(product)
    value, zeros = _inputs(value) if value.get_type_name() == "Subtract" else (value, None)
    codes, *others = (_unconverted(node) for node in (value, zeros) if node is not None)
    if not all(map(_is_constant, (codes, scales, *others))) or not codes.shape or 0 in codes.shape:
        return ()
    wanted = ([*codes.shape[:-1], 1], [1] * len(codes.shape))  # of rows or groups; or one in all
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
