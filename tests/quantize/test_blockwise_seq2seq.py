"""GPTQ and AWQ of encoder-decoders: they read what transformers' layers read, and rounding improves the outputs."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from openvino import opset13 as ops
from seq2seq_inputs import DATA, Seq2Seq

from lilliput.graph.architectures import graphs
from lilliput.quantize import passes
from lilliput.quantize.blockwise import Blockwise
from lilliput.quantize.policy import policy
from lilliput.quantize.stored_values import stored_values
from lilliput.quantize.stream import Places, stream
from lilliput.runtime.engine import Engine
from tests.graph.test_decoders import EXACT

MODELS = ("t5, few buckets, narrow heads, three layers before two", "t5, gated, untied", "bart, scaled, relu")
PAIR = ("t5", "plbart, untied")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made(name)``: the model of that name."""
    known = {}

    def make(name):
        if name not in known:
            known[name] = Seq2Seq(name, tmp_path_factory.mktemp("model") / "model")
        return known[name]

    return make


def logits(model, weights):
    """Logits of all real target tokens, from our graphs in float32."""
    values = {name: partial(ops.constant, value) for name, value in weights.items()}
    built = {name: Engine(graph, 1, EXACT) for name, graph in graphs(model.original.config, values).items()}
    source, target = DATA
    mask, ids = source.mask.astype(np.int64), target.ids
    (cross,) = built["encoder"](source.ids, mask)
    rows, places = np.arange(len(ids), dtype=np.int32), np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    return built["model"](ids, np.ones_like(ids), places, rows, cross, mask)[0][target.mask]


def rounded(model, chosen, folder):
    """Entries and places of all stored weights."""
    folder.mkdir(exist_ok=True)
    places = Places(folder / "weights.bin", folder / "journal.jsonl")
    method = None if chosen.linear.rounding == "nearest" else Blockwise(model.original, chosen, DATA)
    return stream(model.original.pieces, model.original.tensors, chosen, places, rounding=method), places


def values_of(entries, places):
    return {entry.name: stored_values(entry, places.weights) for entry in entries}


@pytest.mark.parametrize(
    ("name", "engine", "tolerance"),
    [*((name, EXACT, 1e-4) for name in MODELS), (MODELS[1], passes.ENGINE, 0.03)],  # bfloat16 where available
)
def test_second_moments_match_the_inputs_of_transformers_layers(name, engine, tolerance, made, monkeypatch):
    """Check every linear layer and the output layer, over tokens that are not padding, with unchanged weights."""
    monkeypatch.setattr(passes, "ENGINE", engine)
    model, found = made(name), {}
    method = Blockwise(model.original, policy("int4", rounding="gptq", head="int4"), DATA)
    for key in sorted(model.floats, key=lambda key: key == model.head):
        method.change(key, model.floats[key])
        layer = "head" if key == model.head else key.removesuffix(".weight")
        if layer in method.inputs:
            found[layer] = method.inputs[layer].gram
    expected = {layer: values.T @ values for layer, values in model.reads().items()}
    assert found.keys() == expected.keys()
    for layer, gram in expected.items():
        assert np.linalg.norm(found[layer] - gram) <= tolerance * np.linalg.norm(gram), layer


INT4 = policy("int4", group=32)


@pytest.fixture(scope="module")
def nearest(made, tmp_path_factory):
    """Name -> stored values of all weights after rounding to the nearest codes."""
    return {name: values_of(*rounded(made(name), INT4, tmp_path_factory.mktemp("nearest"))) for name in PAIR}


@pytest.mark.parametrize("name", PAIR)
def test_outputs_of_every_layer_are_closer_than_with_nearest_rounding(name, made, nearest, tmp_path):
    """Measured on calibration data; the whole model's outputs are closer, too."""
    model = made(name)
    values = values_of(*rounded(model, policy("int4", rounding="gptq", group=32), tmp_path))
    reads = {layer: read for layer, read in model.reads().items() if layer != "head"}
    for layer, read in reads.items():
        weight = model.floats[f"{layer}.weight"]
        errors = [np.linalg.norm(read @ (found[f"{layer}.weight"] - weight).T) for found in (values, nearest[name])]
        assert errors[0] < 0.9 * errors[1], layer
    expected = logits(model, model.floats)
    error, other = (np.linalg.norm(logits(model, found) - expected) for found in (values, nearest[name]))
    assert error < 0.8 * other
    assert error < 0.3 * np.linalg.norm(expected)


@pytest.mark.parametrize(("name", "rounding"), [("t5", "awq-gptq"), ("plbart, untied", "awq")])
def test_model_outputs_are_closer_with_rescaled_columns(name, rounding, made, nearest, tmp_path):
    model = made(name)
    values = values_of(*rounded(model, policy("int4", rounding=rounding, group=32), tmp_path))
    expected = logits(model, model.floats)
    error, other = (np.linalg.norm(logits(model, found) - expected) for found in (values, nearest[name]))
    assert error < (0.8 if rounding == "awq-gptq" else 0.95) * other


def test_low_bit_output_layer_is_rounded_by_its_inputs(made, tmp_path):
    """T5's output layer is also its embedding, and reads scaled values."""
    model, errors = made("t5"), {}
    expected = logits(model, model.floats)
    calibrated = policy("int8", rounding="gptq", group=16, head="int2")
    for chosen in (calibrated, replace(calibrated, head=replace(calibrated.head, rounding="nearest"))):
        values = values_of(*rounded(model, chosen, tmp_path / chosen.head.rounding))
        # The embedding lookup keeps its unrounded weights here.
        values |= {"head.weight": values["embedding.weight"], "embedding.weight": model.floats["embedding.weight"]}
        errors[chosen.head.rounding] = np.linalg.norm(logits(model, values) - expected)
    assert errors["gptq"] < 0.8 * errors["nearest"]


def test_resumes_to_the_same_bytes_after_kill(made, tmp_path):
    """The run is cut in the middle of the decoder's first block."""
    model, chosen = made("t5"), policy("int4", rounding="awq-gptq", group=32)
    whole = list(model.original.pieces).index("decoder.layers.0.cross_query.weight")
    entries, places = rounded(model, chosen, tmp_path)
    expected = places.weights.read_bytes()
    lines = places.journal.read_text().splitlines(keepends=True)
    places.journal.write_text("".join(lines[:whole]))
    assert rounded(model, chosen, tmp_path)[0] == entries
    assert places.weights.read_bytes() == expected


@pytest.mark.parametrize("name", MODELS)
def test_awq_changes_weights_but_not_the_function(name, made):
    model = made(name)
    method = Blockwise(model.original, policy("int3", rounding="awq", group=16), DATA)
    after = {key: method.change(key, value) for key, value in model.floats.items()}
    changed = {key.rpartition("layers.")[2][2:] for key, value in after.items() if (value != model.floats[key]).any()}
    assert {"cross_value.weight", "cross_output.weight", "value.weight", "output.weight"} <= changed
    assert ("attention_norm.weight" in changed) is not model.original.config.post_norm
    assert not {"cross_key.weight"} & changed
    np.testing.assert_allclose(logits(model, after), logits(model, model.floats), rtol=0, atol=5e-4)
