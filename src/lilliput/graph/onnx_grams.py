"""The n-gram table of an encoder as ONNX nodes: look-ups, exclusive or, and comparisons of 32-bit integers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from lilliput.formats.precision import PRECISIONS, quantize_rows
from lilliput.grams import MEAN_SCALE, NORM_EPSILON, Grams
from lilliput.graph.onnx_blocks import GraphBuilder

END = np.iinfo(np.int64).max
"""End of a slice that has no end."""


def bag(
    build: GraphBuilder,
    ids: str,
    mask: str,
    grams: Grams,
    table: NDArray[np.float32],
    vocabulary: int,
    stored: str,
    name: str = "grams",
) -> str:
    """The rows of each function's distinct n-grams, combined as :attr:`~lilliput.grams.Grams.scale` says.

    Sorting puts equal n-grams next to each other, and only the first of them counts.

    Args:
        build: collects the nodes.
        ids: name of the token ids ``[functions, tokens]``.
        mask: name of the real tokens' mask, of the same shape.
        grams: sizes of the table.
        table: ``[grams.rows, grams.width]``.
        vocabulary: number of tokens in the vocabulary.
        stored: how the table is stored, a name in :data:`lilliput.grams.STORED_BYTES`.
        name: name of the table.

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
        distinct, first = _distinct(build, keys, real, grams.rows)
        weights.append(build.op("Cast", first, to=TensorProto.FLOAT))
        rows.append(distinct)
    weight = build.op("Concat", *weights, axis=1)
    looked_up = _rows(build, build.op("Concat", *rows, axis=1), table, stored, name)
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


def _distinct(build: GraphBuilder, keys: str, real: str, rows: int) -> tuple[str, str]:
    """``keys [functions, places]`` sorted, and where each distinct ``real`` one first occurs."""
    nowhere = build.constant(np.array(rows, np.int32))
    length = build.op("Slice", build.op("Shape", keys), build.ints(1), build.ints(2))
    falling, _ = build.op_many("TopK", 2, build.op("Where", real, keys, nowhere), length, axis=1)
    before = build.op("Pad", _cut(build, falling, 0, -1), build.ints(0, 1, 0, 0), nowhere)
    first = build.op("Not", build.op("Equal", falling, before))
    return build.op("Min", falling, build.constant(np.array(rows - 1, np.int32))), first


def _cut(build: GraphBuilder, value: str, start: int, end: int) -> str:
    """``value[:, start:end]``."""
    return build.op("Slice", value, build.ints(start), build.ints(end), build.ints(1))


def _rows(build: GraphBuilder, keys: str, table: NDArray[np.float32], stored: str, name: str) -> str:
    """Rows ``keys`` of the table; only these rows are converted to float."""
    if stored == "fp32":
        return build.op("Gather", build.constant(table, f"{name}.weight"), keys)
    if stored == "fp16":
        rows = build.op("Gather", build.constant(table.astype(np.float16), f"{name}.weight"), keys)
        return build.op("Cast", rows, to=TensorProto.FLOAT)
    codes, scales = quantize_rows(table.reshape(1, -1), PRECISIONS["int8"])
    rows = build.op("Gather", build.constant(codes.reshape(table.shape), f"{name}.weight"), keys)
    return build.op("Mul", build.op("Cast", rows, to=TensorProto.FLOAT), build.scalar(float(scales[0, 0])))
