"""Checkpoints in every form give the same artifact as the plainest form."""

import hashlib
import json
import shutil

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from lilliput.artifact import open_artifact
from lilliput.errors import CheckpointError
from lilliput.quantize.policy import policy
from lilliput.teachers.generator import FILL_MARKS, open_generator
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.teachers.tiny_gguf import add_weights, finish, start, write_model
from tests.teachers.tiny_gguf import random_model as model_for_gguf
from tests.verbs.tiny_checkpoints import (
    CODE,
    LLAMA,
    PLAIN,
    VOCABULARY,
    artifact_logits,
    checkpoint,
    expected_logits,
    random_model,
    rewrite,
    tiny_tokenizer,
)

INT4 = QuantizeSettings(policy("int4"))


def model_files(folder):
    """Hashes of graphs and weights."""
    names = [path.name for path in folder.iterdir() if path.name.startswith(("model.", "encoder."))]
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A model, its checkpoint in one float32 file, and its artifact's hashes."""
    folder = tmp_path_factory.mktemp("plain")
    model = checkpoint(folder / "checkpoint", *LLAMA)
    quantize(folder / "checkpoint", folder / "small", settings=INT4)
    return model, folder / "checkpoint", model_files(folder / "small")


def without_weights(plain, folder):
    """Copy the checkpoint's files except its weights."""
    return shutil.copytree(plain[1], folder, ignore=shutil.ignore_patterns("*.safetensors"))


def test_reads_shards(plain, tmp_path):
    model, _, expected = plain
    checkpoint(tmp_path / "shards", *LLAMA, model=model, max_shard_size="100KB")
    assert len(list((tmp_path / "shards").glob("model-*-of-*.safetensors"))) > 2
    result = quantize(tmp_path / "shards", tmp_path / "small", settings=INT4)
    assert model_files(tmp_path / "small") == expected
    hashed = open_artifact(result.path).generator.provenance["checkpoint"]["sha256"]
    assert {"model.safetensors.index.json", "config.json"} < hashed.keys()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_reads_other_floating_point_types(kind, tmp_path):
    model = random_model(*LLAMA).to(kind)
    checkpoint(tmp_path / "stored", *LLAMA, model=model)
    checkpoint(tmp_path / "wide", *LLAMA, model=model.float())
    for name in ("stored", "wide"):
        quantize(tmp_path / name, tmp_path / f"small-{name}", settings=INT4)
    assert model_files(tmp_path / "small-stored") == model_files(tmp_path / "small-wide")


@pytest.mark.parametrize("modern", [True, False])
def test_reads_a_torch_file(plain, modern, tmp_path):
    """Both the current format and that before torch 1.6, which was not a zip archive."""
    model, _, expected = plain
    folder = without_weights(plain, tmp_path / "pickled")
    torch.save(model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=modern)
    quantize(folder, tmp_path / "small", settings=INT4)
    assert model_files(tmp_path / "small") == expected


def test_reads_torch_shards(plain, tmp_path):
    model, _, expected = plain
    folder = without_weights(plain, tmp_path / "pickled")
    places = {}
    for number, (name, value) in enumerate(model.state_dict().items()):
        places[name] = f"pytorch_model-{number:05d}.bin"
        torch.save({name: value.to(torch.float32)}, folder / places[name])
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    quantize(folder, tmp_path / "small", settings=INT4)
    assert model_files(tmp_path / "small") == expected
    (folder / places["model.norm.weight"]).unlink()
    with pytest.raises(CheckpointError, match=rf"{places['model.norm.weight']}: is missing"):
        quantize(folder, tmp_path / "again", settings=INT4)


def test_reads_names_without_their_prefix(tmp_path):
    """Models saved without their output layer have such names."""
    kind, options = LLAMA
    tied = random_model(kind, {**options, "tie_word_embeddings": True})
    checkpoint(tmp_path / "whole", *LLAMA, model=tied)
    shutil.copytree(tmp_path / "whole", tmp_path / "inner")
    tied.model.save_pretrained(tmp_path / "inner")
    for name in ("whole", "inner"):
        quantize(tmp_path / name, tmp_path / f"small-{name}", settings=INT4)
    assert model_files(tmp_path / "small-whole") == model_files(tmp_path / "small-inner")


def test_chat_template_is_copied(plain, tmp_path):
    _, source, _ = plain
    shutil.copytree(source, tmp_path / "model")
    (tmp_path / "model" / "chat_template.jinja").write_text("<|user|>{{ messages[0].content }}<|assistant|>")
    quantize(tmp_path / "model", tmp_path / "small", settings=INT4)
    artifact = open_artifact(tmp_path / "small")
    assert artifact.file("chat_template.jinja").read_text() == "<|user|>{{ messages[0].content }}<|assistant|>"
    assert "chat_template.jinja" not in {path.name for path in (source.parent / "small").iterdir()}


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_reads_gguf(kind, tmp_path):
    model = model_for_gguf(kind, vocab_size=VOCABULARY)
    checkpoint(tmp_path / "folder", kind, {}, model=model)
    write_model(tmp_path / "m.gguf", kind, model)
    tokenizer, how = tmp_path / "folder" / "tokenizer.json", QuantizeSettings(policy("fp32"))
    quantize(tmp_path / "folder", tmp_path / "one", settings=how)
    quantize(tmp_path / "m.gguf", tmp_path / "other", settings=how, tokenizer=tokenizer)
    assert model_files(tmp_path / "one") == model_files(tmp_path / "other")
    np.testing.assert_allclose(artifact_logits(tmp_path / "other"), expected_logits(model), rtol=0, atol=1e-4)


def test_reads_gguf_of_quantized_weights(tmp_path):
    """Its 8-bit blocks are rounded to 8 bits again, and it has its own tokenizer."""
    model = model_for_gguf("qwen2", vocab_size=VOCABULARY, intermediate_size=128)
    tokenizer = tiny_tokenizer()
    writer = start(tmp_path / "m.gguf", "qwen2", model.config)
    ids = tokenizer.get_vocab(with_added_tokens=True)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(sorted(ids, key=ids.get))
    writer.add_token_merges([" ".join(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]])
    writer.add_eos_token_id(ids["<|end|>"])
    writer.add_chat_template("{{ messages[0].content }}\n")
    add_weights(writer, "qwen2", model, gguf.GGMLQuantizationType.Q8_0)
    finish(writer)
    quantize(tmp_path / "m.gguf", tmp_path / "small")
    assert open_artifact(tmp_path / "small").generator.end == (ids["<|end|>"],)
    assert (tmp_path / "small" / "chat_template.jinja").read_text() == "{{ messages[0].content }}\n"
    found = Tokenizer.from_file(str(tmp_path / "small" / "tokenizer.json"))
    assert [found.encode(text).ids for text in CODE] == [tokenizer.encode(text).ids for text in CODE]
    found, expected = artifact_logits(tmp_path / "small"), expected_logits(model)
    assert np.linalg.norm(found - expected) <= 0.05 * np.linalg.norm(expected)


def test_reads_gguf_in_parts(tmp_path):
    """The provenance lists all parts."""
    model = model_for_gguf("llama", vocab_size=VOCABULARY)
    whole, tokenizer = tmp_path / "m.gguf", tmp_path / "tokenizer.json"
    write_model(whole, "llama", model)
    tiny_tokenizer().save(str(tokenizer))
    parts = [tmp_path / f"m-{number:05d}-of-00002.gguf" for number in (1, 2)]
    writer = start(parts[0], "llama", model.config)
    writer.add_uint16("split.count", 2)
    finish(writer)
    rest = gguf.GGUFWriter(parts[1], "llama")
    add_weights(rest, "llama", model)
    finish(rest)
    quantize(whole, tmp_path / "one", tokenizer=tokenizer)
    result = quantize(parts[0], tmp_path / "other", tokenizer=tokenizer)
    assert model_files(tmp_path / "one") == model_files(tmp_path / "other")
    assert result.original_bytes == sum(part.stat().st_size for part in parts)
    assert open_artifact(result.path).generator.provenance["checkpoint"]["sha256"].keys() == {p.name for p in parts}


def test_tokenizer_can_be_in_another_folder(plain, tmp_path):
    _, folder, expected = plain
    copy = shutil.copytree(folder, tmp_path / "llama")
    (tmp_path / "words").mkdir()
    shutil.move(copy / "tokenizer.json", tmp_path / "words")
    quantize(copy, tmp_path / "small", settings=INT4, tokenizer=tmp_path / "words")
    assert model_files(tmp_path / "small") == expected


def test_reads_a_tokenizer_in_the_old_format(plain, tmp_path):
    """transformers converts ``vocab.json`` and ``merges.txt``."""
    _, folder, expected = plain
    copy = shutil.copytree(folder, tmp_path / "llama")
    written = json.loads((copy / "tokenizer.json").read_text())["model"]
    (copy / "tokenizer.json").unlink()
    (copy / "vocab.json").write_text(json.dumps({**written["vocab"], "<|endoftext|>": 305}))
    (copy / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(merge) for merge in written["merges"]))
    (copy / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    quantize(copy, tmp_path / "small", settings=INT4)
    assert model_files(tmp_path / "small") == expected
    found = Tokenizer.from_file(str(tmp_path / "small" / "tokenizer.json"))
    for text in CODE:
        assert found.encode(text, add_special_tokens=False).ids == tiny_tokenizer().encode(text).ids


@pytest.mark.parametrize("marks", FILL_MARKS)
def test_fill_marks_are_recognized_by_their_tokens(marks, plain, tmp_path):
    folder = shutil.copytree(plain[1], tmp_path / "llama")
    tiny_tokenizer((marks.prefix, marks.suffix, marks.middle)).save(str(folder / "tokenizer.json"))
    assert open_generator(folder).fill == marks


def test_missing_config_fields_have_defaults(plain, tmp_path):
    """The artifact is the same as with the fields."""
    _, folder, expected = plain
    copy = shutil.copytree(folder, tmp_path / "llama")
    rewrite(copy / "config.json", rms_norm_eps=None, hidden_act=None, tie_word_embeddings=None, head_dim=None)
    quantize(copy, tmp_path / "small", settings=INT4)
    assert model_files(tmp_path / "small") == expected


def test_computed_position_table_is_stored(tmp_path):
    """XGLM's sinusoids are not in the checkpoint; they are computed and counted among the artifact's weights."""
    checkpoint(tmp_path / "xglm", *PLAIN["xglm"])
    result = quantize(tmp_path / "xglm", tmp_path / "small")
    figures = {item["name"]: item for item in open_artifact(result.path).evidence()["weights"]}
    assert figures["positions.weight"]["shape"] == [66, 64]
    assert figures["positions.weight"]["relative_error"] == 0
