"""GPTQ and AWQ, block by block, on a whole decoder."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from openvino import opset13 as ops

from lilliput.errors import CheckpointError
from lilliput.graph.architectures import graphs, read_piece, stages
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.stages import HEAD
from lilliput.quantize import blockwise, passes
from lilliput.quantize.blockwise import Blockwise, Original
from lilliput.quantize.calibration import Tokens
from lilliput.quantize.passes import Flow, StageRun
from lilliput.quantize.policy import policy
from lilliput.quantize.stored_values import stored_values
from lilliput.quantize.stream import Places, stream
from lilliput.runtime.engine import Engine
from lilliput.teachers.generator import open_generator
from tests.graph.test_decoders import EXACT
from tests.graph.test_decoders import VARIANTS as DECODERS
from tests.verbs.tiny_checkpoints import LLAMA, PLAIN, VARIANTS, checkpoint

IDS = np.random.default_rng(0).integers(3, 300, (6, 24))
DATA = (Tokens.of(IDS),)
EVERY_WEIGHT = {"query", "key", "value", "output", "up", "down"}


def opened(folder, kind, options):
    checkpoint(folder, kind, options)
    return open_generator(folder)


def original(model):
    return Original(model.config, model.pieces, model.tensors)


def floats(model):
    return {name: read_piece(piece, model.tensors) for name, piece in model.pieces.items()}


def logits(model, weights, ids=IDS):
    graph = graphs(model.config, {name: partial(ops.constant, value) for name, value in weights.items()})["model"]
    engine = Engine(graph, 1, EXACT)
    positions = np.broadcast_to(np.arange(ids.shape[1]), ids.shape)
    return engine(ids, np.ones_like(ids), positions, np.arange(len(ids), dtype=np.int32))[0]


def rounded(model, rounding, folder, chosen=None):
    """Entries and places of all stored weights."""
    chosen = chosen or policy("int3", rounding=rounding, group=16)
    places = Places(folder / "weights.bin", folder / "journal.jsonl")
    method = None if rounding == "nearest" else Blockwise(original(model), chosen, DATA)
    entries = stream(model.pieces, model.tensors, chosen, places, rounding=method)
    return entries, places


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return opened(tmp_path_factory.mktemp("llama"), *LLAMA)


@pytest.mark.parametrize("name", DECODERS)
def test_stages_in_sequence_equal_the_decoder(name, tmp_path, monkeypatch):
    monkeypatch.setattr(passes, "ENGINE", EXACT)
    model = opened(tmp_path / "model", *VARIANTS[name])
    values, flow, layers = floats(model), Flow(DATA, model.config.hidden), []
    for stage in stages(model.config):
        run = StageRun(stage, {key: values[key] for key in original(model).names(stage)})
        layers += [layer.rpartition(".")[2] for read in run.readers.values() for layer in read]
        run.advance(flow)
    assert layers[-1] == HEAD
    assert set(layers) >= EVERY_WEIGHT
    head = values.get("head.weight", values["embedding.weight"])
    found = flow.vectors @ head.T + values.get("head.bias", 0)
    np.testing.assert_allclose(found, logits(model, values), rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", PLAIN)
def test_matrices_come_in_the_order_of_the_forward_pass(name, tmp_path):
    """A matrix of a block already passed would be rounded without its inputs."""
    model = opened(tmp_path / "model", *PLAIN[name])
    cut = stages(model.config)
    places = [
        place
        for key, value in floats(model).items()
        for place, stage in enumerate(cut)
        if value.ndim == 2 and stage.has(key)
    ]
    assert places == sorted(places)
    assert len(set(places)) == sum(bool(stage.own) for stage in cut)


def test_block_output_includes_norms_stored_after_its_matrices(tmp_path, monkeypatch):
    """Qwen3's query and key norms come after the block's matrices in the table."""
    monkeypatch.setattr(passes, "ENGINE", EXACT)
    model = opened(tmp_path / "model", *PLAIN["qwen3"])
    method, values = Blockwise(original(model), policy("int4", rounding="gptq", group=16), DATA), floats(model)
    for key in [key for key in values if key.startswith("layers.0.") and "_norm" not in key] + [
        "layers.1.query.weight"
    ]:
        method.change(key, values[key])
    (block,) = [stage for stage in stages(model.config) if stage.own == "layers.0."]
    flow = Flow(DATA, model.config.hidden)
    for stage in stages(model.config)[:2]:
        StageRun(stage, {key: values[key] for key in original(model).names(stage)}).advance(flow)
    assert "layers.0.query_norm.weight" in original(model).names(block)
    np.testing.assert_allclose(method.flow.vectors, flow.vectors, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_awq_changes_weights_but_not_the_function(name, tmp_path):
    model = opened(tmp_path / "model", *VARIANTS[name])
    assert isinstance(model.config, DecoderConfig)
    method = Blockwise(original(model), policy("int3", rounding="awq", group=16), DATA)
    before = floats(model)
    after = {key: method.change(key, value) for key, value in before.items()}
    assert any(not np.array_equal(before[key], after[key]) for key in before)
    np.testing.assert_allclose(logits(model, after), logits(model, before), rtol=0, atol=5e-4)


@pytest.mark.parametrize("rounding", ["gptq", "awq-gptq"])
def test_outputs_are_closer_than_with_nearest_rounding(rounding, llama, tmp_path):
    expected, errors = logits(llama, floats(llama)), {}
    for method in ("nearest", rounding):
        folder = tmp_path / method
        folder.mkdir()
        entries, places = rounded(llama, method, folder)
        found = logits(llama, {entry.name: stored_values(entry, places.weights) for entry in entries})
        errors[method] = np.linalg.norm(found - expected)
    assert errors[rounding] < 0.8 * errors["nearest"]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("rounding", ["gptq", "awq-gptq"])
def test_low_bit_output_layer_is_rounded_by_its_inputs(rounding, tied, tmp_path, monkeypatch):
    monkeypatch.setattr(blockwise, "HEAD_ROWS", 128)  # several blocks
    kind, options = LLAMA
    model = opened(tmp_path / "model", kind, {**options, "tie_word_embeddings": tied})
    values, errors = floats(model), {}
    name = "embedding.weight" if tied else "head.weight"
    assert ("head.weight" in values) is not tied
    calibrated = policy("int8", rounding=rounding, group=16, head="int2")
    assert calibrated.head.rounding == "gptq"
    for chosen in (calibrated, replace(calibrated, head=replace(calibrated.head, rounding="nearest"))):
        folder = tmp_path / chosen.head.rounding
        folder.mkdir()
        entries, places = rounded(model, rounding, folder, chosen)
        assert [entry.name for entry in entries] == list(model.pieces)
        stored = {entry.name: stored_values(entry, places.weights) for entry in entries}
        stored |= {} if not tied else {"head.weight": stored["embedding.weight"], "embedding.weight": values[name]}
        errors[chosen.head.rounding] = np.linalg.norm(logits(model, stored) - logits(model, values))
    assert errors["gptq"] < 0.8 * errors["nearest"]


@pytest.mark.parametrize("rounding", ["gptq", "awq", "awq-gptq"])
@pytest.mark.parametrize("whole", [3, 12])
def test_resumes_to_the_same_bytes_after_kill(rounding, whole, llama, tmp_path):
    entries, places = rounded(llama, rounding, tmp_path)
    expected = places.weights.read_bytes()
    lines = places.journal.read_text().splitlines(keepends=True)
    places.journal.write_text("".join(lines[:whole]))
    again, _ = rounded(llama, rounding, tmp_path)
    assert places.weights.read_bytes() == expected
    assert again == entries


def test_overflowing_inputs_are_reported_with_the_weight_name(llama):
    method = Blockwise(original(llama), policy("int4", rounding="gptq", group=16), DATA)
    name, scheme = "layers.0.query.weight", policy("int4", rounding="gptq", group=16).linear
    weight = method.change(name, floats(llama)[name])
    method.inputs["layers.0.query"].gram[0, 0] = np.inf
    with pytest.raises(CheckpointError, match=f"'{name}' cannot be rounded by what its layer reads .*not finite"):
        method.round(name, weight, scheme)
