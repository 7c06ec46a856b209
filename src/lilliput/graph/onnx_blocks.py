"""Building blocks of ONNX encoder graphs: a builder of nodes, and quantized linear layers and embeddings."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from lilliput.formats.packing import packed
from lilliput.formats.precision import ActivationRange, Precision, quantize_rows

OPSET = 21
"""The first operator set with 4-bit tensors and blocked dequantization."""

IR_VERSION = 10
"""The version of the file format for :data:`OPSET`."""


@dataclass
class GraphBuilder:
    """Collects nodes and constants; every method returns the name of the value that it creates."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    _serial: int = 0

    def constant(self, value: NDArray[Any], name: str = "") -> str:
        """A constant; equal unnamed constants are stored once."""
        key = name or f"c{value.dtype.str[1:]}{value.shape}{zlib.crc32(value.tobytes()):x}"
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(value, key)
        return key

    def ints(self, *values: int) -> str:
        """A constant int64 vector, such as shapes and axes."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        """A constant float32 scalar."""
        return self.constant(np.array(value, np.float32))

    def op(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """One node with one output."""
        return self.op_many(kind, 1, *inputs, name=name, **attributes)[0]

    def op_many(self, kind: str, outputs: int, *inputs: str, name: str = "", **attributes: Any) -> list[str]:
        """One node with several outputs."""
        self._serial += 1
        made = [name or f"v{self._serial}"] if outputs == 1 else [f"v{self._serial}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), made, **attributes))
        return made

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto], properties: dict[str, str]
    ) -> onnx.ModelProto:
        """The finished model, checked."""
        graph = helper.make_graph(self.nodes, "lilliput", inputs, outputs, list(self.constants.values()))
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="lilliput")
        helper.set_model_props(model, properties)
        onnx.checker.check_model(model)
        return model


def quantize_activation(build: GraphBuilder, value: str, observed: ActivationRange) -> str:
    """Round ``value`` to 8 bits over its calibrated range and back: the pair that engines fuse into integer kernels."""
    scale = build.scalar(observed.scale)
    zero = build.constant(np.array(observed.zero_point, np.uint8))
    return build.op("DequantizeLinear", build.op("QuantizeLinear", value, scale, zero), scale, zero)


def linear_weight(build: GraphBuilder, name: str, weight: NDArray[np.float32], precision: Precision) -> str:
    """The weight of a linear layer, ``[in, out]`` as ONNX multiplies it, from ``weight [out, in]``."""
    if precision.bits == 32:
        return build.constant(np.ascontiguousarray(weight.T), name)
    codes, scales = quantize_rows(weight, precision)
    if precision.bits == 8:
        stored = build.constant(np.ascontiguousarray(codes.T), name)
        return build.op("DequantizeLinear", stored, build.constant(scales[:, 0], f"{name}.scale"), axis=1)
    stored = _int4(build, np.ascontiguousarray(codes.T), name)
    scale = build.constant(np.ascontiguousarray(scales.T), f"{name}.scale")
    return build.op("DequantizeLinear", stored, scale, axis=0, block_size=precision.group)


def linear(
    build: GraphBuilder,
    value: str,
    name: str,
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    precision: Precision,
) -> str:
    """``value @ weight.T + bias``; :func:`quantize_activation` must already be applied to ``value`` if wanted."""
    product = build.op("MatMul", value, linear_weight(build, f"{name}.weight", weight, precision))
    return build.op("Add", product, build.constant(bias, f"{name}.bias"))


def embedding(build: GraphBuilder, ids: str, name: str, table: NDArray[np.float32], precision: Precision) -> str:
    """Rows ``ids`` of ``table [rows, width]``; only the rows looked up are converted to float."""
    if precision.bits == 32:
        return build.op("Gather", build.constant(table, name), ids)
    codes, scales = quantize_rows(table, precision)
    if precision.bits == 8:
        rows = build.op("Cast", build.op("Gather", build.constant(codes, name), ids), to=TensorProto.FLOAT)
        return build.op("Mul", rows, build.op("Gather", build.constant(scales, f"{name}.scale"), ids))
    stored = _int4(build, codes, name)
    scale = build.constant(scales, f"{name}.scale")
    return build.op("Gather", build.op("DequantizeLinear", stored, scale, axis=1, block_size=precision.group), ids)


def layer_norm(
    build: GraphBuilder, value: str, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32], epsilon: float
) -> str:
    """Layer normalization over the last axis."""
    parts = build.constant(weight, f"{name}.weight"), build.constant(bias, f"{name}.bias")
    return build.op("LayerNormalization", value, *parts, axis=-1, epsilon=epsilon)


def _int4(build: GraphBuilder, codes: NDArray[np.int8], name: str) -> str:
    build.constants[name] = helper.make_tensor(
        name, TensorProto.INT4, codes.shape, packed(codes, 4).tobytes(), raw=True
    )
    return name
