"""Rotary position embedding: how fast each pair of a head's dimensions turns ("RoFormer", Su et al. 2021, eq. 34)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError


@dataclass(frozen=True)
class Rotary:
    """How positions turn queries and keys, halves of the turned dimensions being the pairs.

    Attributes:
        width: dimensions of a head that are turned, from the first; even.
        base: of the geometric series of frequencies.
        factor: positions are divided by it (``linear`` and ``llama3`` scaling).
        low, high: of ``llama3`` scaling: frequencies with fewer turns than ``low`` over ``original`` positions are
            divided by the factor, those with more than ``high`` are kept, between them both are mixed. 0: all divided.
        original: positions the model was first trained for.
    """

    width: int
    base: float = 10000.0
    factor: float = 1.0
    low: float = 0.0
    high: float = 0.0
    original: int = 0

    def frequencies(self) -> NDArray[np.float32]:
        """Radians a position, ``[width / 2]``."""
        usual = self.base ** (-np.arange(0, self.width, 2, dtype=np.float64) / self.width)
        if not self.high:
            return (usual / self.factor).astype(np.float32)
        turns = self.original * usual / (2 * math.pi)
        kept = np.clip((turns - self.low) / (self.high - self.low), 0, 1)
        return (usual * (kept + (1 - kept) / self.factor)).astype(np.float32)


def read_rotary(values: Mapping[str, Any], head_width: int, share: float = 1.0) -> Rotary:
    """The rotary embedding that a ``config.json`` of the Llama family tells of.

    Args:
        values: the file's.
        head_width: of each head.
        share: of its dimensions that are turned.

    Raises:
        CheckpointError: a kind of scaling that is not known, or two tables of fields that tell different things.
    """
    # Transformers 4 wrote the one, 5 writes the other. Where both are there it takes the former alone, and the base of
    # the latter is lost: hardly what was meant by whoever added the one to the other.
    tables = [values[name] for name in ("rope_scaling", "rope_parameters") if values.get(name)]
    first, *others = [_read(table, values, head_width, share) for table in tables or [{}]]
    if any(other != first for other in others):
        raise CheckpointError(
            "fields 'rope_scaling' and 'rope_parameters' contradict each other.",
            where="config.json",
            remedy="Keep one of them, with its 'rope_theta'.",
        )
    return first


def _read(scaling: Mapping[str, Any], values: Mapping[str, Any], head_width: int, share: float) -> Rotary:
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    base = float(scaling.get("rope_theta") or values.get("rope_theta") or 10000.0)
    width = int(head_width * share)
    if kind == "default":
        return Rotary(width, base)
    if kind == "linear":
        return Rotary(width, base, float(scaling["factor"]))
    if kind == "llama3":
        low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
        original = int(scaling["original_max_position_embeddings"])
        return Rotary(width, base, float(scaling["factor"]), low, high, original)
    raise CheckpointError(
        f"field 'rope_scaling' asks for '{kind}'; known are default, linear and llama3.",
        where="config.json",
        remedy="This checkpoint cannot be read yet.",
    )
