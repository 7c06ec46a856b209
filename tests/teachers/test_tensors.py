"""Tensors of safetensors folders: equal to the reference reader's, by rows too; damaged files are refused."""

import json
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lilliput.errors import CheckpointError
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
def test_values_are_those_written(dtype, tmp_path):
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
def test_rows_are_those_of_the_whole(tmp_path_factory, first, last):
    folder = tmp_path_factory.mktemp("rows")
    written = write(folder, torch.bfloat16)["a.weight"].float().numpy()
    np.testing.assert_array_equal(SafetensorsFolder(folder).read("a.weight", slice(first, last)), written[first:last])


def shards(folder):
    written = write(folder, name="model-1.safetensors")
    save_file({"d": torch.ones(3)}, folder / "model-2.safetensors")
    places = dict.fromkeys(written, "model-1.safetensors") | {"d": "model-2.safetensors"}
    (folder / INDEX).write_text(json.dumps({"weight_map": places}))


def test_shards_are_found_by_their_index(tmp_path):
    shards(tmp_path)
    tensors = SafetensorsFolder(tmp_path)
    assert "d" in tensors
    assert tensors.read("d").tolist() == [1, 1, 1]


def test_a_missing_shard_is_named(tmp_path):
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
def test_a_damaged_file_is_refused(damage, tmp_path):
    write(tmp_path)
    path = tmp_path / SINGLE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match=r"model\.safetensors: is no sound safetensors file"):
        SafetensorsFolder(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": {"a": "../secret"}}', '{"weight_map": {"a": 1}}'])
def test_a_damaged_or_malicious_index_is_refused(content, tmp_path):
    (tmp_path / INDEX).write_text(content)
    with pytest.raises(CheckpointError, match="index"):
        SafetensorsFolder(tmp_path)


def test_an_unknown_name_and_an_empty_folder(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds neither model\.safetensors nor"):
        SafetensorsFolder(tmp_path)
    write(tmp_path)
    with pytest.raises(CheckpointError, match=r"no tensor 'z'; it has a\.weight"):
        SafetensorsFolder(tmp_path).read("z")
