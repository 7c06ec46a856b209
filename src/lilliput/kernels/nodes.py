"""Helpers for finding patterns in graphs."""

from __future__ import annotations

import openvino as ov


def kind(value: ov.Output) -> str:
    """The type of the operation that computes a value."""
    return str(value.get_node().get_type_name())


def readers(value: ov.Output) -> list[ov.Node]:
    """The operations that read a value."""
    return [target.get_node() for target in value.get_target_inputs()]


def inputs_of(value: ov.Output, name: str) -> list[ov.Output]:
    """Inputs of the operation that computes a value, if it is of type ``name``; else an empty list."""
    return list(value.get_node().input_values()) if kind(value) == name else []


def number(value: ov.Output) -> float | None:
    """The number in a constant of one element; ``None`` for any other node."""
    node = value.get_node()
    return float(node.data.item()) if kind(value) == "Constant" and node.data.size == 1 else None


def same(one: ov.Output, other: ov.Output) -> bool:
    """Whether both are the same value."""
    return bool(one.get_node() == other.get_node()) and one.get_index() == other.get_index()


def behind(value: ov.Output, *kinds: str, index: int = 0) -> ov.Output | None:
    """Follow input ``index`` back from ``value`` through operations of these types; ``None`` if one has another."""
    for name in kinds:
        if kind(value) != name:
            return None
        value = value.get_node().input_value(index)
    return value
