"""Matrices whose weights, or whose scales, are too small for float16."""

import zlib

import numpy as np
import pytest

from lilliput.formats.weights import Scheme
from lilliput.graph.stored import ALIGNMENT
from lilliput.quantize.stream import stream
from tests.quantize.test_stream import SCHEMES, checkpoint, places_in, read_back, uniform

ROUNDED = [name for name in SCHEMES if name != "fp32"]


def shrink(array):
    array *= 1e-8


@pytest.mark.parametrize("name", ROUNDED)
def test_too_small_weight_stays_float32(name, tmp_path):
    pieces, tensors = checkpoint(tmp_path / "checkpoint", layers__0__up__weight=shrink)
    places = places_in(tmp_path)
    entries = {entry.name: entry for entry in stream(pieces, tensors, uniform(SCHEMES[name]), places)}
    raw, small = places.weights.read_bytes(), entries["layers.0.up.weight"]
    assert small.scheme == Scheme("fp32")
    np.testing.assert_array_equal(read_back(small, raw), tensors.read(small.name))
    assert small.relative_error == small.largest_error == 0
    assert small.checksum == zlib.crc32(raw[small.places["codes"][0] :][: small.size])
    others = {one.scheme.format for one in entries.values() if one.name.endswith(("up.weight", "down.weight"))}
    assert others == {"fp32", SCHEMES[name].format}
    assert len(raw) < sum(one.size for one in entries.values()) + ALIGNMENT * 3 * len(entries)  # no codes are left


def clear(array):
    array *= 0


def shrink_rows(array):
    array[1:] *= 1e-8


@pytest.mark.parametrize("name", ROUNDED)
@pytest.mark.parametrize("change", [clear, shrink_rows])
def test_zeros_and_negligible_rows_are_rounded(name, change, tmp_path):
    pieces, tensors = checkpoint(tmp_path / "checkpoint", layers__0__up__weight=change)
    entries = {entry.name: entry for entry in stream(pieces, tensors, uniform(SCHEMES[name]), places_in(tmp_path))}
    assert entries["layers.0.up.weight"].scheme.format == SCHEMES[name].format


def below_normal(array):
    array *= 2.0**-15 / np.abs(array).max()


def test_float16_is_used_only_where_it_keeps_all_digits(tmp_path):
    """Half of the smallest normal number is too small; subnormal values that float16 holds exactly are not."""
    changes = {"layers__0__up__weight": below_normal, "layers__0__down__weight": exact}
    pieces, tensors = checkpoint(tmp_path / "checkpoint", **changes)
    entries = {entry.name: entry for entry in stream(pieces, tensors, uniform(SCHEMES["fp16"]), places_in(tmp_path))}
    formats = {name: entries[f"layers.0.{name}.weight"].scheme.format for name in ("up", "down")}
    assert formats == {"up": "fp32", "down": "fp16"}


def exact(array):
    array[:] = np.sign(array) * 2.0**-20
