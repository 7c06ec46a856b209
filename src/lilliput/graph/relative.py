"""Relative position bias: a term of attention scores that depends on the distance of two tokens.

"Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer" (T5), section 2.1: short distances
have a bucket each, longer ones share buckets of logarithmically growing size, and all beyond a limit share the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from lilliput.graph.blocks import Value


@dataclass(frozen=True)
class Relative:
    """The mapping of distances to buckets.

    Attributes:
        buckets: number of buckets.
        furthest: distance in tokens from which on all share the last bucket.
    """

    buckets: int
    furthest: int

    def places(self, both_ways: bool) -> NDArray[np.int64]:
        """Bucket of each distance (key minus query position), ``-furthest`` to ``furthest``: ``[2 * furthest + 1]``.

        Args:
            both_ways: half of the buckets are for keys after the query; otherwise those all fall into bucket 0.
        """
        distance = np.arange(-self.furthest, self.furthest + 1)
        count = self.buckets // 2 if both_ways else self.buckets
        back = np.abs(distance) if both_ways else np.maximum(-distance, 0)
        near = count // 2
        # single precision, as in training: the last bit can decide where a bucket begins
        ratio = np.log(np.maximum(back, 1).astype(np.float32) / np.float32(near))
        share = ratio / np.float32(math.log(self.furthest / near))
        far = np.minimum(near + (share * np.float32(count - near)).astype(np.int64), count - 1)
        return np.where(back < near, back, far) + (count * (distance > 0) if both_ways else 0)


def relative_bias(ids: Value, mask: Value, weight: Value, relative: Relative, both_ways: bool) -> Value:
    """The term to add to the scores, ``[1, heads, T, S]``.

    Args:
        ids: the new tokens, ``[B, T]``.
        mask: ``[B, S]``, of the new tokens and those before.
        weight: ``[buckets, heads]``.
        relative: the mapping of distances to buckets.
        both_ways: see :meth:`Relative.places`.
    """
    zero, one = ops.constant(0, ov.Type.i64), ops.constant(1, ov.Type.i64)
    by_distance = ops.transpose(
        ops.gather(weight, ops.constant(relative.places(both_ways)), zero), ops.constant([1, 0])
    )
    new, total = (ops.gather(ops.shape_of(value), one, zero) for value in (ids, mask))
    column = ops.unsqueeze(ops.range(zero, total, one, "i64"), zero)
    row = ops.unsqueeze(ops.range(ops.subtract(total, new), total, one, "i64"), one)
    distance = ops.clamp(ops.subtract(column, row), -relative.furthest, relative.furthest)
    place = ops.add(distance, ops.constant(relative.furthest, ov.Type.i64))
    return ops.unsqueeze(ops.gather(by_distance, place, one), zero)
