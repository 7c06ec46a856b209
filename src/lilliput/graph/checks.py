"""Check that the sizes and options of an untrusted ``config.json`` are possible for a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lilliput.constants import LARGEST
from lilliput.errors import CheckpointError
from lilliput.graph.blocks import ACTIVATIONS

_LIMITS: Mapping[str, int] = {"layers": 10_000, "furthest": 1_000_000}
"""Limits of fields that cost memory before any weight is read."""

_POSITIVE = (
    *("vocabulary", "hidden", "layers", "heads", "kv_heads", "head_width", "positions", "window"),
    *("width", "base", "factor", "buckets", "furthest"),
)

_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "int": (lambda value: type(value) is int and 0 <= value <= LARGEST, "a whole number"),
    "float": (lambda value: type(value) in (int, float) and abs(value) <= LARGEST, "a number"),
    "bool": (lambda value: type(value) is bool, "true or false"),
    "str": (lambda value: isinstance(value, str), "a word"),
}
"""Type of a field -> check of a value, and the type in words."""


def refuse_odd(config: Any) -> None:
    """Reject a config with impossible fields.

    Args:
        config: a :class:`~lilliput.graph.decoder.DecoderConfig`, a :class:`~lilliput.graph.seq2seq.Seq2SeqConfig`, or a
            part of one.

    Raises:
        ValueError: a field is impossible; the message has lilliput's name of it.
    """
    for field in dataclasses.fields(config):
        name, value, (kind, *others) = field.name, getattr(config, field.name), str(field.type).split(" | ")
        if value is None and others == ["None"]:
            continue
        if dataclasses.is_dataclass(value):
            refuse_odd(value)
            continue
        fine, wanted = _KINDS[kind]
        _require(fine(value), name, wanted, value)
        _require(name not in _POSITIVE or value > 0, name, "above 0", value)
        _require(name != "positions" or value > 1, name, "above 1", value)
        _require(name not in _LIMITS or value <= _LIMITS[name], name, f"at most {_LIMITS.get(name)}", value)
        _require(name != "activation" or value in ACTIVATIONS, name, f"one of {', '.join(ACTIVATIONS)}", value)
    if hasattr(config, "kv_heads"):
        _require(config.heads % config.kv_heads == 0, "kv_heads", f"a divisor of {config.heads}", config.kv_heads)
    if hasattr(config, "buckets"):
        _require(config.buckets >= 4, "buckets", "at least 4", config.buckets)
        _require(config.furthest > config.buckets // 2, "furthest", "more than half of the buckets", config.furthest)
    if getattr(config, "rotary", None) is not None:
        turned = config.rotary.width
        _require(turned % 2 == 0 and turned <= config.head_width, "rotary", "an even part of a head", turned)


def refuse_other_shapes(config: Any, shapes: Mapping[str, tuple[int, ...]], where: Path) -> None:
    """Reject matrices whose shapes contradict the config; an engine would notice only some of them, and only later.

    Args:
        config: see :func:`refuse_odd`.
        shapes: shapes of the weights, by lilliput's names.
        where: the checkpoint.

    Raises:
        CheckpointError: a shape is wrong; the message names the weight.
    """
    stacks = {"layers": config} | {part: getattr(config, part, None) for part in ("encoder", "decoder")}
    for name, shape in shapes.items():
        first, part = name.partition(".")[0], name.removesuffix(".weight").rpartition(".")[2].removeprefix("cross_")
        wanted = _wanted(config, stacks.get(first), part, shape)
        if name.endswith(".weight") and shape != wanted:
            raise CheckpointError(
                f"has {shape} as the shape of '{name}', but its config.json implies {wanted}.",
                where=where,
                remedy="Get the checkpoint again: its files do not belong together.",
            )


def _wanted(config: Any, stack: Any, part: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a weight must have; sizes that the config leaves open are the weight's own, but at least 1.

    Args:
        config: the whole model's.
        stack: the config with the number of heads; ``None``: the weight is not in a layer.
        part: last part of the weight's name.
        shape: the weight's own shape.
    """
    hidden, (rows, width) = config.hidden, (max((*shape[place : place + 1], 1)) for place in (0, 1))
    table = dict.fromkeys(("embedding", "head"), (config.vocabulary, hidden))
    table |= {"positions": (max(rows, (config.positions or 0) + config.position_offset), hidden)}
    table |= {"up": (rows, hidden), "gate": (rows, hidden), "down": (hidden, width)}
    if stack is not None:
        queries = stack.heads * stack.head_width
        keys = getattr(stack, "kv_heads", stack.heads) * stack.head_width
        table |= {"query": (queries, hidden), "output": (hidden, queries)}
        table |= dict.fromkeys(("key", "value"), (keys, hidden))
        if getattr(config, "relative", None) is not None:
            table["relative"] = (config.relative.buckets, stack.heads)
    return table.get(part, shape)


def _require(fine: bool, name: str, wanted: str, value: Any) -> None:
    if not fine:
        raise ValueError(f"'{name}' must be {wanted}, not {value!r}")
