"""The n-gram table of an encoder as ONNX nodes: look-ups, exclusive or, and comparisons of 32-bit integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from lilliput.formats.precision import PRECISIONS, quantize_rows
from lilliput.grams import MEAN_SCALE, NORM_EPSILON, Grams
from lilliput.graph.onnx_blocks import GraphBuilder

END = np.iinfo(np.int64).max
"""The end of a slice that goes to the end."""


def bag(
    build: GraphBuilder,
    ids: str,
    mask: str,
    grams: Grams,
    table: NDArray[np.float32],
    vocabulary: int,
    bits: int,
    name: str = "grams",
) -> str:
    """The rows of each function's distinct n-grams, made one as :attr:`~lilliput.grams.Grams.scale` says.

    Which occurrence of an n-gram counts is found in time that grows with the tokens only: every place writes its number
    where its n-gram's row is, and the one that is still there afterwards counts, whichever it is.

    Args:
        build: collects the nodes.
        ids: name of the token ids ``[functions, tokens]``.
        mask: name of the real tokens' mask, the same shape.
        grams: sizes of the table.
        table: ``[grams.rows, grams.width]``.
        vocabulary: tokens there are.
        bits: 32 stores the table as it is, fewer as 8 bits with one scale.
        name: of the table.

    Returns:
        Name of the result ``[functions, width]``.
    """
    hashes = [build.constant(row, f"{name}.hash.{place}") for place, row in enumerate(grams.hashes(vocabulary))]
    at = [build.op("Gather", row, ids) for row in hashes]
    real, keys, rows, weights = mask, at[0], [], []
    for place in range(grams.order):
        if place:
            keys = build.op("BitwiseXor", _cut(build, keys, 0, -1), _cut(build, at[place], place, END))
            real = _cut(build, real, 1, END)
        weights.append(build.op("Cast", _once(build, keys, real, grams.rows), to=TensorProto.FLOAT))
        rows.append(keys)
    weight = build.op("Concat", *weights, axis=1)
    looked_up = _rows(build, build.op("Concat", *rows, axis=1), table, bits, name)
    summed = build.op(
        "ReduceSum", build.op("Mul", looked_up, build.op("Unsqueeze", weight, build.ints(2))), build.ints(1), keepdims=0
    )
    if grams.scale == "norm":
        ones = build.constant(np.ones(grams.width, np.float32), f"{name}.norm")
        return build.op("LayerNormalization", summed, ones, axis=-1, epsilon=NORM_EPSILON)
    count = build.op("ReduceSum", weight, build.ints(1), keepdims=1)
    if grams.scale == "root":
        return build.op("Div", summed, build.op("Sqrt", count))
    return build.op("Mul", build.op("Div", summed, count), build.scalar(MEAN_SCALE))


def _once(build: GraphBuilder, keys: str, real: str, rows: int) -> str:
    """True at one place of each distinct key among the ``real`` ones ``[functions, places]``."""
    shape = build.op("Shape", keys)
    functions, length = (build.op("Gather", shape, build.ints(axis)) for axis in (0, 1))
    zero, one = (build.constant(np.array(value, np.int64)) for value in (0, 1))
    places = build.op("Range", zero, build.op("Squeeze", length), one)
    places = build.op("Expand", build.op("Cast", places, to=TensorProto.INT32), shape)
    nowhere = build.constant(np.array(rows, np.int32))
    own = build.op("Cast", build.op("Where", real, keys, nowhere), to=TensorProto.INT64)
    empty = build.constant(np.zeros(1, np.int32))
    board = build.op("Expand", empty, build.op("Concat", functions, build.ints(rows + 1), axis=0))
    written = build.op("ScatterElements", board, own, places, axis=1)
    return build.op("And", build.op("Equal", build.op("GatherElements", written, own, axis=1), places), real)


def _cut(build: GraphBuilder, value: str, start: int, end: int) -> str:
    """``value[:, start:end]``."""
    return build.op("Slice", value, build.ints(start), build.ints(end), build.ints(1))


def _rows(build: GraphBuilder, keys: str, table: NDArray[np.float32], bits: int, name: str) -> str:
    """Rows ``keys`` of the table; only these are converted to float."""
    if bits == 32:
        return build.op("Gather", build.constant(table, f"{name}.weight"), keys)
    codes, scales = quantize_rows(table.reshape(1, -1), PRECISIONS["int8"])
    rows = build.op("Gather", build.constant(codes.reshape(table.shape), f"{name}.weight"), keys)
    return build.op("Mul", build.op("Cast", rows, to=TensorProto.FLOAT), build.scalar(float(scales[0, 0])))
