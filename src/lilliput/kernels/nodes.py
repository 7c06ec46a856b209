"""What is asked of a graph's nodes when patterns are looked for in it."""

from __future__ import annotations

import openvino as ov


def kind(value: ov.Output) -> str:
    """The operation that gives a value."""
    return str(value.get_node().get_type_name())


def readers(value: ov.Output) -> list[ov.Node]:
    """The operations that read a value."""
    return [target.get_node() for target in value.get_target_inputs()]


def inputs_of(value: ov.Output, name: str) -> list[ov.Output]:
    """What the operation reads that gives a value, if it is one of that name; else nothing."""
    return list(value.get_node().input_values()) if kind(value) == name else []


def number(value: ov.Output) -> float | None:
    """What a constant of one number gives; ``None``: it is another node."""
    node = value.get_node()
    return float(node.data.item()) if kind(value) == "Constant" and node.data.size == 1 else None


def same(one: ov.Output, other: ov.Output) -> bool:
    """Whether two are the same value."""
    return bool(one.get_node() == other.get_node()) and one.get_index() == other.get_index()


def behind(value: ov.Output, *kinds: str, index: int = 0) -> ov.Output | None:
    """Input ``index`` of the last of a chain of operations, linked by it, of which the first gives ``value``; ``None``:
    they are others."""
    for name in kinds:
        if kind(value) != name:
            return None
        value = value.get_node().input_value(index)
    return value
