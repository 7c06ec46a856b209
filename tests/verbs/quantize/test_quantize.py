"""Quantize end to end: every architecture's artifact computes what its checkpoint does, given its weights."""

import hashlib
import json
import shutil

import numpy as np
import openvino as ov
import pytest

from lilliput.artifact import open_artifact
from lilliput.graph.architectures import ARCHITECTURES
from lilliput.progress import Progress
from lilliput.quantize.activations import Activations
from lilliput.quantize.policy import policy
from lilliput.verbs.inspect import inspect
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.verbs.tiny_checkpoints import (
    FILL_MARKS,
    LLAMA,
    PLAIN,
    VARIANTS,
    VOCABULARY,
    artifact_logits,
    checkpoint,
    expected_logits,
    float_logits,
    held_weights,
    rewrite,
    tiny_tokenizer,
)

FLOAT = QuantizeSettings(policy("fp32"), Activations("none"))


def settings(weights, **options):
    return QuantizeSettings(policy(weights, **options), Activations("none"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``made(name)``: the model of a variant, and the folder of its checkpoint."""
    known = {}

    def make(name):
        if name not in known:
            folder = tmp_path_factory.mktemp("checkpoint")
            known[name] = checkpoint(folder, *VARIANTS[name]), folder
        return known[name]

    return make


def of_kind(kind):
    return next(name for name, variant in VARIANTS.items() if variant == PLAIN[kind])


@pytest.mark.parametrize("name", VARIANTS)
def test_float_artifact_matches_the_checkpoint(name, made, tmp_path):
    model, folder = made(name)
    quantize(folder, tmp_path / "small", settings=FLOAT)
    np.testing.assert_allclose(artifact_logits(tmp_path / "small"), expected_logits(model), rtol=0, atol=1e-4)


def check_against_stored_weights(artifact, folder):
    """Compare with the stored weights: only the float16 products of code and scale may differ."""
    found, expected = artifact_logits(artifact), float_logits(folder, held_weights(artifact))
    assert np.abs(found - expected).max() <= 2e-3 * np.abs(expected).max()
    return found


@pytest.mark.parametrize("kind", PLAIN)
def test_int8_artifact_matches_its_weights_and_is_close_to_the_checkpoint(kind, made, tmp_path):
    model, folder = made(of_kind(kind))
    result = quantize(folder, tmp_path / "small", settings=settings("int8"))
    found, expected = check_against_stored_weights(tmp_path / "small", folder), expected_logits(model)
    assert np.linalg.norm(found - expected) <= 0.05 * np.linalg.norm(expected)
    assert 0 < max(weight.relative_error for weight in result.worst) < 0.02


@pytest.mark.parametrize("kind", PLAIN)
def test_int4_artifact_matches_its_weights(kind, made, tmp_path):
    _, folder = made(of_kind(kind))
    quantize(folder, tmp_path / "small", settings=settings("int4", group=32))
    check_against_stored_weights(tmp_path / "small", folder)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        ("qwen3", settings("fp16")),
        ("qwen3", settings("nf4", head="int4")),
        ("qwen3", settings("int3", embedding="nf4")),
        ("qwen3", settings("int8", symmetric=False, head="fp16", embedding="fp32")),
        ("qwen3", settings("int2", symmetric=True, group=-1, embedding="int4")),
        ("t5", settings("int2", embedding="nf4", head="int3")),
    ],
)
def test_artifacts_of_other_formats_match_their_weights(kind, how, made, tmp_path):
    _, folder = made(of_kind(kind))
    quantize(folder, tmp_path / "small", settings=how)
    check_against_stored_weights(tmp_path / "small", folder)


def test_every_architecture_is_tested():
    assert PLAIN.keys() == ARCHITECTURES.keys()
    assert all(kind == name for name, (kind, _) in PLAIN.items())


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A checkpoint with generation settings, and its artifact."""
    folder = tmp_path_factory.mktemp("llama")
    checkpoint(folder / "code-llama", *LLAMA, tokenizer=tiny_tokenizer(FILL_MARKS))
    sampling = {"temperature": 0.2, "top_p": 0.95, "top_k": 40, "repetition_penalty": 1.1, "do_sample": True}
    generation = json.dumps({"eos_token_id": [7, 2, 9999], **sampling})
    (folder / "code-llama" / "generation_config.json").write_text(generation)
    result = quantize(folder / "code-llama", folder / "small", command="lilliput quantize code-llama")
    return folder, result


def test_manifest_describes_the_model(llama):
    folder, _ = llama
    manifest = open_artifact(folder / "small").generator
    assert (manifest.family, manifest.model_type, manifest.start) == ("decoder", "llama", None)
    assert (manifest.vocabulary, manifest.positions) == (VOCABULARY, 64)
    assert manifest.end == (2, 7)
    assert manifest.sampling == {"temperature": 0.2, "top_p": 0.95, "top_k": 40, "repetition_penalty": 1.1}
    assert manifest.fill is not None
    assert (manifest.fill.prefix, manifest.fill.suffix, manifest.fill.middle) == FILL_MARKS
    assert manifest.weights["linear"] == {"format": "int8", "symmetric": True, "group": 0, "rounding": "nearest"}
    assert (manifest.activations["mode"], manifest.activations["group"]) == ("dynamic", 128)
    engine = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 128}
    assert engine.items() <= manifest.activations["engine"].items()
    assert manifest.architecture["hidden"] == 64
    assert manifest.architecture["rotary"]["width"] == 16


def test_provenance_lists_the_checkpoint_files(llama):
    folder, _ = llama
    made = open_artifact(folder / "small").generator.provenance
    source = folder / "code-llama"
    files = ("model.safetensors", "config.json", "generation_config.json")
    digests = {name: hashlib.sha256((source / name).read_bytes()).hexdigest() for name in files}
    assert made["checkpoint"] == {"name": "code-llama", "sha256": digests}
    assert made["command"] == "lilliput quantize code-llama"
    assert {"lilliput", "openvino", "numpy"} <= made["versions"].keys()


def test_every_byte_and_every_weight_is_counted(llama):
    folder, result = llama
    sizes = {path.name: path.stat().st_size for path in (folder / "small").iterdir()}
    assert sizes.keys() == {"model.xml", "model.bin", "tokenizer.json", "manifest.json", "README.md", "evidence.json"}
    assert result.bytes.total == sum(sizes.values())
    assert result.bytes.weights == sizes["model.xml"] + sizes["model.bin"]
    assert result.parameters == sum(weight.size for weight in held_weights(folder / "small").values())
    shown = result.as_dict()
    assert shown["bits_per_weight"] == 8 * result.bytes.weights / result.parameters
    assert len(shown["worst"]) == 3
    assert json.loads(json.dumps(shown)) == shown


def test_original_bytes_are_those_of_the_checkpoint(llama):
    folder, result = llama
    files = ("model.safetensors", "config.json", "generation_config.json")
    assert result.original_bytes == sum((folder / "code-llama" / name).stat().st_size for name in files)


def test_evidence_has_the_error_of_every_weight(llama):
    folder, result = llama
    figures = {item["name"]: item for item in open_artifact(folder / "small").evidence()["weights"]}
    assert sum(item["bytes"] for item in figures.values()) <= (folder / "small" / "model.bin").stat().st_size
    for weight in result.worst:
        assert figures[weight.name]["relative_error"] == weight.relative_error
    assert max(item["relative_error"] for item in figures.values()) == result.worst[0].relative_error


def test_nothing_is_left_beside_the_artifact(llama):
    folder, _ = llama
    assert sorted(path.name for path in folder.iterdir()) == ["code-llama", "small"]


@pytest.mark.parametrize("kind", ["qwen2", "t5"])
def test_two_runs_make_the_same_files(kind, made, tmp_path):
    _, folder = made(of_kind(kind))
    for name in ("one", "other"):
        quantize(folder, tmp_path / name, settings=settings("int4"))
    one, other = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "other"))
    assert one.keys() == other.keys()
    named = {"README.md", "manifest.json"}  # these contain the artifact's name, or the hash of the other
    assert {name for name in one if one[name] != other[name]} <= named


def test_new_run_replaces_an_artifact(made, tmp_path):
    _, folder = made("llama")
    quantize(folder, tmp_path / "small", settings=settings("int8"))
    quantize(folder, tmp_path / "small", settings=settings("int4"))
    assert open_artifact(tmp_path / "small").generator.weights["linear"]["format"] == "int4"
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_artifact_can_be_copied_and_moved(llama, tmp_path):
    folder, _ = llama
    copy = shutil.copytree(folder / "small", tmp_path / "copy")
    shutil.move(copy, tmp_path / "moved")
    assert open_artifact(tmp_path / "moved").manifest == open_artifact(folder / "small").manifest
    np.testing.assert_array_equal(artifact_logits(tmp_path / "moved"), artifact_logits(folder / "small"))


def test_engine_finds_the_weights_beside_the_graph(llama):
    folder, _ = llama
    model = ov.Core().read_model(str(folder / "small" / "model.xml"))
    assert {name for value in model.inputs for name in value.get_names()} == {
        "input_ids",
        "attention_mask",
        "position_ids",
        "beam_idx",
    }
    assert model.output("logits").get_partial_shape().to_string() == f"[?,1,{VOCABULARY}]"


@pytest.mark.parametrize("kind", ["t5", "plbart"])
def test_manifest_of_an_encoder_decoder(kind, made, tmp_path):
    model, folder = made(of_kind(kind))
    quantize(folder, tmp_path / "small")
    manifest = open_artifact(tmp_path / "small").generator
    assert (manifest.family, manifest.model_type) == ("seq2seq", kind)
    assert manifest.start == (0 if kind == "t5" else model.config.bos_token_id)
    assert manifest.end == (model.config.eos_token_id,)
    assert manifest.positions == (None if kind == "t5" else 64)
    assert (manifest.fill, manifest.sampling) == (None, {})
    assert (tmp_path / "small" / "encoder.xml").is_file()


def test_start_token_of_older_configs(tmp_path):
    """It is the first of the fields that is a token of the model."""
    checkpoint(tmp_path / "t5", *PLAIN["t5"], config={"decoder_start_token_id": VOCABULARY, "bos_token_id": 5})
    (tmp_path / "t5" / "generation_config.json").unlink()
    quantize(tmp_path / "t5", tmp_path / "small")
    assert open_artifact(tmp_path / "small").generator.start == 5


@pytest.mark.parametrize(("given", "kept"), [(None, ()), (7, (7,)), ([3, True, "x", -1, VOCABULARY], (3,)), ([], ())])
def test_end_tokens_of_configs(given, kept, made, tmp_path):
    folder = shutil.copytree(made("llama")[1], tmp_path / "llama")
    (folder / "generation_config.json").unlink()
    rewrite(folder / "config.json", eos_token_id=given)
    quantize(folder, tmp_path / "small")
    assert open_artifact(tmp_path / "small").generator.end == kept


@pytest.mark.parametrize("value", ["NaN", "1e999", '"0.2"', "true", "null", "[1]", "1" + "0" * 30])
def test_invalid_sampling_settings_are_left_out(value, made, tmp_path):
    folder = shutil.copytree(made("llama")[1], tmp_path / "llama")
    (folder / "generation_config.json").write_text(f'{{"temperature": {value}, "top_k": 50}}')
    quantize(folder, tmp_path / "small")
    assert open_artifact(tmp_path / "small").generator.sampling == {"top_k": 50}


def test_inspect_shows_everything(llama):
    folder, result = llama
    facts = inspect(folder / "small").as_dict()
    assert facts["kind"] == "generator"
    assert facts["bytes"]["total"] == result.bytes.total
    assert [item["name"] for item in facts["evidence"]["worst_weights"]] == [weight.name for weight in result.worst]
    assert facts["sha256"]["model.bin"] == hashlib.sha256((folder / "small" / "model.bin").read_bytes()).hexdigest()
    assert tuple(json.loads(json.dumps(facts))["fill"].values()) == (*FILL_MARKS, None)


class NoteRecorder(Progress):
    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


def test_last_note_has_the_sizes(made, tmp_path):
    told = NoteRecorder()
    quantize(made("llama")[1], tmp_path / "small", progress=told)
    assert "million weights" in told.lines[-1]


def test_result_matches_the_manifest(tmp_path):
    checkpoint(tmp_path / "model", *LLAMA)
    chosen = QuantizeSettings(policy("int4", group=32))
    made = quantize(tmp_path / "model", tmp_path / "small", settings=chosen).as_dict()
    manifest = open_artifact(tmp_path / "small").generator
    assert made["settings"]["activations"] == manifest.activations
    assert manifest.activations["group"] == 32  # no larger than the weights' group
