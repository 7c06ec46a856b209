"""GGUF models: values, names and logits are those of the checkpoint that was converted."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lilliput.errors import CheckpointError
from lilliput.graph.architectures import architecture_of, float_weights
from lilliput.graph.decoder import decoder_graph
from lilliput.runtime.engine import Engine
from lilliput.teachers.gguf import GgufFile
from lilliput.teachers.gguf_tokenizer import read_tokenizer

gguf = pytest.importorskip("gguf")
from tiny_gguf import F32, SHAPE, add_weights, finish, random_model, start, write_model  # noqa: E402

Kind = gguf.GGMLQuantizationType
ROUNDING = {
    "F32": 0,
    "F16": 2**-11,
    "BF16": 2**-8,
    "Q8_0": 1 / 2 / 127,
    "Q5_1": 2 / 2 / 31,
    "Q4_1": 2 / 2 / 15,
    "Q5_0": 1 / 16,  # a whole step: the largest value is code -16; its opposite would be 16, but the last is 15
    "Q4_0": 1 / 8,
}
"""Largest error of a rounded value relative to the tensor's largest value; half-precision scales add to it."""
UNQUANTIZABLE = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS")
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
WIDE = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 1}


def raw_values(kind, shape, seed=0):
    """Random blocks of a kind that the Python reference cannot quantize; scales may be infinite."""
    block, size = gguf.GGML_QUANT_SIZES[kind]
    return np.random.default_rng(seed).integers(0, 256, (shape[0], shape[1] // block * size), np.uint8)


def gate_alone(path, raw, kind):
    """Write a random model with one layer replaced; return its path."""
    model = random_model("qwen2", **WIDE)
    writer = start(path, "qwen2", model.config)
    add_weights(writer, "qwen2", model)
    del writer.tensors[0]["blk.0.ffn_gate.weight"]
    writer.add_tensor("blk.0.ffn_gate.weight", raw, raw_dtype=kind)
    finish(writer)
    return path


GATE = "model.layers.0.mlp.gate_proj.weight"


@pytest.mark.parametrize("name", ROUNDING)
def test_values_survive_as_far_as_they_are_stored(name, tmp_path):
    written = np.random.default_rng(1).normal(size=(512, 256)).astype(np.float32)
    raw = gguf.quantize(written, Kind[name])
    found = GgufFile(gate_alone(tmp_path / "m.gguf", raw, Kind[name])).read(GATE)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, gguf.dequantize(raw, Kind[name]))
    assert np.abs(found - written).max() <= ROUNDING[name] * np.abs(written).max() * (1 + 2**-8)


@pytest.mark.parametrize("name", [*UNQUANTIZABLE, *ROUNDING])
def test_values_and_rows_match_the_reference(name, tmp_path, monkeypatch):
    monkeypatch.setattr("lilliput.teachers.gguf_header.VALUES_AT_A_TIME", 7 * 256)
    raw = raw_values(Kind[name], (512, 256))
    file = GgufFile(gate_alone(tmp_path / "m.gguf", raw, Kind[name]))
    with np.errstate(all="ignore"):
        expected = gguf.dequantize(raw, Kind[name])
        np.testing.assert_array_equal(file.read(GATE), expected)
        for rows in (slice(0, 1), slice(3, 40), slice(500, None), slice(9, 9), slice(9, 3)):
            np.testing.assert_array_equal(file.read(GATE, rows), expected[rows])


def test_only_the_requested_rows_are_dequantized(tmp_path, monkeypatch):
    file = GgufFile(write_model(tmp_path / "m.gguf", "llama", random_model("llama"), Kind.Q8_0))
    seen = []
    real = gguf.dequantize
    monkeypatch.setattr(gguf, "dequantize", lambda data, kind: seen.append(data.shape) or real(data, kind))
    assert file.read("model.layers.1.self_attn.q_proj.weight", slice(17, 20)).shape == (3, 64)
    assert seen == [(3, 64 // 32 * 34)]


@pytest.mark.parametrize("stored", [Kind.F32, Kind.F16, Kind.Q8_0])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_names_shapes_and_rows_match_the_checkpoint(kind, stored, tmp_path):
    options = {"attention_bias": True, "mlp_bias": True} if kind == "llama" else {}
    model = random_model(kind, **options)
    file = GgufFile(write_model(tmp_path / "m.gguf", kind, model, stored))
    written = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    assert set(file) == set(written)
    for name, values in written.items():
        used = stored if values.ndim > 1 else F32
        expected = gguf.dequantize(gguf.quantize(values, used), used)
        assert file.shape(name) == values.shape
        np.testing.assert_array_equal(file.read(name), expected, err_msg=name)
        for rows in (slice(0, 5), slice(11, 37), slice(15, 16)):
            np.testing.assert_array_equal(file.read(name, rows), expected[rows], err_msg=name)


LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
MODELS = {
    "llama": ("llama", {}),
    "llama, tied": ("llama", {"tie_word_embeddings": True, "num_key_value_heads": 4}),
    "llama, biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, wide heads": ("llama", {"head_dim": 32}),
    "llama, linear scaling": (
        "llama",
        {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5000.0}},
    ),
    "llama, llama3 scaling": ("llama", {"rope_parameters": LLAMA3}),
    "qwen2": ("qwen2", {}),
    "qwen2, tied": ("qwen2", {"tie_word_embeddings": True}),
    "qwen3": ("qwen3", {"head_dim": 32}),
}


def write_scaled(path, kind, model):
    """Write a whole model file, including its scaling of positions."""
    rotary = model.config.rope_parameters
    writer = start(path, kind, model.config)
    add_weights(writer, kind, model)
    if rotary["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rotary["factor"])
    if rotary["rope_type"] == "llama3":
        scaled = model.model.rotary_emb.inv_freq.numpy()
        usual = rotary["rope_theta"] ** (-np.arange(len(scaled)) / len(scaled))
        writer.add_tensor("rope_freqs.weight", (usual / scaled).astype(np.float32))
    finish(writer)
    return path


def engine_of(file):
    architecture = architecture_of(file.config)
    config = architecture.config(file.config)
    return Engine(decoder_graph(config, float_weights(architecture.pieces(config, file.config), file)), 1, EXACT)


def logits(engine, ids, before=0):
    positions = np.arange(before, before + ids.shape[1])[None]
    return engine(ids, np.ones((1, before + ids.shape[1]), np.int64), positions, np.zeros(1, np.int32))[0]


@pytest.mark.parametrize("name", MODELS)
def test_logits_match_transformers(name, tmp_path):
    kind, options = MODELS[name]
    model = random_model(kind, **options)
    file = GgufFile(write_scaled(tmp_path / "m.gguf", kind, model))
    ids = np.random.default_rng(0).integers(0, 99, (1, 40))
    with torch.no_grad():
        expected = model(input_ids=torch.from_numpy(ids)).logits.numpy()
    np.testing.assert_allclose(logits(engine_of(file), ids), expected, rtol=0, atol=1e-4)


def test_config_matches_the_checkpoint(tmp_path):
    model = random_model("llama", rope_parameters=LLAMA3)
    config = GgufFile(write_scaled(tmp_path / "m.gguf", "llama", model)).config
    scaling = {**config["rope_scaling"], "rope_theta": config["rope_theta"]}
    assert scaling.pop("factor") == pytest.approx(8)
    assert scaling == {name: value for name, value in LLAMA3.items() if name != "factor"}
    assert config["rms_norm_eps"] == pytest.approx(model.config.rms_norm_eps)
    assert config["model_type"] == "llama"
    for field, value in SHAPE.items():
        assert config[field] == value


def test_split_model_is_read_from_its_first_part(tmp_path):
    model = random_model("qwen2")
    writer = start(tmp_path / "m.gguf", "qwen2", model.config, split_max_tensors=10)
    add_weights(writer, "qwen2", model)
    finish(writer)
    first, second, *_ = parts = sorted(tmp_path.glob("*.gguf"))
    assert len(parts) == 3
    file = GgufFile(first)
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(file.read(name), tensor.numpy())
    with pytest.raises(
        CheckpointError, match=r"m-00002-of-00003\.gguf: is one of 3 parts, and not the first.*-00001-of"
    ):
        GgufFile(second)
    second.unlink()
    with pytest.raises(CheckpointError, match=r"m-00002-of-00003\.gguf: is not a file.*all its parts"):
        GgufFile(first)


def smallest_real_model():
    folder = os.environ.get("LILLIPUT_MODELS")
    found = Path(folder).rglob("*.gguf") if folder else []
    return min(found, key=lambda path: path.stat().st_size, default=None)


@pytest.mark.skipif(smallest_real_model() is None, reason="LILLIPUT_MODELS names no folder with GGUF files")
def test_real_model_writes_python():
    file = GgufFile(smallest_real_model())
    tokenizer, engine = read_tokenizer(file), engine_of(file)
    new = ids = tokenizer.encode("def fibonacci(n):").ids
    for _ in range(20):
        following = int(logits(engine, np.array([new]), len(ids) - len(new))[0, -1].argmax())
        ids, new = [*ids, following], [following]
    written = tokenizer.decode(ids[-20:])
    assert written.startswith("\n    ")
    assert "if n" in written
    assert "return" in written
