"""Every encoder-decoder's logits against transformers', on random weights, in every way that the graphs are used."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSeq2SeqLM
from transformers.models.t5.modeling_t5 import T5Attention

from lilliput.graph import bart, t5
from lilliput.graph.architectures import float_weights
from lilliput.graph.pieces import stored
from lilliput.graph.relative import Relative
from lilliput.graph.seq2seq import decoder_graph, encoder_graph
from lilliput.runtime.engine import Engine
from lilliput.teachers.tensors import SafetensorsFolder

TOLERANCE = 1e-4
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
FILES = {kind: file for file in (bart, t5) for kind in file.MODEL_TYPES}

T5_LIKE = {
    "vocab_size": 99,
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 96,
    "num_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": 0,
}
BART_LIKE = {
    "vocab_size": 99,
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 96,
    "decoder_ffn_dim": 96,
    "max_position_embeddings": 64,
}

VARIANTS = {
    "t5": ("t5", T5_LIKE),
    "t5, gated, untied": ("t5", {**T5_LIKE, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "t5, few buckets, narrow heads, three layers before two": (
        "t5",
        {
            **T5_LIKE,
            "d_kv": 8,
            "num_layers": 3,
            "num_decoder_layers": 2,
            "relative_attention_num_buckets": 8,
            "relative_attention_max_distance": 13,
        },
    ),
    "bart": ("bart", BART_LIKE),
    "bart, scaled, relu": ("bart", {**BART_LIKE, "scale_embedding": True, "activation_function": "relu"}),
    "bart, other heads, three layers before two": (
        "bart",
        {**BART_LIKE, "encoder_layers": 3, "encoder_attention_heads": 2},
    ),
    "plbart": ("plbart", BART_LIKE),
    "plbart, untied": ("plbart", {**BART_LIKE, "tie_word_embeddings": False}),
}


def random_model(kind, options):
    torch.manual_seed(0)
    model = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(kind, **options)).eval().float()
    if not options.get("tie_word_embeddings", True):
        model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) * 0.1)
    with torch.no_grad():
        for weight in model.parameters():  # biases and norms too, which start at 0 and 1
            weight.add_(torch.randn_like(weight) * 0.05)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_()
    return model


def opened(folder, last_only=False):
    """Config, weights and graphs of a checkpoint folder."""
    values = json.loads((folder / "config.json").read_text())
    file = FILES[values["model_type"]]
    config, tensors = file.config(values), SafetensorsFolder(folder)
    weights = float_weights(stored(file.pieces(config, values), tensors), tensors)
    return config, weights, encoder_graph(config, weights), decoder_graph(config, weights, last_only)


class Case:
    """A random transformers model, and our graphs of its files."""

    def __init__(self, kind, options, folder):
        self.theirs = random_model(kind, options)
        self.theirs.save_pretrained(folder)
        self.config, self.weights, encoder, self.decoder = opened(folder)
        self.encoder, self.ours = Engine(encoder, 1, EXACT), Engine(self.decoder, 1, EXACT)

    def start(self, source, mask=None):
        """Encode ``source`` and reset the decoder."""
        self.mask = np.ones_like(source) if mask is None else mask
        (self.cross,) = self.encoder(source, self.mask)
        self.ours.request.reset_state()

    def run(self, ids, mask=None, beams=None):
        """Our logits of the new tokens ``ids``; ``mask`` also covers the tokens before them."""
        mask = np.ones_like(ids) if mask is None else mask
        positions = np.maximum(mask.cumsum(1) - 1, 0)[:, -ids.shape[1] :]
        beams = np.arange(len(ids), dtype=np.int32) if beams is None else beams
        return self.ours(ids, mask, positions, beams, self.cross, self.mask)[0]

    def output(self, source, ids, mask=None):
        mask = np.ones_like(source) if mask is None else mask
        with torch.no_grad():
            return self.theirs(
                input_ids=torch.from_numpy(source),
                attention_mask=torch.from_numpy(mask),
                decoder_input_ids=torch.from_numpy(ids),
            )

    def expected(self, source, ids, mask=None):
        return self.output(source, ids, mask).logits.numpy()


@pytest.fixture(scope="module", params=VARIANTS)
def case(request, tmp_path_factory):
    return Case(*VARIANTS[request.param], tmp_path_factory.mktemp("model"))


def tokens(rows, length, seed=0):
    return np.random.default_rng(seed).integers(3, 99, (rows, length))


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


def padded_sources():
    source = tokens(3, 24, seed=5)
    mask = np.ones_like(source)
    for row, padding in enumerate((0, 9, 4)):
        mask[row, 24 - padding :] = 0
        source[row, 24 - padding :] = 1
    return source, mask


def test_padded_batch_of_sources_matches_transformers(case):
    source, mask = padded_sources()
    ids = tokens(3, 6, seed=6)
    expected = case.output(source, ids, mask)
    case.start(source, mask)
    layers = expected.past_key_values.cross_attention_cache.layers
    cross = np.stack([part.numpy() for layer in layers for part in (layer.keys, layer.values)])
    assert case.cross.shape == cross.shape
    real = mask.astype(bool)
    close(case.cross.swapaxes(2, 3)[:, real], cross.swapaxes(2, 3)[:, real])
    close(case.run(ids), expected.logits.numpy())


def test_values_in_source_padding_change_nothing(case):
    source, mask = padded_sources()
    ids = tokens(3, 6, seed=6)
    case.start(source, mask)
    before = case.run(ids)
    case.start(np.where(mask, source, 7), mask)
    np.testing.assert_allclose(case.run(ids), before, rtol=0, atol=1e-6)


def test_prefill_chunks_and_single_tokens_match_transformers(case):
    source, ids = tokens(1, 15, seed=4), tokens(1, 20)
    expected = case.expected(source, ids)
    case.start(source)
    close(case.run(ids), expected)
    case.start(source)
    parts = [
        case.run(ids[:, a:b], np.ones((1, b), np.int64)) for a, b in ((0, 9), (9, 16), (16, 17), (17, 18), (18, 20))
    ]
    close(np.concatenate(parts, 1), expected)


def test_padded_batch_of_targets_matches_transformers(case):
    source, source_mask = padded_sources()
    ids = tokens(3, 12, seed=1)
    mask = np.ones_like(ids)
    for row, padding in enumerate((0, 5, 2)):
        mask[row, :padding] = 0
        ids[row, :padding] = 1
    case.start(source, source_mask)
    parts = [case.run(ids[:, :10], mask[:, :10]), case.run(ids[:, 10:11], mask[:, :11]), case.run(ids[:, 11:], mask)]
    found = np.concatenate(parts, 1)
    for row, padding in enumerate((0, 5, 2)):
        alone = case.expected(source[row : row + 1], ids[row : row + 1, padding:], source_mask[row : row + 1])
        close(found[row, padding:], alone[0])


def test_beams_continue_the_sequences_they_name(case):
    source, start, new = tokens(3, 15, seed=7), tokens(3, 8, seed=2), tokens(3, 1, seed=3)
    beams = np.array([2, 0, 0], np.int32)
    case.start(source)
    case.run(start)
    case.cross = case.cross[:, beams]  # the caller reorders the sources along with the sequences
    whole = np.concatenate((start[beams], new), 1)
    found = case.run(new, np.ones_like(whole), beams)
    close(found[:, 0], case.expected(source[beams], whole)[:, -1])


def executed(engine):
    kinds = [node.get_rt_info()["layerType"] for node in engine.compiled.get_runtime_model().get_ordered_ops()]
    return [kind.astype(str) if hasattr(kind, "astype") else str(kind) for kind in kinds]


def test_attention_is_fused_with_its_state_and_in_the_encoder(case):
    """Cross-attention has no state; the plugin decomposes it: one Softmax per layer."""
    encoder, decoder = executed(case.encoder), executed(case.ours)
    assert "Softmax" not in encoder
    assert decoder.count("ScaledDotProductAttention") == case.config.decoder.layers
    assert decoder.count("Softmax") == case.config.decoder.layers


def test_last_only_graph_gives_the_last_token_logits(case, tmp_path):
    case.theirs.save_pretrained(tmp_path)
    source, ids = tokens(2, 15, seed=8), tokens(2, 9)
    case.start(source)
    whole = case.run(ids)
    alone = Engine(opened(tmp_path, last_only=True)[-1], 1, EXACT)
    rows, places = np.arange(2, dtype=np.int32), np.arange(9) * np.ones((2, 1), np.int64)
    found = alone(ids, np.ones_like(ids), places, rows, case.cross, case.mask)[0]
    np.testing.assert_allclose(found, whole[:, -1:], rtol=0, atol=1e-6)


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize(("buckets", "furthest"), [(32, 128), (8, 13), (64, 256), (32, 100), (16, 1024)])
def test_distance_buckets_match_transformers(buckets, furthest, both_ways):
    distance = torch.arange(-3000, 3001)
    expected = T5Attention._relative_position_bucket(distance, both_ways, buckets, furthest).numpy()
    places = Relative(buckets, furthest).places(both_ways)
    np.testing.assert_array_equal(places[np.clip(distance.numpy(), -furthest, furthest) + furthest], expected)


def rewritten(folder, change):
    """The checkpoint with its tensors renamed."""
    tensors = load_file(folder / "model.safetensors")
    save_file(change(tensors), folder / "model.safetensors", {"format": "pt"})


def renamed(name, other):
    return lambda tensors: {other if key == name else key: value for key, value in tensors.items()}


def without(start):
    return lambda tensors: {key.removeprefix(start): value for key, value in tensors.items() if key != start}


STORED = {
    "t5, gated, tied though not scaled": ("t5, gated, untied", without("lm_head.weight")),
    "t5, the decoder's copy": ("t5", renamed("shared.weight", "decoder.embed_tokens.weight")),
    "t5, the output layer's copy": ("t5", renamed("shared.weight", "lm_head.weight")),
    "plbart, the encoder's copy": ("plbart", renamed("model.shared.weight", "model.encoder.embed_tokens.weight")),
    "bart, no first part": ("bart", without("model.")),
    "bart, no bias": ("bart", without("final_logits_bias")),
}


@pytest.mark.parametrize("name", STORED)
def test_embeddings_are_found_under_every_stored_name(name, tmp_path):
    variant, change = STORED[name]
    random_model(*VARIANTS[variant]).save_pretrained(tmp_path)
    rewritten(tmp_path, change)
    *_, encoder, decoder = opened(tmp_path)
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    source, ids = tokens(2, 7), tokens(2, 5, seed=1)
    with torch.no_grad():
        expected = model(input_ids=torch.from_numpy(source), decoder_input_ids=torch.from_numpy(ids)).logits.numpy()
    (cross,) = Engine(encoder, 1, EXACT)(source, np.ones_like(source))
    rows, places = np.arange(2, dtype=np.int32), np.arange(5) * np.ones((2, 1), np.int64)
    found = Engine(decoder, 1, EXACT)(ids, np.ones_like(ids), places, rows, cross, np.ones_like(source))[0]
    close(found, expected)


def test_config_of_older_transformers_marks_t5_as_untied():
    values = {**T5_LIKE, "model_type": "t5"}
    assert t5.config(values).tied
    assert t5.config(values).output_scale == 0.125
    config = t5.config({**values, "tie_word_embeddings": False})
    assert not config.tied
    assert config.output_scale == 1.0
    assert "head.weight" in t5.pieces(config, values)


def test_every_architecture_is_tested():
    assert {kind for kind, _ in VARIANTS.values()} == set(FILES)
