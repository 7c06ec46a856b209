"""Invalid checkpoints and options on the command line: exit code 2 and one line that says what to do."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from lilliput import cli
from lilliput.artifact import open_artifact
from lilliput.errors import CheckpointError, UserError
from lilliput.verbs.quantize import quantize
from tests.verbs.tiny_checkpoints import LLAMA, PLAIN, checkpoint, rewrite, tiny_tokenizer


def refused(run, *words):
    """Check for exit code 2 and a one-line error that contains ``words``."""
    code, _, text = run
    assert code == 2, text
    *before, message = text.splitlines()
    assert message.startswith("error: "), text
    assert not any("Traceback" in line or "Warning" in line for line in before), text
    for word in words:
        assert word in message, text


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A valid checkpoint in shards."""
    folder = tmp_path_factory.mktemp("sound") / "model"
    checkpoint(folder, *LLAMA, max_shard_size="100KB")
    return folder


@pytest.fixture
def model(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "model")


def shard(folder, number=1):
    return sorted(folder.glob("model-*.safetensors"))[number]


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def with_weight(value):
    def change(folder):
        tensors = load_file(shard(folder))
        name = next(name for name, array in tensors.items() if array.ndim == 2)
        tensors[name][3, 5] = value
        save_file(tensors, shard(folder), {"format": "pt"})

    return change


def larger_tokenizer(folder):
    tiny_tokenizer(marks=[f"<{number}>" for number in range(30)]).save(str(folder / "tokenizer.json"))


def without(name, text=None):
    """Remove a file, or replace its content."""

    def change(folder):
        (folder / name).unlink()
        if text is not None:
            (folder / name).write_bytes(text)

    return change


def fields(**values):
    return lambda folder: rewrite(folder / "config.json", **values)


INDEX = "model.safetensors.index.json"
DAMAGE = {
    "unknown architecture": (
        fields(model_type="mamba"),
        ["config.json: names the architecture 'mamba'; supported: bart"],
    ),
    "no architecture": (fields(model_type=None), ["config.json", "'None'; supported: "]),
    "an encoder": (fields(model_type="roberta"), ["'roberta'; supported: ", "Choose a checkpoint of one of these."]),
    "a missing shard": (lambda d: shard(d).unlink(), ["00002-of-", "is missing. Get it", INDEX]),
    "a shard cut off": (
        lambda d: cut(shard(d)),
        ["00002-of-", "bytes where its header describes", "Get the file again"],
    ),
    "a damaged header": (
        lambda d: shard(d).write_bytes(b"\xff" * 8 + shard(d).read_bytes()[8:]),
        ["is not a valid safetensors file: a header of"],
    ),
    "an empty shard": (lambda d: shard(d).write_bytes(b""), ["is not a valid safetensors file"]),
    "a damaged index": (without(INDEX, b"[]"), [INDEX, "is not an index of shards"]),
    "an index of other places": (
        without(INDEX, b'{"weight_map": {"a": "../secret.safetensors"}}'),
        ["names the unsafe file '../secret.safetensors'"],
    ),
    "no weights": (lambda d: [p.unlink() for p in d.glob("model*")], ["holds neither model.safetensors nor"]),
    "NaN": (with_weight(np.nan), ["tensor 'model.", "not finite", "Get the checkpoint again"]),
    "infinity": (with_weight(-np.inf), ["tensor 'model.", "not finite"]),
    "no tokenizer": (without("tokenizer.json"), ["there is no tokenizer here", "--tokenizer"]),
    "a tokenizer that is none": (without("tokenizer.json", b"{}"), ["tokenizer.json: is not a tokenizer"]),
    "another model's tokenizer": (larger_tokenizer, ["the tokenizer has", "tokens, the model 320", "--tokenizer"]),
    "no config": (without("config.json"), ["config.json: there is no such file. Is this a checkpoint's folder?"]),
    "a config that is no JSON": (without("config.json", b"model_type: llama"), ["config.json: cannot be read"]),
    "a config that is no text": (without("config.json", b"\xff\xfe"), ["config.json: cannot be read"]),
    "a config that is a list": (without("config.json", b"[]"), ["config.json: is not a JSON object"]),
    "a config nested too deep": (without("config.json", b"[" * 10**5), ["config.json: cannot be read: nested"]),
    "generation nested too deep": (
        without("generation_config.json", b"[" * 10**5),
        ["generation_config.json: cannot be read: nested"],
    ),
    "no field": (fields(vocab_size=None), ["config.json: has no field 'vocab_size'"]),
    "more rows": (fields(vocab_size=321), ["has (320, 64) as the shape of 'embedding.weight'", "(321, 64)"]),
    "wider": (fields(hidden_size=128), ["has (64, 64) as the shape of 'layers.0.query.weight'", "do not belong"]),
    "more layers": (fields(num_hidden_layers=3), ["no tensor 'model.layers.2."]),
    "more heads of keys": (
        fields(num_key_value_heads=4),
        ["has (32, 64) as the shape of 'layers.0.key.weight'", "(64, 64)"],
    ),
    "a scaling without its factor": (fields(rope_parameters={"rope_type": "linear"}), ["KeyError: 'factor'"]),
    "an unknown scaling": (fields(rope_parameters={"rope_type": "yarn"}), ["asks for 'yarn'; supported: default"]),
    "two scalings": (
        fields(rope_scaling={"type": "linear", "factor": 4.0}),
        ["config.json: fields 'rope_scaling' and 'rope_parameters' contradict each other. Keep one"],
    ),
    "an unknown activation": (fields(hidden_act="mish"), ["'activation' must be one of silu", "not 'mish'"]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_rejects_a_damaged_checkpoint(name, model, tmp_path, lilliput):
    damage, words = DAMAGE[name]
    damage(model)
    refused(lilliput("quantize", model, "--out", tmp_path / "small"), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("field", ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "head_dim"])
@pytest.mark.parametrize("value", ["64", 64.0, True, -1, 10**12])
def test_rejects_a_size_of_the_wrong_type(field, value, model, tmp_path, lilliput):
    rewrite(model / "config.json", **{field: value})
    refused(lilliput("quantize", model, "--out", tmp_path / "small"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("kind", ["qwen2", "t5"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_field_of_a_config_is_read_or_rejected(kind, data, tmp_path_factory):
    """An accepted config gives an artifact that opens; anything else is a user error that leaves nothing behind."""
    folder = tmp_path_factory.getbasetemp() / f"fuzz-{kind}"
    if not folder.exists():
        checkpoint(folder / "model", *PLAIN[kind])
        shutil.copy(folder / "model" / "config.json", folder / "config.json")
    values = json.loads((folder / "config.json").read_text())
    values.pop("dtype")
    name = data.draw(st.sampled_from(sorted(values)))
    change = {name: data.draw(JSON)} if data.draw(st.booleans()) else {name: data.draw(st.integers(-2, 70))}
    (folder / "model" / "config.json").write_text(json.dumps({**values, **change}))
    try:
        quantize(folder / "model", folder / "small")
    except UserError:
        pass
    else:
        open_artifact(folder / "small")
        shutil.rmtree(folder / "small")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model"]


def test_rejects_a_seq2seq_without_start_token(tmp_path, lilliput):
    ids = dict.fromkeys(("decoder_start_token_id", "bos_token_id", "pad_token_id"))
    checkpoint(tmp_path / "t5", *PLAIN["t5"], config=ids)
    (tmp_path / "t5" / "generation_config.json").unlink()
    refused(lilliput("quantize", tmp_path / "t5", "--out", tmp_path / "small"), "'decoder_start_token_id'")
    assert [path.name for path in tmp_path.iterdir()] == ["t5"]


def test_rejects_an_encoder_without_its_decoder(tmp_path, lilliput):
    """CodeT5's embedding models are such encoders; nothing is written before the error."""
    model = checkpoint(tmp_path / "t5", *PLAIN["t5"])
    model.encoder.save_pretrained(tmp_path / "t5")
    rewrite(tmp_path / "t5" / "config.json", model_type="t5")
    refused(lilliput("quantize", tmp_path / "t5", "--out", tmp_path / "small"), "has no tensor 'decoder.")
    assert [path.name for path in tmp_path.iterdir()] == ["t5"]


class Trap:
    """A pickle that creates a file if it is executed."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_malicious_pickle_is_not_executed(model, tmp_path, lilliput):
    for path in model.glob("model*"):
        path.unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Trap(tmp_path / "sprung")}, 2))
    refused(lilliput("quantize", model, "--out", tmp_path / "small"), "pytorch_model.bin", "nothing of it was run")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.txt", b"weights", ["model.txt: is neither a folder nor a GGUF file"]),
        ("model.gguf", b"weights", ["model.gguf: "]),
        ("model.gguf", b"GGUF\3\0\0\0" + b"\xff" * 16, ["model.gguf: "]),
        (None, None, ["a/b/c: there is no such file or folder"]),
    ],
)
def test_rejects_what_is_not_a_checkpoint(name, content, words, tmp_path, lilliput):
    if name is not None:
        (tmp_path / name).write_bytes(content)
    model = "a/b/c" if name is None else tmp_path / name
    refused(lilliput("quantize", model, "--out", tmp_path / "small"), *words)
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--weights int5", ["--weights: unknown value 'int5'. Choose one of: fp32, fp16, int8"]),
        ("--rounding up", ["--rounding: unknown value 'up'"]),
        ("--rounding hqq", ["--rounding: hqq moves zero points"]),
        ("--group 5", ["--group: 5 is not a group size"]),
        ("--group -7", ["--group: -7 is not a group size"]),
        ("--weights fp16 --group 32", ["--group: fp16 has neither scales nor zero points. Leave it out."]),
        ("--weights nf4 --asymmetric", ["--asymmetric: codes of nf4 have no zero points"]),
        ("--embedding int5", ["--embedding: unknown value 'int5'"]),
        ("--head int5", ["--head: unknown value 'int5'"]),
        ("--activations row", ["--activations: unknown value 'row'. Choose one of: none, dynamic"]),
        ("--activation-group 20", ["--activation-group: 20 is not a group size. Choose a multiple of 16"]),
        (
            "--weights fp16 --activation-group 64",
            ["--activation-group: goes with --activations dynamic, not with 'none'"],
        ),
        ("--activation-calibration mse", ["--activation-calibration: goes with --activations static, not with 'dyn"]),
        ("--activation-group 0", ["--activation-group: 0 is not a group size"]),
        ("--tokenizer no.json", ["no.json: there is no such file or folder. Check --tokenizer."]),
        ("--tokenizer .", ["there is no tokenizer here"]),
    ],
)
def test_rejects_invalid_options(option, words, sound, tmp_path, monkeypatch, lilliput):
    monkeypatch.chdir(tmp_path)
    refused(lilliput("quantize", sound, "--out", tmp_path / "small", *option.split()), *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("out", "words"),
    [
        ("mine", ["mine: already exists and is not an artifact. Choose another --out."]),
        ("thesis.txt", ["thesis.txt: already exists and is not an artifact"]),
        ("thesis.txt/small", ["a part of this path is a file"]),
        ("x" * 300, ["file name too long"]),
        ("/proc/small", ["/proc/small: "]),
        ("/proc/a/b/small", ["/proc/a/b/small: "]),
    ],
)
def test_rejects_places_that_cannot_be_written(out, words, sound, tmp_path, monkeypatch, lilliput):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for path in ("thesis.txt", "mine/thesis.txt"):
        (tmp_path / path).write_text("years of work")
    refused(lilliput("quantize", sound, "--out", out), *words)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "thesis.txt", "thesis.txt"]


def test_missing_folders_are_created(sound, tmp_path, lilliput):
    code, *_ = lilliput("quantize", sound, "--out", tmp_path / "a" / "b" / "small")
    assert code == 0
    open_artifact(tmp_path / "a" / "b" / "small")


def free_bytes(monkeypatch, count):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: type("Usage", (), {"free": count}))


def test_insufficient_disk_space_is_noticed_before_anything_is_written(sound, tmp_path, monkeypatch, lilliput):
    free_bytes(monkeypatch, 1_000_000)
    run = lilliput("quantize", sound, "--out", tmp_path / "small")
    refused(run, "small: about 30.", "MB are needed, but only 1.00 MB are free. Free some space")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a full disk needs root")
@pytest.mark.parametrize("size", ["4k", "100k", "236k", "260k"])
def test_full_disk_leaves_nothing_half_written(size, sound, tmp_path, monkeypatch, lilliput):
    """The disk is full in the middle of the weights, of the graph's constants, of the graph, or of the other files."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted on this machine")
    try:
        free_bytes(monkeypatch, 10**12)  # another program takes the space during the run
        refused(lilliput("quantize", sound, "--out", disk / "small"), "disk is full", "Free the space")
        assert not (disk / "small").exists()
        subprocess.run(["mount", "-o", "remount,size=1m", disk], check=True)
        assert lilliput("quantize", sound, "--out", disk / "small")[0] == 0
        open_artifact(disk / "small")
        assert [path.name for path in disk.iterdir()] == ["small"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_program_ends_with_nothing_but_the_error(model, tmp_path):
    """Run as a process of its own."""
    rewrite(model / "config.json", model_type="mamba")
    command = [sys.executable, "-m", "lilliput", "quantize", str(model), "--out", str(tmp_path / "small")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("error: config.json: names the architecture 'mamba'")
    assert run.stderr.count("\n") == 1


def test_checkpoint_error_is_a_user_error():
    assert issubclass(CheckpointError, UserError)
    assert "quantize" in cli.RESUMABLE
