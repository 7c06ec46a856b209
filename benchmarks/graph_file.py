"""Measure what it costs to store an artifact's graph as ONNX with quantize/dequantize nodes.

Run: python benchmarks/graph_file.py [--nncf PYTHON] [--rounds 60]

Runs the same random students in OpenVINO (400 tokens, one thread) from our ONNX file, from the same graph saved as
OpenVINO IR, and, with --nncf (any Python interpreter that has the package nncf), as quantized by NNCF from the fp32
graph, which includes the products of attention. Timed in turn, so that a slow phase affects all alike.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from lilliput.encoder import EncoderConfig
from lilliput.evaluate.resources import machine
from lilliput.files import write_json
from lilliput.formats.precision import PRECISIONS, ActivationRange
from lilliput.graph.onnx_encoder import activation_names, encoder_graph
from lilliput.runtime.engine import Engine, only_outputs, read_graph
from lilliput.search import Architecture

ARCHITECTURES = (
    Architecture(layers=1, hidden=384, heads=3, intermediate=1088, vocabulary=1000),
    Architecture(layers=2, hidden=256, heads=2, intermediate=448, vocabulary=4000),
    Architecture(layers=5, hidden=128, heads=1, intermediate=512, vocabulary=1000),
    Architecture(layers=12, hidden=96, heads=3, intermediate=64, vocabulary=1000),
)

TOKENS = 400

NNCF = """
import sys
import nncf, numpy, openvino
source, target, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3])
random = numpy.random.default_rng(0)
examples = nncf.Dataset([{"input_ids": random.integers(4, 1000, (1, tokens))} for _ in range(16)])
model = nncf.quantize(openvino.Core().read_model(source), examples, model_type=nncf.ModelType.TRANSFORMER)
openvino.save_model(model, target, compress_to_fp16=False)
"""
"""Code run by the --nncf interpreter."""


def engines(architecture: Architecture, folder: Path, nncf: str | None) -> dict[str, Engine]:
    """Compile one student in each form."""
    config, random = EncoderConfig(architecture), np.random.default_rng(0)
    weights = {name: random.normal(0, 0.05, shape).astype(np.float32) for name, shape in config.shapes().items()}
    ranges = {name: ActivationRange(-4.0, 4.0) for name in activation_names(config)}
    files = {"ours, ONNX": folder / "ours.onnx", "ours, IR": folder / "ours.xml"}
    files["ours, ONNX"].write_bytes(encoder_graph(config, weights, PRECISIONS["int8"], ranges).SerializeToString())
    ov.save_model(read_graph(files["ours, ONNX"]), files["ours, IR"], compress_to_fp16=False)
    if nncf is not None:
        files["NNCF, IR"] = folder / "nncf.xml"
        floating = folder / "floating.onnx"
        floating.write_bytes(encoder_graph(config, weights, PRECISIONS["fp32"]).SerializeToString())
        command = [nncf, "-c", NNCF, str(floating), str(files["NNCF, IR"]), str(TOKENS)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {name: Engine(only_outputs(read_graph(path), ["vectors"]), threads=1) for name, path in files.items()}


def milliseconds(runs: dict[str, Engine], rounds: int) -> dict[str, float]:
    """Median time of each: one pass in turn, after an untimed one."""
    ids = np.random.default_rng(0).integers(4, 1000, (1, TOKENS))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, engine in runs.items():
            engine(ids)
            start = time.perf_counter()
            engine(ids)
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nncf", help="a Python interpreter that has nncf")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "graph_file.json")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for architecture in ARCHITECTURES:
        with tempfile.TemporaryDirectory() as folder:
            runs = engines(architecture, Path(folder), options.nncf)
            found = milliseconds(runs, options.rounds)
        executed = {name: sorted(set(engine.executed_precisions().values())) for name, engine in runs.items()}
        rows.append({"architecture": architecture.as_dict(), "p50_ms": found, "executed": executed})
        ours = found["ours, ONNX"]
        others = ", ".join(
            f"{name} {value:.2f} ms ({ours / value - 1:+.0%} for ONNX)"
            for name, value in found.items()
            if value != ours
        )
        print(f"{architecture}: ONNX {ours:.2f} ms, {others}")
    write_json(
        options.output,
        {
            "command": shlex.join(["python", "benchmarks/graph_file.py", *sys.argv[1:]]),
            "machine": machine(),
            "tokens": TOKENS,
            "rounds": options.rounds,
            "rows": rows,
        },
    )
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
