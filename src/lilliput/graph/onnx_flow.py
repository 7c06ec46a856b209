"""Data flow of an encoder as ONNX nodes: the attention mask, see :mod:`lilliput.distill.flow`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, ValueInfoProto, helper

from lilliput.encoder import FRAME_IDS
from lilliput.graph.onnx_blocks import GraphBuilder

SPANS, EDGES = "node_spans", "node_edges"
"""Names of the graph's inputs, see :func:`~lilliput.data_flow.stacked`."""


def inputs() -> list[ValueInfoProto]:
    """The graph's inputs for data flow."""
    return [
        helper.make_tensor_value_info(SPANS, TensorProto.INT64, ["functions", "nodes", 2]),
        helper.make_tensor_value_info(EDGES, TensorProto.BOOL, ["functions", "nodes", "nodes"]),
    ]


@dataclass(frozen=True)
class Attention:
    """Names of values, with T places of code, then N of nodes.

    Attributes:
        means: ``[functions, N, T]`` float: maps the code's embeddings to the mean over each node's token.
        real: ``[functions, T + N]`` bool: where there is no padding.
        attends: ``[functions, T + N, T + N]`` bool: whether the row's place attends to the column's.
    """

    means: str
    real: str
    attends: str


def attention_with_nodes(build: GraphBuilder, ids: str, mask: str) -> Attention:
    """Attention over code ``ids [functions, T]``, real at ``mask``, and the nodes in the graph's inputs."""
    zero, one = (build.constant(np.array(value, np.int64)) for value in (0, 1))
    rows, columns = build.ints(1), build.ints(2)
    length = build.op("Gather", build.op("Shape", ids), one)
    places = build.op("Range", zero, length, one)
    first, last = (build.op("Unsqueeze", build.op("Gather", SPANS, end, axis=2), columns) for end in (zero, one))
    own = build.op("And", build.op("LessOrEqual", first, places), build.op("Less", places, last))
    pieces = build.op("Cast", own, to=TensorProto.FLOAT)
    count = build.op("ReduceSum", pieces, columns, keepdims=1)
    real = build.op("Squeeze", build.op("Greater", count, build.scalar(0.0)), columns)
    frame = build.op("Or", *(build.op("Equal", ids, build.constant(np.array(end, np.int64))) for end in FRAME_IDS))
    every_row = build.op("Concat", build.ints(1), build.op("Unsqueeze", length, build.ints(0)), build.ints(1), axis=0)
    code_to_code = build.op("Expand", build.op("Unsqueeze", mask, rows), every_row)
    from_frame = build.op("And", build.op("Unsqueeze", frame, columns), build.op("Unsqueeze", real, rows))
    code_to_nodes = build.op("Or", build.op("Transpose", own, perm=[0, 2, 1]), from_frame)
    code = build.op("Concat", code_to_code, code_to_nodes, axis=2)
    nodes = build.op("Concat", own, EDGES, axis=2)
    return Attention(
        means=build.op("Div", pieces, build.op("Max", count, build.scalar(1.0))),
        real=build.op("Concat", mask, real, axis=1),
        attends=build.op("Concat", code, nodes, axis=1),
    )
