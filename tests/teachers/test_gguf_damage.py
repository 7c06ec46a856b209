"""Invalid GGUF files: each is rejected with its name and a remedy, and none exhausts memory."""

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import CheckpointError
from lilliput.teachers.gguf import GgufFile
from lilliput.teachers.gguf_tokenizer import read_tokenizer

gguf = pytest.importorskip("gguf")
from tiny_gguf import add_weights, finish, random_model, start, write_model  # noqa: E402


def with_tokenizer(path):
    model = random_model("llama", hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
    writer = start(path, "llama", model.config)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    alphabet = [chr(code) for code in [*range(33, 127), 0x120]]
    writer.add_token_list([*alphabet, "ab", "Ġa", "<s>"])
    writer.add_token_types([1] * (len(alphabet) + 2) + [3])
    writer.add_token_merges(["a b", "Ġ a"])
    writer.add_bos_token_id(len(alphabet) + 2)
    writer.add_add_bos_token(True)
    add_weights(writer, "llama", model)
    finish(writer)
    return path.read_bytes()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A path to write to, and the content of a valid file."""
    path = tmp_path_factory.mktemp("damage") / "m.gguf"
    return path, with_tokenizer(path)


def read_all(path):
    file = GgufFile(path)
    for name in file:
        file.read(name)
    return read_tokenizer(file).encode("ab a")


def test_valid_file_is_read(sound):
    path, data = sound
    path.write_bytes(data)
    assert read_all(path).tokens == ["<s>", "ab", "Ġa"]


def test_rejects_every_truncation(sound):
    path, data = sound
    lengths = {*range(0, len(data) - 1, 41), len(data) - 32, *range(24)}  # the last tensor's padding may be missing
    for length in lengths:
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"m\.gguf: is not a valid GGUF file: .*Get the file again"):
            GgufFile(path)


@settings(max_examples=400, deadline=None)
@given(place=st.integers(0, 6000), values=st.binary(min_size=1, max_size=8))
def test_damage_causes_at_most_a_rejection(sound, place, values):
    path, data = sound
    path.write_bytes(data[:place] + values + data[place + len(values) :])
    tracemalloc.start()
    try:
        read_all(path)
    except CheckpointError as error:
        assert "m.gguf" in str(error)
        assert error.remedy
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 4_000_000


def swapped(data, found, replacement):
    assert found in data
    return data.replace(found, replacement, 1)


DAMAGES = {
    "no magic": lambda data: b"GGML" + data[4:],
    "version": lambda data: data[:4] + struct.pack("<I", 1) + data[8:],
    "big-endian": lambda data: data[:4] + struct.pack(">I", 3) + data[8:],
    "tensor count": lambda data: data[:8] + struct.pack("<Q", 2**63) + data[16:],
    "key count": lambda data: data[:16] + struct.pack("<Q", 2**64 - 1) + data[24:],
    "long string": lambda data: swapped(data, struct.pack("<Q", 5) + b"llama", struct.pack("<Q", 2**62) + b"llama"),
    "long array": lambda data: swapped(data, struct.pack("<IQ", 8, 98), struct.pack("<IQ", 8, 2**62)),
    "nested array": lambda data: swapped(data, struct.pack("<IQ", 8, 98), struct.pack("<IQ", 9, 98)),
    "huge tensor": lambda data: swapped(data, struct.pack("<QQ", 8, 99), struct.pack("<QQ", 8, 2**60)),
    "huge row": lambda data: swapped(data, struct.pack("<QQ", 8, 99), struct.pack("<QQ", 2**63, 99)),
    "empty tensor": lambda data: swapped(data, struct.pack("<QQ", 8, 99), struct.pack("<QQ", 8, 0)),
    "dimensions": lambda data: swapped(data, struct.pack("<IQQ", 2, 8, 99), struct.pack("<IQQ", 2**31, 8, 99)),
    "type": lambda data: swapped(data, struct.pack("<QQI", 8, 99, 0), struct.pack("<QQI", 8, 99, 200)),
    "blocks": lambda data: swapped(data, struct.pack("<QQI", 8, 99, 0), struct.pack("<QQI", 8, 99, 8)),
    "offset": lambda data: swapped(data, struct.pack("<QQIQ", 8, 99, 0, 0), struct.pack("<QQIQ", 8, 99, 0, 32)),
    "name twice": lambda data: swapped(data, b"attn_k.weight", b"attn_q.weight"),
    "no text": lambda data: swapped(data, b"llama.block_count", b"llama.\xff\xfe\xfdck_count"),
    "key twice": lambda data: swapped(data, b"llama.context_length", b"general.architecture"),
    "alignment": lambda data: swapped(
        data, b"llama.block_count" + struct.pack("<II", 4, 1), b"general.alignment" + struct.pack("<II", 4, 3)
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_rejects_a_damaged_header(name, sound):
    path, data = sound
    path.write_bytes(DAMAGES[name](data))
    with pytest.raises(CheckpointError, match=r"m\.gguf: is not a valid GGUF file: .*Get the file again"):
        GgufFile(path)


def test_rejects_folders_and_missing_files(tmp_path):
    for path in (tmp_path, tmp_path / "none.gguf"):
        with pytest.raises(CheckpointError, match="is not a file"):
            GgufFile(path)


def replaced(name, values):
    def change(writer):
        del writer.tensors[0][name]
        if values is not None:
            writer.add_tensor(name, values)

    return change


def setting(key, value):
    """Write ``value`` in place of the config's."""

    def change(writer):
        kind = gguf.GGUFValueType.get_type(value)
        writer.kv_data[0][f"llama.{key}"] = gguf.gguf_writer.GGUFValue(value=value, type=kind)

    return change


def zeros(*shape):
    return np.zeros(shape, np.float32)


REFUSALS = {
    "unknown tensor": (lambda writer: writer.add_tensor("blk.0.ffn_gate_exps.weight", zeros(2, 96, 64)), "gate_exps"),
    "unknown bias": (lambda writer: writer.add_tensor("output_norm.bias", zeros(64)), r"output_norm\.bias"),
    "missing tensor": (replaced("blk.1.ffn_up.weight", None), "does not hold the weights of 2 layers"),
    "no embedding": (replaced("token_embd.weight", None), r"has no tensor 'model\.embed_tokens\.weight'"),
    "shape": (replaced("blk.1.attn_k.weight", zeros(30, 64)), r"of shape \(30, 64\), which contradicts"),
    "integers": (replaced("blk.1.attn_k.weight", np.zeros((32, 64), np.int32)), "stored as I32, which cannot be read"),
    "too many layers": (setting("block_count", 2**31 - 1), "does not hold the weights"),
    "too few layers": (setting("block_count", 1), "does not hold the weights of 1 layers"),
    "no heads": (setting("attention.head_count", 0), "has 0 as 'llama.attention.head_count'"),
    "differing layers": (setting("attention.head_count_kv", [2, 4]), "where one positive whole number"),
    "not a number": (setting("rope.freq_base", float("nan")), "where a positive number is needed"),
    "no epsilon": (setting("attention.layer_norm_rms_epsilon", "small"), "where a positive number is needed"),
    "partly turned": (setting("rope.dimension_count", 8), "heads of width 16, and 8 as 'rope.dimension_count'"),
    "yarn": (setting("rope.scaling.type", "yarn"), "the RoPE scaling 'yarn'; supported: linear and Llama 3's"),
    "other factors": (lambda writer: writer.add_tensor("rope_freqs.weight", zeros(8) + 2), "is not Llama 3's RoPE"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_rejects_models_that_no_graph_can_use(name, tmp_path):
    change, message = REFUSALS[name]
    model = random_model("llama")
    writer = start(tmp_path / "m.gguf", "llama", model.config)
    add_weights(writer, "llama", model)
    change(writer)
    finish(writer)
    with pytest.raises(CheckpointError, match=rf"m\.gguf: .*{message}"):
        GgufFile(tmp_path / "m.gguf")


def test_rejects_unknown_architecture_and_unknown_tensor(tmp_path):
    model = random_model("llama")
    path = write_model(tmp_path / "m.gguf", "llama", model)
    with pytest.raises(CheckpointError, match=r"m\.gguf: has no tensor 'z'; it has lm_head\.weight"):
        GgufFile(path).read("z")
    path.write_bytes(path.read_bytes().replace(b"llama", b"mamba"))
    with pytest.raises(CheckpointError, match="architecture 'mamba'; supported: llama, qwen2, qwen3"):
        GgufFile(path)
