"""Streaming weights into a file: contents, order, and resuming after a kill."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from lilliput.errors import CheckpointError, UserError
from lilliput.formats.weights import NF4, ROW, TENSOR, Scheme
from lilliput.graph.pieces import Piece, transposed
from lilliput.graph.stored import ALIGNMENT
from lilliput.quantize.policy import Policy, policy
from lilliput.quantize.rounding import nearest
from lilliput.quantize.stream import Places, stream
from lilliput.teachers.tensors import SafetensorsFolder

SHAPES = {
    "embedding.weight": (50, 64),
    "layers.0.up.weight": (27, 96),
    "layers.0.up.bias": (27,),
    "layers.0.down.weight": (33, 97),
    "positions.weight": (5, 64),
    "head.weight": (50, 64),
}
SCHEMES = {
    "fp32": Scheme("fp32"),
    "fp16": Scheme("fp16"),
    "int8, rows": Scheme("int8"),
    "int8, one scale": Scheme("int8", True, TENSOR),
    "int8, one scale and zero point": Scheme("int8", False, TENSOR),
    "int8, groups with zero points": Scheme("int8", False, 32),
    "int4, groups": Scheme("int4", True, 32),
    "int4, groups with zero points": Scheme("int4", False, 16),
    "nf4": Scheme("nf4", True, 64),
    "nf4, one scale": Scheme("nf4", True, TENSOR),
    "int3": Scheme("int3", False, 32),
    "int2": Scheme("int2", True, 16),
    "int2, one scale": Scheme("int2", True, TENSOR),
    "int2 with zero points": Scheme("int2", False, ROW),
}
MIXED = Policy(Scheme("int4", False, 32), Scheme("int8"), Scheme("int2", True, 16))


def checkpoint(folder, **changes):
    """Random tensors in a folder, and the location of each of our weights."""
    generator = np.random.default_rng(0)
    arrays = {name: generator.normal(0, 0.1, shape).astype(np.float32) for name, shape in SHAPES.items()}
    for name, change in changes.items():
        change(arrays[name.replace("__", ".")])
    folder.mkdir(exist_ok=True)
    save_file(arrays, folder / "model.safetensors")
    return {name: Piece(name) for name in SHAPES}, SafetensorsFolder(folder)


@pytest.fixture
def opened(tmp_path):
    return checkpoint(tmp_path / "checkpoint")


def places_in(folder):
    folder.mkdir(exist_ok=True)
    return Places(folder / "model.bin", folder / "journal.jsonl")


def uniform(scheme):
    return Policy(scheme, scheme, scheme)


def number_of(raw, bits, signed):
    """The codes in ``raw``, read bit by bit."""
    split = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little").reshape(-1, bits)
    codes = split @ (1 << np.arange(bits))
    return np.where(codes >= 2 ** (bits - 1), codes - 2**bits, codes) if signed else codes


def read_back(entry, raw):
    """The weight that the file holds, decoded by the definition of the format, in float64."""
    part = {name: raw[first : first + size] for name, (first, size) in entry.places.items()}
    scheme = entry.scheme
    if scheme.kind.floating:
        return np.frombuffer(part["codes"], f"<f{scheme.kind.bits // 8}").astype(np.float64).reshape(entry.shape)
    rows, width = entry.shape
    bits = scheme.kind.stored_bits
    scales = np.frombuffer(part["scales"], "<f2").astype(np.float64)
    codes = number_of(part["codes"], bits, "zeros" not in part and scheme.format != "nf4")[: rows * width]
    codes = NF4[codes].astype(np.float64) if scheme.format == "nf4" else codes.astype(np.float64)
    codes = codes.reshape(len(scales), -1)
    if "zeros" in part:
        codes = codes - number_of(part["zeros"], bits, False)[: len(scales), None]
    return (codes * scales[:, None]).reshape(rows, width)


@pytest.mark.parametrize("name", SCHEMES)
def test_reported_errors_are_those_of_the_file(name, opened, tmp_path):
    pieces, tensors = opened
    places = places_in(tmp_path)
    entries = stream(pieces, tensors, uniform(SCHEMES[name]), places)
    raw = places.weights.read_bytes()
    for entry in entries:
        weight = tensors.read(entry.name).astype(np.float64)
        error = read_back(entry, raw) - weight
        assert entry.relative_error == pytest.approx(np.linalg.norm(error) / np.linalg.norm(weight), rel=1e-4, abs=1e-7)
        assert entry.largest_error == pytest.approx(np.abs(error).max(), rel=1e-4, abs=1e-7)
        assert entry.checksum == zlib.crc32(b"".join(raw[a : a + n] for a, n in entry.places.values()))


def test_entries_are_ordered_aligned_and_disjoint(opened, tmp_path):
    pieces, tensors = opened
    places = places_in(tmp_path)
    entries = stream(pieces, tensors, MIXED, places)
    assert [entry.name for entry in entries] == list(pieces)
    assert [entry.shape for entry in entries] == list(SHAPES.values())
    spans = [place for entry in entries for place in entry.places.values()]
    raw = places.weights.read_bytes()
    end = 0
    for first, size in spans:
        assert first % ALIGNMENT == 0
        assert end <= first < end + ALIGNMENT
        assert not any(raw[end:first])
        end = first + size
    assert end == len(raw)
    assert [json.loads(line) for line in places.journal.read_text().splitlines()] == [e.as_dict() for e in entries]


def test_vectors_and_small_tables_stay_unchanged(opened, tmp_path):
    pieces, tensors = opened
    places = places_in(tmp_path)
    entries = {entry.name: entry for entry in stream(pieces, tensors, uniform(Scheme("int2")), places)}
    for name in ("layers.0.up.bias", "positions.weight"):
        np.testing.assert_array_equal(read_back(entries[name], places.weights.read_bytes()), tensors.read(name))
        assert entries[name].relative_error == entries[name].largest_error == 0


@pytest.mark.parametrize(("group", "fitted"), [(128, [96, 97]), (64, [32, ROW])])
def test_group_that_does_not_divide_the_width_is_fitted(group, fitted, opened, tmp_path):
    pieces, tensors = opened
    entries = stream(pieces, tensors, policy("int4", group=group), places_in(tmp_path))
    schemes = {entry.name: entry.scheme for entry in entries}
    assert [schemes[f"layers.0.{part}.weight"].group for part in ("up", "down")] == fitted
    assert schemes["embedding.weight"] == Scheme("int8")


@pytest.mark.parametrize("name", SCHEMES)
def test_blocks_of_rows_give_the_same_bytes_as_one_block(name, opened, tmp_path, monkeypatch):
    pieces, tensors = opened
    whole = stream(pieces, tensors, uniform(SCHEMES[name]), places_in(tmp_path / "whole"))
    monkeypatch.setattr("lilliput.quantize.source.BLOCK_BYTES", 1000)
    parts = stream(pieces, tensors, uniform(SCHEMES[name]), places_in(tmp_path / "parts"))
    assert (tmp_path / "whole" / "model.bin").read_bytes() == (tmp_path / "parts" / "model.bin").read_bytes()
    for one, other in zip(whole, parts, strict=True):
        assert (one.places, one.checksum) == (other.places, other.checksum)
        assert one.relative_error == pytest.approx(other.relative_error, rel=1e-5)
        assert one.largest_error == other.largest_error


class Nearest:
    """Nearest rounding that records its calls."""

    def __init__(self):
        self.resumed_with, self.asked, self.rounded = None, [], []

    def resume(self, done, file):
        self.resumed_with = done, file

    def change(self, name, weight):
        self.asked.append(name)
        return weight

    def round(self, name, weight, scheme):
        self.rounded.append(name)
        return nearest(weight, scheme)


class Unbroken:
    """An uninterrupted run."""

    def __init__(self, folder):
        self.pieces, self.tensors = checkpoint(folder / "checkpoint")
        self.folder = folder
        self.places = places_in(folder / "whole")
        self.entries = stream(self.pieces, self.tensors, MIXED, self.places)
        self.weights, self.journal = self.places.weights.read_bytes(), self.places.journal.read_bytes()

    def resumed(self, weights, journal):
        """Resume from these bytes, check that the result is the same, and return the names of the weights read."""
        places, rounding = places_in(self.folder / "broken"), Nearest()
        for path, content in ((places.weights, weights), (places.journal, journal)):
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
        assert stream(self.pieces, self.tensors, MIXED, places, rounding=rounding) == self.entries
        assert places.weights.read_bytes() == self.weights
        assert places.journal.read_bytes() == self.journal
        assert list(rounding.resumed_with[0]) + rounding.asked == list(self.pieces)
        return rounding.asked


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    return Unbroken(tmp_path_factory.mktemp("unbroken"))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_resumes_from_files_cut_anywhere(data, unbroken):
    weights = data.draw(st.integers(0, len(unbroken.weights)))
    journal = data.draw(st.integers(0, len(unbroken.journal)))
    ends = np.cumsum([len(line) for line in unbroken.journal.splitlines()]) + np.arange(len(unbroken.pieces))
    whole = [
        all(first + size <= weights for first, size in entry.places.values()) and end <= journal
        for entry, end in zip(unbroken.entries, ends, strict=True)
    ]
    names = list(unbroken.pieces)
    assert unbroken.resumed(unbroken.weights[:weights], unbroken.journal[:journal]) == names[sum(whole) :]


def test_bytes_beyond_the_journal_are_truncated(unbroken):
    assert unbroken.resumed(unbroken.weights + b"half a weight", unbroken.journal) == []


@pytest.mark.parametrize(("weights", "journal"), [(None, b""), (b"", None), (None, None), (b"old", b"\xff\xfe\x00")])
def test_starts_over_if_either_file_is_missing(weights, journal, unbroken):
    assert unbroken.resumed(weights, journal) == list(unbroken.pieces)


@pytest.mark.parametrize("line", ["{}", "[]", "1", '{"places": []}', '{"places": {"codes": [0]}}', "\x00\x00"])
def test_starts_over_if_the_journal_is_invalid(line, unbroken):
    assert unbroken.resumed(unbroken.weights, f"{line}\n".encode()) == list(unbroken.pieces)


@pytest.mark.parametrize("place", range(len(SHAPES)))
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_flipped_byte_is_noticed_and_redone(place, share, unbroken):
    spans = list(unbroken.entries[place].places.values())
    first, size = spans[int(share * (len(spans) - 1))]
    damaged = bytearray(unbroken.weights)
    damaged[first + int(share * (size - 1))] ^= 0x10
    assert unbroken.resumed(bytes(damaged), unbroken.journal) == list(unbroken.pieces)[place:]


@pytest.mark.parametrize("scheme", [Scheme("fp32"), Scheme("fp16"), Scheme("int8"), Scheme("int4", True, TENSOR)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rounding", [None, Nearest()])
def test_rejects_nan_and_infinity_by_name(scheme, value, rounding, tmp_path):
    pieces, tensors = checkpoint(tmp_path / "checkpoint", layers__0__down__weight=lambda a: a.__setitem__(-1, value))
    with pytest.raises(CheckpointError, match=r"tensor 'layers.0.down.weight' has weights that are not finite"):
        stream(pieces, tensors, uniform(scheme), places_in(tmp_path), rounding=rounding)


def test_rejects_nan_in_a_vector_by_name(tmp_path):
    pieces, tensors = checkpoint(tmp_path / "checkpoint", layers__0__up__bias=lambda a: a.__setitem__(3, np.nan))
    with pytest.raises(CheckpointError, match=r"tensor 'layers.0.up.bias'"):
        stream(pieces, tensors, policy("int8"), places_in(tmp_path))


def test_infinities_of_both_signs_do_not_cancel(tmp_path):
    both = [np.inf, -np.inf, *[0] * 95]
    pieces, tensors = checkpoint(tmp_path / "checkpoint", layers__0__down__weight=lambda a: a.__setitem__(0, both))
    with pytest.raises(CheckpointError, match=r"layers.0.down.weight"):
        stream(pieces, tensors, policy("int8"), places_in(tmp_path))


def test_large_finite_weights_are_not_infinities(tmp_path):
    pieces, tensors = checkpoint(tmp_path / "checkpoint", layers__0__down__weight=lambda a: a.fill(3e38))
    entries = {entry.name: entry for entry in stream(pieces, tensors, policy("fp32"), places_in(tmp_path))}
    assert entries["layers.0.down.weight"].relative_error == 0


def test_weights_beyond_float16_are_rejected_as_such(tmp_path):
    pieces, tensors = checkpoint(tmp_path / "checkpoint", layers__0__down__weight=lambda a: a.__setitem__(0, 7e4))
    with pytest.raises(CheckpointError, match=r"beyond float16 in tensor 'layers.0.down.weight'. Choose another"):
        stream(pieces, tensors, policy("fp16"), places_in(tmp_path))


@pytest.mark.parametrize("name", ["int8", "int4", "nf4", "int2"])
def test_weights_beyond_every_scale_are_rejected_as_such(name, tmp_path):
    pieces, tensors = checkpoint(tmp_path / "checkpoint", layers__0__down__weight=lambda a: a.__setitem__(0, 1e30))
    with pytest.raises(CheckpointError, match=r"too large for .* in tensor 'layers.0.down.weight'.*--weights fp32"):
        stream(pieces, tensors, policy(name), places_in(tmp_path))


def test_missing_tensor_is_named(opened, tmp_path):
    pieces, tensors = opened
    with pytest.raises(CheckpointError, match="no tensor 'gone'"):
        stream({**pieces, "layers.1.up.weight": Piece("gone")}, tensors, policy("int8"), places_in(tmp_path))


@pytest.mark.parametrize("change", [lambda array: array.reshape(7, -1), lambda array: array[40:], lambda a: a[[40]]])
def test_tensor_of_another_shape_is_named(change, opened, tmp_path):
    pieces, tensors = opened
    odd = Piece("layers.0.down.weight", change)
    with pytest.raises(CheckpointError, match=r"tensor 'layers.0.down.weight' has the shape \(33, 97\)"):
        stream({**pieces, "layers.0.down.weight": odd}, tensors, policy("int8"), places_in(tmp_path))


class Doubled(Nearest):
    def change(self, name, weight):
        return 2 * super().change(name, weight)


def test_weights_are_changed_before_rounding(opened, tmp_path):
    pieces, tensors = opened
    pieces = {**pieces, "layers.0.up.weight": Piece("layers.0.up.weight", transposed)}
    places = places_in(tmp_path)
    entries = stream(pieces, tensors, policy("fp32"), places, rounding=Doubled())
    entry = next(entry for entry in entries if entry.name == "layers.0.up.weight")
    expected = 2 * tensors.read("layers.0.up.weight").T
    np.testing.assert_array_equal(read_back(entry, places.weights.read_bytes()), expected)


class Negating(Nearest):
    def round(self, name, weight, scheme):
        return super().round(name, -weight, scheme)


def test_custom_rounding_gets_matrices_only(opened, tmp_path):
    pieces, tensors = opened
    rounding, places = Negating(), places_in(tmp_path)
    entries = stream(pieces, tensors, MIXED, places, rounding=rounding)
    matrices = ["embedding.weight", "layers.0.up.weight", "layers.0.down.weight", "head.weight"]
    assert rounding.resumed_with == ({}, places.weights)
    assert rounding.asked == list(pieces)
    assert rounding.rounded == matrices
    assert {entry.name for entry in entries if entry.relative_error > 1} == set(matrices)


def test_unwritable_place_is_rejected(opened, tmp_path):
    pieces, tensors = opened
    with pytest.raises(UserError, match="cannot write"):
        stream(pieces, tensors, policy("int8"), Places(Path("/proc/model.bin"), tmp_path / "journal.jsonl"))
