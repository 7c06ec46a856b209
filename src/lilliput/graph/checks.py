"""Whether the sizes and options that a stranger's ``config.json`` gives can be a model's at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from lilliput.graph.blocks import ACTIVATIONS

LARGEST = 2**31 - 1

_LIMITS: Mapping[str, int] = {"layers": 10_000, "furthest": 1_000_000}
"""Fields whose size is memory before any weight is read."""

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
"""Type of a field -> whether a value is of it, and in words."""


def refuse_odd(config: Any) -> None:
    """Refuse a config with fields that cannot be.

    Args:
        config: a :class:`~lilliput.graph.decoder.DecoderConfig`, a :class:`~lilliput.graph.seq2seq.Seq2SeqConfig`, or a
            part of one.

    Raises:
        ValueError: the message names the field, as we call it.
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
        _require(name not in _LIMITS or value <= _LIMITS[name], name, f"at most {_LIMITS.get(name)}", value)
        _require(name != "activation" or value in ACTIVATIONS, name, f"one of {', '.join(ACTIVATIONS)}", value)
    if hasattr(config, "kv_heads"):
        _require(config.heads % config.kv_heads == 0, "kv_heads", f"a divisor of {config.heads}", config.kv_heads)
    if getattr(config, "rotary", None) is not None:
        turned = config.rotary.width
        _require(turned % 2 == 0 and turned <= config.head_width, "rotary", "an even part of a head", turned)


def _require(fine: bool, name: str, wanted: str, value: Any) -> None:
    if not fine:
        raise ValueError(f"'{name}' must be {wanted}, not {value!r}")
