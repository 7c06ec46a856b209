"""Input ranges of a stored decoder's layers against the inputs of transformers' layers."""

import dataclasses

import numpy as np
import pytest
import torch

from lilliput.errors import CheckpointError
from lilliput.formats.precision import ActivationRange
from lilliput.progress import Progress
from lilliput.quantize import passes, ranges
from lilliput.quantize.calibration import Tokens
from lilliput.quantize.policy import policy
from lilliput.quantize.ranges import Stored, input_ranges
from lilliput.quantize.stream import Places, stream
from lilliput.teachers.generator import open_generator
from tests.graph.test_decoders import EXACT
from tests.quantize.seq2seq_inputs import DATA, Seq2Seq
from tests.verbs.tiny_checkpoints import LLAMA, PLAIN, VOCABULARY, checkpoint

IDS = np.random.default_rng(0).integers(3, VOCABULARY, (6, 24))
PIECES = (Tokens.of(IDS),)
DECODERS = [kind for kind in PLAIN if kind not in ("t5", "bart", "plbart")]


def stored(folder, kind, options, weights="fp32"):
    """Transformers' model, and the same model as stored."""
    theirs = checkpoint(folder, kind, options)
    model = open_generator(folder)
    places = Places(folder / "weights.bin", folder / "journal.jsonl")
    entries = stream(model.pieces, model.tensors, policy(weights), places)
    return theirs, Stored(model.config, entries, places.weights)


def linear_inputs(model, ids):
    """Inputs of all transformers' linear layers but the last: name -> values."""
    seen = {}
    handles = [
        module.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0].numpy()}))
        for name, module in model.named_modules()
        if type(module).__name__ in ("Linear", "Conv1D") and not name.endswith(("lm_head", "embed_out"))
    ]
    with torch.no_grad():
        model(torch.from_numpy(ids))
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("kind", DECODERS)
def test_ranges_match_the_inputs_of_transformers_layers(kind, tmp_path):
    theirs, decoder = stored(tmp_path / "model", *PLAIN[kind])
    found = input_ranges(decoder, PIECES, "minmax", tmp_path / "kept.npz", Progress())
    layers = [layer for one in found for layer in one.layers]
    matrices = {e.name for e in decoder.entries if len(e.shape) == 2 and e.name.startswith("layers.")}
    assert {f"{layer}.weight" for layer in layers} == matrices
    assert len(layers) == len(set(layers))
    read = linear_inputs(theirs, IDS).values()
    expected = np.array(sorted({(min(0, values.min()), max(0, values.max())) for values in read}))
    ours = np.array([(one.range.low, one.range.high) for one in found])
    assert ours.shape == expected.shape
    near = np.isclose(ours[:, None], expected, rtol=0.03, atol=0.01).all(axis=-1)  # the passes are in bfloat16
    assert near.any(axis=0).all()
    assert near.any(axis=1).all()


@pytest.mark.parametrize("name", ["t5, gated, untied", "plbart"])
def test_ranges_of_an_encoder_decoder_match_transformers(name, tmp_path, monkeypatch):
    """Compare by name, in float32; padding of sources and targets is excluded."""
    monkeypatch.setattr(passes, "ENGINE", EXACT)
    model = Seq2Seq(name, tmp_path / "model")
    places = Places(tmp_path / "weights.bin", tmp_path / "journal.jsonl")
    entries = stream(model.original.pieces, model.original.tensors, policy("fp32"), places)
    stored = Stored(model.original.config, entries, places.weights)
    found = input_ranges(stored, DATA, "minmax", tmp_path / "kept.npz", Progress())
    ours = {layer: (one.range.low, one.range.high) for one in found for layer in one.layers}
    expected = {layer: (min(0, values.min()), max(0, values.max())) for layer, values in model.reads().items()}
    del expected["head"]
    assert ours.keys() == expected.keys()
    for layer, ends in ours.items():
        np.testing.assert_allclose(ends, expected[layer], rtol=1e-4, atol=1e-5, err_msg=layer)
    (memory,) = [one for one in found if "decoder.layers.0.cross_key" in one.layers]
    assert len(memory.layers) == 2 * stored.config.decoder.layers
    size = ranges.bytes_kept(stored.config.hidden, DATA)
    assert (tmp_path / "kept.npz").stat().st_size <= size + 20_000


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return stored(tmp_path_factory.mktemp("llama"), *LLAMA, weights="int8")


def look(llama, folder, method="mse"):
    return input_ranges(llama[1], PIECES, method, folder / "kept.npz", Progress())


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse", "entropy"])
def test_two_runs_find_the_same_ranges(method, llama, tmp_path):
    one = look(llama, tmp_path, method)
    (tmp_path / "kept.npz").unlink()
    assert look(llama, tmp_path, method) == one
    assert len(one) == 2 * 4


class Killed(BaseException):
    """Stands in for the death of the process."""


def test_resumes_to_the_same_ranges_after_kill(llama, tmp_path, monkeypatch):
    expected = look(llama, tmp_path)
    (tmp_path / "kept.npz").unlink()
    original_look, seen = ranges._look, []

    def killing(model, stage, flow, method):
        seen.append(stage.own)
        if seen == ["", "layers.0.", "layers.1."]:
            raise Killed
        return original_look(model, stage, flow, method)

    monkeypatch.setattr(ranges, "KEEP_EVERY", 0)
    monkeypatch.setattr(ranges, "_look", killing)
    with pytest.raises(Killed):
        look(llama, tmp_path)
    assert look(llama, tmp_path) == expected
    assert seen == ["", "layers.0.", "layers.1.", "layers.1."]
    assert look(llama, tmp_path) == expected  # all results are kept
    assert len(seen) == 4


def test_kept_file_is_no_larger_than_announced(llama, tmp_path):
    look(llama, tmp_path)
    kept = (tmp_path / "kept.npz").stat().st_size
    assert kept <= ranges.bytes_kept(llama[1].config.hidden, PIECES) + 4000


def test_rejects_infinite_inputs_by_name(tmp_path):
    _, decoder = stored(tmp_path / "model", *LLAMA)

    class Overflowing(Stored):
        def weights(self, stage):
            values = super().weights(stage)
            return values | {name: value + 1e38 for name, value in values.items() if name == "layers.1.up.weight"}

    broken = Overflowing(**{field.name: getattr(decoder, field.name) for field in dataclasses.fields(decoder)})
    with pytest.raises(CheckpointError, match=r"'layers\.1\.down' reads .* not finite"):
        input_ranges(broken, PIECES, "minmax", tmp_path / "kept.npz", Progress())


def test_range_survives_a_round_trip():
    found = ranges.InputRange(("a", "b"), ActivationRange(-0.1, 1 / 3))
    assert ranges.InputRange.from_dict(found.as_dict()) == found
