"""Rotary position embedding: the rotation frequency of each pair of dimensions ("RoFormer", Su et al. 2021, eq. 34)."""

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
    """How positions rotate queries and keys; pairs consist of one dimension from each half.

    Attributes:
        width: number of leading dimensions of a head that are rotated; even.
        base: base of the geometric series of frequencies.
        factor: positions are divided by it (``linear`` and ``llama3`` scaling).
        low, high: of ``llama3`` scaling: frequencies with fewer turns than ``low`` over ``original`` positions are
            divided by the factor, those with more than ``high`` are kept, and those between are interpolated. 0: all
            are divided.
        original: number of positions that the model was first trained for.
    """

    width: int
    base: float = 10000.0
    factor: float = 1.0
    low: float = 0.0
    high: float = 0.0
    original: int = 0

    def frequencies(self) -> NDArray[np.float32]:
        """Radians per position, ``[width / 2]``."""
        usual = self.base ** (-np.arange(0, self.width, 2, dtype=np.float64) / self.width)
        if not self.high:
            return (usual / self.factor).astype(np.float32)
        turns = self.original * usual / (2 * math.pi)
        kept = np.clip((turns - self.low) / (self.high - self.low), 0, 1)
        return (usual * (kept + (1 - kept) / self.factor)).astype(np.float32)


def read_rotary(values: Mapping[str, Any], head_width: int, share: float = 1.0) -> Rotary:
    """The rotary embedding of a ``config.json`` of the Llama family.

    Args:
        values: the file's fields.
        head_width: width of each head.
        share: share of a head's dimensions that are rotated.

    Raises:
        CheckpointError: the kind of scaling is not supported, or two tables of fields contradict each other.
    """
    # Transformers 4 wrote the first table, 5 writes the second. If both are present, it uses only the first and drops
    # the base of the second, which is hardly what the author of the file meant.
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
        f"field 'rope_scaling' asks for '{kind}'; supported: default, linear and llama3.",
        where="config.json",
        remedy="This checkpoint cannot be read yet.",
    )
