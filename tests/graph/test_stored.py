"""Graphs over weights in a file compute what the codes stand for, in every format, as layers and as tables."""

import os
import shutil
from xml.etree import ElementTree

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops
from safetensors.numpy import save_file

from lilliput.formats.weights import ROW, TENSOR, Scheme
from lilliput.graph import blocks
from lilliput.graph.layers import finished, graph_input
from lilliput.graph.pieces import Piece
from lilliput.graph.stored import ALIGNMENT, StoredWeight, expected_bytes, write_graphs
from lilliput.quantize.policy import Policy
from lilliput.quantize.rounding import nearest
from lilliput.quantize.stream import Places, stream
from lilliput.runtime.engine import Engine
from lilliput.teachers.tensors import SafetensorsFolder

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
ROWS, WIDTH = 48, 128
SCHEMES = {
    "fp32": Scheme("fp32"),
    "fp16": Scheme("fp16"),
    "int8, rows": Scheme("int8"),
    "int8, one scale": Scheme("int8", True, TENSOR),
    "int8, groups": Scheme("int8", True, 32),
    "int8, rows with zero points": Scheme("int8", False, ROW),
    "int8, groups with zero points": Scheme("int8", False, 64),
    "int8, one scale and zero point": Scheme("int8", False, TENSOR),
    "int4, rows": Scheme("int4", True, ROW),
    "int4, groups": Scheme("int4", True, 32),
    "int4, rows with zero points": Scheme("int4", False, ROW),
    "int4, groups with zero points": Scheme("int4", False, 64),
    "nf4, groups": Scheme("nf4", True, 64),
    "nf4, rows": Scheme("nf4", True, ROW),
    "int3, groups": Scheme("int3", True, 64),
    "int3, groups with zero points": Scheme("int3", False, 64),
    "int2, groups": Scheme("int2", True, 32),
    "int2, groups with zero points": Scheme("int2", False, 32),
    "int2, one scale": Scheme("int2", True, TENSOR),
    "int2, rows with zero points": Scheme("int2", False, ROW),
}
STEPS = np.linspace(-1, 1, WIDTH, dtype=np.float32)
"""A constant that is not a weight."""

HALF = 2.0**-11
"""The graph's product of code and scale is in float16: off by up to this share, or by 2^-25 if it is small."""


def matrix():
    """Rows of many magnitudes: zeros, and weights so small that float16 holds their scale with little precision."""
    weight = np.random.default_rng(1).normal(0, 0.1, (ROWS, WIDTH)).astype(np.float32)
    weight[5] = 0
    weight[6] *= 1e-4
    weight[7] *= 100
    weight[8] = np.abs(weight[8])
    weight[9] = -np.abs(weight[9])
    return weight


def meant(weight, scheme):
    """The values that the stored weight stands for."""
    if scheme.kind.floating:
        return weight.astype(f"f{scheme.kind.bits // 8}").astype(np.float32)
    return nearest(weight, scheme.fitted(weight.shape[1])).values()


def streamed(weight, scheme, folder):
    """The weights file and its entries."""
    folder.mkdir()
    save_file({"up.weight": weight}, folder / "model.safetensors")
    places = Places(folder / "model.bin", folder / "journal.jsonl")
    pieces = {"up.weight": Piece("up.weight")}
    return places.weights, stream(pieces, SafetensorsFolder(folder), Policy(scheme, scheme, scheme), places)


def linear_graph(weights):
    value = graph_input("value", [-1, -1, -1], ov.Type.f32)
    product = ops.matmul(ops.multiply(value, ops.constant(STEPS)), weights["up.weight"](), False, True)
    split = ops.reshape(product, ops.constant([0, 0, 4, -1]), True)
    return finished("linear", split, "product", [value], [])


def table_graph(weights):
    ids = graph_input("ids", [-1, -1])
    return finished("table", blocks.embedding(ids, weights["up.weight"]()), "vectors", [ids], [])


def tied_graph(weights):
    """The same weight as a table and as an output layer."""
    ids = graph_input("ids", [-1, -1])
    value = blocks.embedding(ids, weights["up.weight"]())
    return finished("tied", ops.matmul(value, weights["up.weight"](), False, True), "logits", [ids], [])


def written(build, weights, entries):
    """An engine for the graph, read back from its files."""
    (path,) = write_graphs(lambda values: {"graph": build(values)}, entries, weights.parent, weights)
    return Engine(ov.Core().read_model(str(path), str(weights)), 1, EXACT)


@pytest.fixture(params=SCHEMES)
def case(request, tmp_path):
    scheme = SCHEMES[request.param]
    weights, entries = streamed(matrix(), scheme, tmp_path / "work")
    return weights, entries, meant(matrix(), scheme)


def test_linear_layer_matches_the_codes(case):
    """Test single tokens, as in generation, and many, as in a prompt: the engine has separate kernels for them."""
    weights, entries, expected = case
    engine = written(linear_graph, weights, entries)
    for tokens in (1, 9):
        value = np.random.default_rng(2).normal(size=(2, tokens, WIDTH)).astype(np.float32)
        (found,) = engine(value)
        scaled = (value * STEPS).astype(np.float64)
        allowed = np.abs(scaled) @ (HALF * np.abs(expected) + 2**-25).T + 1e-5
        assert found.shape == (2, tokens, 4, ROWS // 4)
        assert (np.abs(found.reshape(2, tokens, ROWS) - scaled @ expected.T) <= allowed).all()


def test_table_of_vectors_matches_the_codes(case):
    weights, entries, expected = case
    ids = np.array([[0, 5, 6, 7, 8], [9, 47, 46, 6, 0]])
    (found,) = written(table_graph, weights, entries)(ids)
    assert (np.abs(found - expected[ids]) <= HALF * np.abs(expected[ids]) + 2**-25).all()


def test_table_that_is_also_the_output_layer(case):
    weights, entries, expected = case
    ids = np.array([[0, 7, 46]])
    (found,) = written(tied_graph, weights, entries)(ids)
    allowed = 3 * HALF * np.abs(expected[ids]) @ np.abs(expected).T + 1e-4
    assert (np.abs(found - expected[ids] @ expected.T) <= allowed).all()
    assert weights.stat().st_size < 2 * expected_bytes(expected.shape, entries[0].scheme)


def test_weight_is_stored_once(case):
    """The file grows by the graph's own constants only; no placeholder is written."""
    weights, entries, _ = case
    before = weights.read_bytes()
    written(linear_graph, weights, entries)
    after = weights.read_bytes()
    assert after.startswith(before)
    own = 4 * WIDTH + 8 * 4 + 8 * 2  # the steps, and the shapes to which the result and the weight are reshaped
    assert len(after) - len(before) <= own + 3 * ALIGNMENT


def test_writing_graphs_twice_gives_the_same_bytes(case):
    weights, entries, _ = case
    other = shutil.copytree(weights.parent, weights.parent.with_name("other")) / weights.name
    build = {"one": linear_graph, "two": tied_graph}
    for place in (weights, other):
        write_graphs(lambda values: {name: make(values) for name, make in build.items()}, entries, place.parent, place)
    for name in ("one.xml", "two.xml", "model.bin"):
        assert (weights.parent / name).read_bytes() == (other.parent / name).read_bytes(), name


def test_other_constants_survive_writing(tmp_path):
    """Test several types, two graphs in one file, and weights that a graph does not use."""
    weights, entries = streamed(matrix(), Scheme("int4", False, 32), tmp_path / "work")
    numbers = np.arange(7, dtype=np.int64) ** 20
    bits = np.array([True, False, True])

    def build(_):
        value = graph_input("value", [-1], ov.Type.f32)
        counted = ops.convert(ops.concat([ops.constant(numbers), ops.convert(ops.constant(bits), "i64")], 0), "f32")
        halves = ops.convert(ops.constant(np.float16([0.1, 1e-7])), "f32")
        whole = ops.concat([value, counted, halves, ops.constant(np.float32([np.inf, -0.0]))], 0)
        return finished("constants", whole, "whole", [value], [])

    found = [written(build, weights, entries)(np.float32([0.5]))[0] for _ in range(2)]
    expected = np.concatenate(([0.5], numbers, bits, np.float16([0.1, 1e-7]), [np.inf, -0.0])).astype(np.float32)
    for values in found:
        np.testing.assert_array_equal(values, expected)


def test_every_constant_is_aligned_and_inside_the_file(case):
    weights, entries, _ = case
    (path,) = write_graphs(lambda values: {"graph": tied_graph(values)}, entries, weights.parent, weights)
    layers = ElementTree.parse(path).findall("./layers/layer")
    places = [layer.find("data").attrib for layer in layers if layer.get("type") == "Const"]
    assert places
    for place in places:
        assert int(place["offset"]) % ALIGNMENT == 0
        assert int(place["offset"]) + int(place["size"]) <= weights.stat().st_size


def test_entries_survive_a_json_round_trip(case):
    (entry,) = case[1]
    assert StoredWeight.from_dict(entry.as_dict()) == entry
    assert entry.size <= expected_bytes(entry.shape, entry.scheme) <= entry.size + 6 * ALIGNMENT + ROWS * WIDTH // 16


def test_writing_a_graph_reads_no_weights(tmp_path):
    """The weights file is sparse and takes no room on the disk: only its size is needed."""
    rows = 1_000_000
    entry = StoredWeight("up.weight", (rows, WIDTH), Scheme(), {"codes": (0, rows * WIDTH), "scales": (0, 2 * rows)})
    weights = tmp_path / "model.bin"
    weights.touch()
    os.truncate(weights, rows * WIDTH)
    write_graphs(lambda values: {"graph": table_graph(values)}, [entry], tmp_path, weights)
    assert weights.stat().st_blocks * 512 < rows


@pytest.mark.parametrize("width", [80, 96, 112, 160, 224, 240])
@pytest.mark.parametrize("name", ["int4", "nf4"])
def test_few_tokens_times_groups_of_any_width(name, width, tmp_path):
    """For one to three tokens, the engine multiplies groups above 32 correctly only if they are multiples of 32."""
    random = np.random.default_rng(width)
    weight = random.normal(0, 0.1, (ROWS, width)).astype(np.float32)
    scheme = Scheme(name, True, 128)

    def build(weights):
        value = graph_input("value", [-1, -1, width], ov.Type.f32)
        return finished("linear", ops.matmul(value, weights["up.weight"](), False, True), "product", [value], [])

    engine = written(build, *streamed(weight, scheme, tmp_path / "work"))
    expected = meant(weight, scheme)
    for tokens in (1, 2, 3, 4, 20):
        value = random.normal(size=(1, tokens, width)).astype(np.float32)
        np.testing.assert_allclose(engine(value)[0], value @ expected.T, rtol=0, atol=2e-3)
