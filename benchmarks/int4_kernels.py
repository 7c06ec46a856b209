"""Compare kernels for 4-bit weights: the linear layers of a decoder in OpenVINO, ONNX Runtime, and with our kernels.

Run: python benchmarks/int4_kernels.py [--layers 24] [--hidden 896] [--inner 4864] [--keys 128] [--output FILE]

All run one stack of layers (query, key, value, output, gate, up, down; by default those of Qwen2.5-Coder-0.5B), with
random weights and no attention, for one token (decoding) and for 256 (prefill). All are loaded and run in turn, round
after round, on two threads. OpenVINO quantizes inputs in groups as large as the weights'; so do our kernels, which run
in its graph, and ONNX Runtime's MatMulNBits with accuracy level 4.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import openvino as ov
from onnx import TensorProto, helper, numpy_helper
from openvino import opset13 as ops
from six_billion import bandwidth

from lilliput.evaluate.resources import machine
from lilliput.files import write_json
from lilliput.kernels.build import kernels
from lilliput.kernels.products import use_kernels
from lilliput.progress import for_stream

THREADS, TOKENS, BLOCK = 2, 256, 8
"""Threads; tokens of a prompt; single tokens timed per turn."""

Run = Callable[[np.ndarray], object]


@dataclass(frozen=True)
class Shape:
    layers: int
    hidden: int
    inner: int
    keys: int

    @property
    def weights(self) -> int:
        return self.layers * self.hidden * (2 * self.hidden + 2 * self.keys + 3 * self.inner)


class OpenVino:
    """OpenVINO; ``kind``: u4 (with zero points), i4 or i8 (a scale a row); ``ours``: with lilliput's kernels."""

    def __init__(self, shape: Shape, kind: str, group: int, ours: bool = False) -> None:
        self.rng, self.kind, self.group = np.random.default_rng(0), kind, group
        self.memory: list[np.ndarray] = []  # keeps constants' memory alive
        value = entry = ops.parameter([1, -1, shape.hidden], ov.Type.f32)
        for _ in range(shape.layers):
            query, key, values = (self.linear(value, n, shape.hidden) for n in (shape.hidden, shape.keys, shape.keys))
            extra = ops.reduce_sum(ops.add(key, values), ops.constant([-1]), True)
            value = ops.add(value, self.linear(ops.add(query, extra), shape.hidden, shape.hidden))
            gate, up = (self.linear(value, shape.inner, shape.hidden) for _ in range(2))
            value = ops.add(value, self.linear(ops.multiply(ops.swish(gate), up), shape.hidden, shape.inner))
        properties = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": group or 128,
            "INFERENCE_NUM_THREADS": THREADS,
            "ENABLE_CPU_PINNING": False,
        }
        model = ov.Model([ops.result(value)], [entry], "layers")
        if ours:
            library = kernels().library
            if library is None:
                raise SystemExit(f"There are no kernels here: {kernels().about}.")
            use_kernels(model, library, group or 128, THREADS)
        self.request = ov.Core().compile_model(model, "CPU", properties).create_infer_request()

    def __call__(self, inputs: np.ndarray) -> None:
        self.request.infer([inputs])

    def linear(self, value: Any, rows: int, width: int) -> Any:
        kind = getattr(ov.Type, self.kind)
        bits = int(self.kind[1:])
        shape = [rows, width // self.group, self.group] if self.group else [rows, width]
        codes = self.constant(self.rng.integers(0, 255, rows * width * bits // 8, dtype=np.uint8), shape, kind)
        weight = ops.convert(codes, "f16")
        shape = [*shape[:-1], 1]
        if self.kind.startswith("u"):
            zeros = np.full(int(np.prod(shape)) * bits // 8 + 1, 0x88, np.uint8)
            weight = ops.subtract(weight, ops.convert(self.constant(zeros, shape, kind), "f16"))
        weight = ops.multiply(weight, ops.constant(np.full(shape, 1e-4, np.float16)))
        if self.group:
            weight = ops.reshape(weight, ops.constant([rows, width]), False)
        return ops.matmul(value, ops.convert(weight, "f32"), False, True)

    def constant(self, raw: np.ndarray, shape: list[int], kind: ov.Type) -> Any:
        self.memory.append(raw)
        return ops.constant(ov.Tensor(raw, ov.Shape(shape), kind), shared_memory=True)


class OnnxRuntime:
    """ONNX Runtime's MatMulNBits; ``fused``: query, key and value as one product, and gate and up."""

    def __init__(self, shape: Shape, bits: int, group: int, zeros: bool, fused: bool) -> None:
        self.rng, self.bits, self.group, self.zeros = np.random.default_rng(0), bits, group, zeros
        self.nodes: list[Any] = []
        self.constants = [numpy_helper.from_array(np.array([-1]), "last")]
        value = "input"
        for _ in range(shape.layers):
            query, key, values = self.several(value, (shape.hidden, shape.keys, shape.keys), shape.hidden, fused)
            extra = self.node("ReduceSum", [self.node("Add", [key, values]), "last"], keepdims=1)
            mixed = self.linear(self.node("Add", [query, extra]), shape.hidden, shape.hidden)
            value = self.node("Add", [value, mixed])
            gate, up = self.several(value, (shape.inner, shape.inner), shape.hidden, fused)
            active = self.node("Mul", [self.node("Mul", [gate, self.node("Sigmoid", [gate])]), up])
            value = self.node("Add", [value, self.linear(active, shape.hidden, shape.inner)])
        self.nodes.append(helper.make_node("Identity", [value], ["output"]))
        ports = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, None, shape.hidden])
            for name in ("input", "output")
        ]
        graph = helper.make_graph(self.nodes, "layers", ports[:1], ports[1:], self.constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning would slow the others
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, inputs: np.ndarray) -> None:
        self.session.run(None, {"input": inputs})

    def node(self, kind: str, inputs: list[str], **attributes: Any) -> str:
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def several(self, value: str, rows: tuple[int, ...], width: int, fused: bool) -> list[str]:
        if not fused:
            return [self.linear(value, count, width) for count in rows]
        whole = self.linear(value, sum(rows), width)
        names = [f"{whole}.{place}" for place in range(len(rows))]
        self.constants.append(numpy_helper.from_array(np.array(rows), f"{whole}.sizes"))
        self.nodes.append(helper.make_node("Split", [whole, f"{whole}.sizes"], names, axis=-1))
        return names

    def linear(self, value: str, rows: int, width: int) -> str:
        name = f"weight{len(self.nodes)}"
        groups = width // self.group
        parts = {
            "codes": self.rng.integers(0, 255, (rows, groups, self.group * self.bits // 8), dtype=np.uint8),
            "scales": np.full(rows * groups, 1e-4, np.float32),
        }
        if self.zeros:
            parts["zeros"] = np.full(rows * -(-groups * self.bits // 8), 0x88, np.uint8)
        self.constants += [numpy_helper.from_array(part, f"{name}.{key}") for key, part in parts.items()]
        inputs = [value, *(f"{name}.{key}" for key in parts)]
        sizes = {"K": width, "N": rows, "bits": self.bits, "block_size": self.group}
        return self.node("MatMulNBits", inputs, domain="com.microsoft", accuracy_level=4, **sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--hidden", type=int, default=896)
    parser.add_argument("--inner", type=int, default=4864)
    parser.add_argument("--keys", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "int4_kernels.json")
    options = parser.parse_args()
    shape = Shape(options.layers, options.hidden, options.inner, options.keys)
    makers: dict[str, Callable[[], Run]] = {
        "OpenVINO int8, a scale a row": lambda: OpenVino(shape, "i8", 0),
        "OpenVINO u4, groups of 128": lambda: OpenVino(shape, "u4", 128),
        "OpenVINO u4, groups of 64": lambda: OpenVino(shape, "u4", 64),
        "OpenVINO i4, groups of 128": lambda: OpenVino(shape, "i4", 128),
        "lilliput int8, a scale a row": lambda: OpenVino(shape, "i8", 0, True),
        "lilliput u4, groups of 128": lambda: OpenVino(shape, "u4", 128, True),
        "lilliput u4, groups of 32": lambda: OpenVino(shape, "u4", 32, True),
        "lilliput i4, groups of 128": lambda: OpenVino(shape, "i4", 128, True),
        "ONNX Runtime 4 bits, groups of 128": lambda: OnnxRuntime(shape, 4, 128, False, False),
        "ONNX Runtime 4 bits, groups of 128, fused": lambda: OnnxRuntime(shape, 4, 128, False, True),
        "ONNX Runtime 4 bits, groups of 32, fused": lambda: OnnxRuntime(shape, 4, 32, False, True),
        "ONNX Runtime 4 bits, groups of 128, zero points, fused": lambda: OnnxRuntime(shape, 4, 128, True, True),
        "ONNX Runtime 8 bits, groups of 128, fused": lambda: OnnxRuntime(shape, 8, 128, False, True),
    }
    runs = {name: make() for name, make in makers.items()}
    rng = np.random.default_rng(0)
    one, many = (rng.standard_normal((1, tokens, shape.hidden)).astype(np.float32) for tokens in (1, TOKENS))
    for run in runs.values():
        run(many)
        run(one)
    singles: dict[str, list[float]] = {name: [] for name in runs}
    prompts: dict[str, list[float]] = {name: [] for name in runs}
    rates = []
    with for_stream().track("rounds", options.rounds) as advance:
        for _ in range(options.rounds):
            rates.append(bandwidth())
            for name, run in runs.items():
                prompts[name].append(seconds(run, many))
                run(one)
                singles[name].append(float(np.median([seconds(run, one) for _ in range(BLOCK)])))
            advance()
    rows = []
    first = next(iter(runs))
    print(f"\n{'':56} {'one token':>10} {'ps a weight':>12} {TOKENS:>6} tokens")
    for name in runs:
        single, prompt = float(np.median(singles[name])), float(np.median(prompts[name]))
        rows.append(
            {
                "name": name,
                "one_token_ms": 1e3 * single,
                "picoseconds_a_weight": 1e12 * single / shape.weights,
                "prompt_ms": 1e3 * prompt,
                f"one token, times faster than {first}": float(np.median(singles[first])) / single,
            }
        )
        print(f"{name:56} {1e3 * single:7.2f} ms {1e12 * single / shape.weights:12.1f} {1e3 * prompt:9.1f} ms")
    command = shlex.join(["python", "benchmarks/int4_kernels.py", *sys.argv[1:]])
    facts = {"command": command, "machine": machine(), "shape": asdict(shape), "weights": shape.weights}
    write_json(
        options.output, {**facts, "rounds": options.rounds, "read_bandwidth": float(np.median(rates)), "rows": rows}
    )


def seconds(run: Run, inputs: np.ndarray) -> float:
    start = time.perf_counter()
    run(inputs)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
