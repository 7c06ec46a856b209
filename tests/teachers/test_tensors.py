"""Tensors of safetensors folders: equal to the reference reader's, by rows too; damaged files are rejected."""

import json
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from lilliput.errors import CheckpointError
from lilliput.teachers import torch_tensors
from lilliput.teachers.tensors import INDEX, SINGLE, SafetensorsFolder


def write(folder, dtype=torch.float32, name=SINGLE):
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "a.weight": torch.randn(7, 5, generator=generator).to(dtype),
        "b": torch.randn(11, generator=generator).to(dtype),
        "c": torch.randn(2, 3, 4, generator=generator).to(dtype),
        "scalar": torch.tensor(1.5).to(dtype),
    }
    save_file(tensors, folder / name)
    return tensors


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_values_survive(dtype, tmp_path):
    written = write(tmp_path, dtype)
    tensors = SafetensorsFolder(tmp_path)
    assert set(tensors) == set(written)
    for name, value in written.items():
        assert tensors.shape(name) == tuple(value.shape)
        found = tensors.read(name)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, value.float().numpy())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 7), st.integers(0, 7))
def test_rows_equal_those_of_the_whole_tensor(tmp_path_factory, first, last):
    folder = tmp_path_factory.mktemp("rows")
    written = write(folder, torch.bfloat16)["a.weight"].float().numpy()
    np.testing.assert_array_equal(SafetensorsFolder(folder).read("a.weight", slice(first, last)), written[first:last])


def shards(folder):
    written = write(folder, name="model-1.safetensors")
    save_file({"d": torch.ones(3)}, folder / "model-2.safetensors")
    places = dict.fromkeys(written, "model-1.safetensors") | {"d": "model-2.safetensors"}
    (folder / INDEX).write_text(json.dumps({"weight_map": places}))


def test_shards_are_found_through_the_index(tmp_path):
    shards(tmp_path)
    tensors = SafetensorsFolder(tmp_path)
    assert "d" in tensors
    assert tensors.read("d").tolist() == [1, 1, 1]


def test_missing_shard_is_named(tmp_path):
    shards(tmp_path)
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-2\.safetensors: is missing"):
        SafetensorsFolder(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:30],
        lambda data: b"",
        lambda data: struct.pack("<Q", 2**60) + data[8:],
        lambda data: data[:8] + b"x" + data[9:],
        lambda data: data.replace(b"[7,5]", b"[9,5]"),
        lambda data: data.replace(b'"F32"', b'"F99"', 1),
        lambda data: struct.pack("<Q", 100_000) + b"[" * 100_000,
        lambda data: data[:8] + b"\xff" + data[9:],
    ],
)
def test_rejects_a_damaged_file(damage, tmp_path):
    write(tmp_path)
    path = tmp_path / SINGLE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"model\.safetensors: is not a valid safetensors file"):
        SafetensorsFolder(tmp_path)


def of_header(header, data):
    text = json.dumps(header) if isinstance(header, dict) else header
    return struct.pack("<Q", len(text)) + text.encode() + data


def entry(first, last, shape=(2,), kind="F32"):
    return {"dtype": kind, "shape": list(shape), "data_offsets": [first, last]}


CRAFTED = {
    "overlapping": ({"a": entry(0, 8), "b": entry(4, 12)}, "tensor 'b' is at 4 instead of 8"),
    "the same bytes": ({"a": entry(0, 8), "b": entry(0, 8), "c": entry(8, 12, (1,))}, "tensor 'b' is at 0 instead"),
    "a hole": ({"a": entry(0, 4, (1,)), "b": entry(8, 12, (1,))}, "tensor 'b' is at 8 instead of 4"),
    "a late start": ({"a": entry(4, 12)}, "tensor 'a' is at 4 instead of 0"),
    "a name that comes twice": (
        f'{{"a": {json.dumps(entry(0, 8))}, "a": {json.dumps(entry(8, 12, (1,)))}}}',
        "it has 'a' twice",
    ),
    "a shape of fractions": ({"a": entry(0, 12, (3.5,))}, "offsets or a shape that are not whole numbers"),
    "places that are true": ({"a": entry(False, 12, (3,))}, "not whole numbers"),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_rejects_a_crafted_header(name, tmp_path):
    header, words = CRAFTED[name]
    (tmp_path / SINGLE).write_bytes(of_header(header, bytes(12)))
    with pytest.raises(CheckpointError, match=words):
        SafetensorsFolder(tmp_path)


def test_tensors_may_be_listed_in_any_order(tmp_path):
    header = {"b": entry(8, 12, (1,)), "nothing": entry(8, 8, (0,)), "a": entry(0, 8)}
    (tmp_path / SINGLE).write_bytes(of_header(header, np.arange(3, dtype="<f4").tobytes()))
    tensors = SafetensorsFolder(tmp_path)
    assert [tensors.read(name).tolist() for name in ("a", "b", "nothing")] == [[0, 1], [2], []]


def test_integer_codes_are_rejected_as_weights(tmp_path):
    save_file({"a.weight": torch.ones(3, dtype=torch.int8), "mask": torch.ones(3, dtype=torch.bool)}, tmp_path / SINGLE)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: holds the tensor 'a\.weight' as I8: codes"):
        SafetensorsFolder(tmp_path).shape("a.weight")


def torch_shards(folder):
    for number in (1, 2):
        path = folder / f"model-{number}.safetensors"
        torch.save(load_file(path), folder / f"pytorch_model-{number}.bin")
        path.unlink()
    places = json.loads((folder / INDEX).read_text())["weight_map"]
    places = {
        name: file.replace("model", "pytorch_model").replace("safetensors", "bin") for name, file in places.items()
    }
    (folder / torch_tensors.INDEX).write_text(json.dumps({"weight_map": places}))


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("listed", [False, True])
def test_rejects_a_tensor_in_two_shards_or_in_another_than_indexed(pickled, listed, tmp_path):
    shards(tmp_path)
    places = json.loads((tmp_path / INDEX).read_text())
    if listed:
        places["weight_map"]["b"] = "model-2.safetensors"
    else:
        save_file({"d": torch.ones(3), "b": torch.ones(11)}, tmp_path / "model-2.safetensors")
        del places["weight_map"]["b"]
    (tmp_path / INDEX).write_text(json.dumps(places))
    if pickled:
        torch_shards(tmp_path)
    kind = torch_tensors.TorchFiles if pickled else SafetensorsFolder
    with pytest.raises(
        CheckpointError, match=rf"model-{2 - listed}\..*'b', which belongs in .*model-{1 + listed}\..* alone"
    ):
        kind(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": {"a": "../secret"}}', '{"weight_map": {"a": 1}}'])
def test_rejects_a_damaged_or_malicious_index(content, tmp_path):
    (tmp_path / INDEX).write_text(content)
    with pytest.raises(CheckpointError, match="index"):
        SafetensorsFolder(tmp_path)


def test_unknown_tensor_and_empty_folder_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds neither model\.safetensors nor"):
        SafetensorsFolder(tmp_path)
    write(tmp_path)
    with pytest.raises(CheckpointError, match=r"no tensor 'z'; it has a\.weight"):
        SafetensorsFolder(tmp_path).read("z")
