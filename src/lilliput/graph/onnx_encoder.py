"""The small encoder classifier as one ONNX file with quantize/dequantize nodes.

Inputs and outputs of the graph:

- ``input_ids`` int64 ``[functions, tokens]``, padded on the right with :data:`~lilliput.encoder.PAD_ID`;
- ``node_spans`` int64 ``[functions, nodes, 2]`` and ``node_edges`` bool ``[functions, nodes, nodes]``, only for models
  that read data flow: see :func:`~lilliput.data_flow.stacked`;
- ``pairs`` int64 ``[examples, 2]``, only for models of pairs: rows of ``input_ids``;
- ``vectors`` float32 ``[functions, config.width]``: one vector per function;
- ``logits`` float32 ``[examples, classes]``.

OpenVINO and ONNX Runtime both run it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from lilliput.encoder import MASKED, PAD_ID, VECTOR_LEVELS, VECTOR_SCALE, EncoderConfig, linear_outputs
from lilliput.formats.precision import ActivationRange, Precision
from lilliput.grams import table_storage
from lilliput.graph import onnx_flow
from lilliput.graph.onnx_blocks import GraphBuilder, embedding, layer_norm, linear, quantize_activation
from lilliput.graph.onnx_grams import bag

Weights = Mapping[str, NDArray[np.float32]]
Ranges = Mapping[str, ActivationRange]

ACTIVATIONS = {"relu": "Relu", "gelu": "Gelu"}
"""Option -> ONNX operator."""


def encoder_graph(
    config: EncoderConfig, weights: Weights, precision: Precision, ranges: Ranges | None = None
) -> onnx.ModelProto:
    """Build the graph of ``config`` with ``weights`` (names and shapes of :meth:`EncoderConfig.shapes`).

    Args:
        config: sizes and options.
        weights: float32 arrays.
        precision: how linear layers and embeddings are stored.
        ranges: calibrated range of each quantized activation, by the names of :func:`activation_names`. ``None``:
            activations stay floating point.
    """
    return _EncoderGraph(config, weights, precision, ranges).build_model()


def activation_names(config: EncoderConfig) -> list[str]:
    """The activations that integer execution quantizes: the inputs of the linear layers."""
    names = []
    for index in range(config.architecture.layers if config.layered else 0):
        names += [f"layers.{index}.{part}" for part in ("input", "context", "attended", "inner")]
    return names


class _EncoderGraph:
    def __init__(self, config: EncoderConfig, weights: Weights, precision: Precision, ranges: Ranges | None) -> None:
        self.config = config
        self.weights = weights
        self.precision = precision
        self.ranges = ranges
        self.build = GraphBuilder()

    def build_model(self) -> onnx.ModelProto:
        build, config = self.build, self.config
        inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["functions", "tokens"])]
        if config.data_flow:
            inputs += onnx_flow.inputs()
        mask = self.real("input_ids")
        rows = "functions"
        if config.arity == 2:
            rows = "pairs"
            inputs.append(helper.make_tensor_value_info("pairs", TensorProto.INT64, [rows, 2]))
        vector, logits = ("of network", "logits of network") if config.linear else ("vectors", "logits")
        vectors, summands = [], []
        if config.network:
            vectors.append(self.vectors(mask, vector))
            features = vector if config.arity == 1 else self.joined(vector, "pairs")
            summands.append(self.head(features, logits))
        if config.linear:
            vectors.append(self.bag("linear", mask))
            summands.append(self.linear_model(vectors[-1], "logits of n-grams"))
            build.op("Concat", *vectors, axis=-1, name="vectors")
            build.op("Sum", *summands, name="logits")
        outputs = [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [rows, config.classes]),
            helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["functions", config.width]),
        ]
        return build.model(inputs, outputs, {"precision": self.precision.name})

    def bag(self, name: str, mask: str) -> str:
        """The rows of the table ``name``, combined to one for each function."""
        vocabulary, stored = self.config.architecture.vocabulary, table_storage(name, self.precision.bits)
        table = self.weights[f"{name}.weight"]
        return bag(self.build, "input_ids", mask, self.config.tables[name], table, vocabulary, stored, name)

    def vectors(self, mask: str, name: str) -> str:
        """The network's vector of each function, called ``name``, from tokens that are real at ``mask``."""
        config = self.config
        last = "pooled" if config.vector else name
        parts = [self.deep(mask, "of layers" if config.grams else last)] if config.layered else []
        if config.grams:
            self.build.op("Concat", *parts, self.bag("grams", mask), axis=-1, name=last)
        return self.store(last, name) if config.vector else name

    def deep(self, mask: str, name: str) -> str:
        """The layers' vector of each function, called ``name``, from tokens that they see and that ``mask`` has."""
        build, config = self.build, self.config
        tokens, seen, value = self.embed("input_ids")
        near = self.near(mask)
        attends = build.op("Unsqueeze", near, build.ints(1))
        if config.data_flow:
            joined = onnx_flow.attention_with_nodes(build, self.near("input_ids"), near)
            value = self.with_nodes(value, seen, joined.means)
            near, attends = joined.real, joined.attends
        value = self.norm(value, "embeddings.norm")
        bias = build.op("Where", attends, build.scalar(0.0), build.scalar(MASKED))
        bias = build.op("Unsqueeze", bias, build.ints(1))
        for index in range(config.architecture.layers):
            value = self.layer(index, value, bias)
        return self.pool(value, near, tokens, mask, name)

    def quantized(self, value: str, name: str) -> str:
        return value if self.ranges is None else quantize_activation(self.build, value, self.ranges[name])

    def linear(self, value: str, name: str, precision: Precision | None = None) -> str:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return linear(self.build, value, name, weight, bias, precision or self.precision)

    def norm(self, value: str, name: str) -> str:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return layer_norm(self.build, value, name, weight, bias, self.config.norm_epsilon)

    def near(self, value: str) -> str:
        """The tokens of ``value [functions, tokens, ...]`` that the layers see: all, or the first ``positions``."""
        if not self.config.reads_on:
            return value
        build = self.build
        return build.op("Slice", value, build.ints(0), build.ints(self.config.positions), build.ints(1))

    def real(self, ids: str) -> str:
        """Where tokens are not padding, ``[functions, tokens]``."""
        return self.build.op("Not", self.build.op("Equal", ids, self.build.constant(np.array(PAD_ID, np.int64))))

    def embed(self, ids: str) -> tuple[str, str, str]:
        """Vectors ``[functions, tokens, hidden]`` of all tokens, of those that layers see, and these plus positions."""
        build, wide = self.build, self.config.pooling == "wide"
        ids = ids if wide else self.near(ids)
        tokens = embedding(build, ids, "embeddings.token", self.weights["embeddings.token.weight"], self.precision)
        seen = self.near(tokens) if wide else tokens
        length = build.op("Gather", build.op("Shape", seen), build.constant(np.array(1, np.int64)))
        zero, one = build.constant(np.array(0, np.int64)), build.constant(np.array(1, np.int64))
        steps = build.op("Range", zero, length, one)
        table = self.weights["embeddings.position.weight"]
        places = embedding(build, steps, "embeddings.position", table, self.precision)
        return tokens, seen, build.op("Add", seen, places)

    def with_nodes(self, value: str, seen: str, means: str) -> str:
        """Append the nodes to ``value``: means of the tokens ``seen``, plus the vector that all nodes share."""
        build = self.build
        shared = build.constant(self.weights["embeddings.node"], "embeddings.node")
        nodes = build.op("Add", build.op("MatMul", means, seen), shared)
        return build.op("Concat", value, nodes, axis=1)

    def layer(self, index: int, value: str, bias: str) -> str:
        """One post-norm transformer block."""
        build, name = self.build, f"layers.{index}"
        context = self.attention(f"{name}.attention", self.quantized(value, f"{name}.input"), bias)
        attended = self.linear(self.quantized(context, f"{name}.context"), f"{name}.attention.output")
        attended = self.norm(build.op("Add", attended, value), f"{name}.attention_norm")
        inner = self.linear(self.quantized(attended, f"{name}.attended"), f"{name}.up")
        inner = build.op(ACTIVATIONS[self.config.activation], inner)
        output = self.linear(self.quantized(inner, f"{name}.inner"), f"{name}.down")
        return self.norm(build.op("Add", output, attended), f"{name}.output_norm")

    def attention(self, name: str, value: str, bias: str) -> str:
        """Multi-head self-attention without its output projection."""
        build, size = self.build, self.config.architecture
        split = build.ints(0, 0, size.heads, size.hidden // size.heads)

        def heads(part: str) -> str:
            projected = build.op("Reshape", self.linear(value, f"{name}.{part}"), split)
            return build.op("Transpose", projected, perm=[0, 2, 1, 3])

        query, values = heads("query"), heads("value")
        keys = build.op("Transpose", heads("key"), perm=[0, 1, 3, 2])
        query = build.op("Mul", query, build.scalar((size.hidden // size.heads) ** -0.5))
        scores = build.op("Softmax", build.op("Add", build.op("MatMul", query, keys), bias), axis=-1)
        context = build.op("Transpose", build.op("MatMul", scores, values), perm=[0, 2, 1, 3])
        return build.op("Reshape", context, build.ints(0, 0, size.hidden))

    def pool(self, value: str, near: str, tokens: str, mask: str, name: str) -> str:
        """One vector per function, called ``name``: the last layer's, real at ``near``, and ``tokens`` at ``mask``."""
        build = self.build
        if self.config.pooling == "first":
            return build.op("Gather", value, build.constant(np.array(0, np.int64)), axis=1, name=name)

        def total(of: str, where: str) -> tuple[str, str]:
            weight = build.op("Unsqueeze", build.op("Cast", where, to=TensorProto.FLOAT), build.ints(2))
            summed = build.op("ReduceSum", build.op("Mul", of, weight), build.ints(1), keepdims=0)
            return summed, build.op("ReduceSum", weight, build.ints(1), keepdims=0)

        if self.config.pooling == "mean":
            return build.op("Div", *total(value, near), name=name)
        summed, count = total(tokens, mask)
        everything = build.op("Div", summed, build.op("Sqrt", count))
        return build.op("Add", build.op("Div", *total(value, near)), everything, name=name)

    def store(self, pooled: str, name: str) -> str:
        """The vector that an index stores, called ``name``, see :class:`~lilliput.encoder.EncoderConfig`."""
        build = self.build
        exact = build.op("Tanh", self.linear(pooled, "projection"))
        levels = build.op("Round", build.op("Mul", exact, build.scalar(VECTOR_LEVELS)))
        return build.op("Mul", levels, build.scalar(VECTOR_SCALE), name=name)

    def joined(self, vectors: str, pairs: str) -> str:
        """The head's input for pairs, ``[examples, 2 * hidden]``."""
        build = self.build

        def side(column: int) -> str:
            rows = build.op("Gather", pairs, build.constant(np.array(column, np.int64)), axis=1)
            return build.op("Gather", vectors, rows, name=("left", "right")[column])

        left, right = side(0), side(1)
        if self.config.join == "concat":
            return build.op("Concat", left, right, axis=-1)
        apart = build.op("Abs", build.op("Sub", left, right))
        return build.op("Concat", apart, build.op("Mul", left, right), axis=-1)

    def head(self, features: str, name: str) -> str:
        """Dense layer, tanh, and output layer; the result is called ``name``."""
        hidden = self.build.op("Tanh", self.linear(features, "head.dense"))
        weight, bias = self.weights["head.out.weight"], self.weights["head.out.bias"]
        product = self.build.op(
            "MatMul", hidden, self.build.constant(np.ascontiguousarray(weight.T), "head.out.weight")
        )
        return self.build.op("Add", product, self.build.constant(bias, "head.out.bias"), name=name)

    def linear_model(self, sums: str, name: str) -> str:
        """Logits, called ``name``, from the sums of the linear model's rows ``[functions, width]``."""
        outputs = self.build.constant(np.ascontiguousarray(linear_outputs(self.config.classes).T), "linear.outputs")
        bias = self.build.constant(self.weights["linear.bias"], "linear.bias")
        return self.build.op("Add", self.build.op("MatMul", sums, outputs), bias, name=name)
