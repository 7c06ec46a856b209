"""Matrices whose weights are too small for the scales of float16."""

import zlib

import numpy as np
import pytest

from lilliput.formats.weights import Scheme
from lilliput.graph.stored import ALIGNMENT
from lilliput.quantize.stream import stream
from tests.quantize.test_stream import SCHEMES, checkpoint, places_in, read_back, uniform

CODES = [name for name, scheme in SCHEMES.items() if not scheme.kind.floating]


def shrink(array):
    array *= 1e-8


@pytest.mark.parametrize("name", CODES)
def test_a_weight_too_small_for_scales_stays_as_it_is(name, tmp_path):
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


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("change", [clear, shrink_rows])
def test_zeros_and_rows_that_hardly_matter_are_codes(name, change, tmp_path):
    pieces, tensors = checkpoint(tmp_path / "checkpoint", layers__0__up__weight=change)
    entries = {entry.name: entry for entry in stream(pieces, tensors, uniform(SCHEMES[name]), places_in(tmp_path))}
    assert entries["layers.0.up.weight"].scheme.format == SCHEMES[name].format
