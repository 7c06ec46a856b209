"""Every decoder's logits against transformers', on random weights, in every way that a graph is used."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from lilliput.errors import CheckpointError
from lilliput.graph import bart, t5
from lilliput.graph.architectures import ARCHITECTURES, architecture_of, float_weights
from lilliput.graph.decoder import decoder_graph
from lilliput.graph.layers import every_token
from lilliput.runtime.engine import Engine
from lilliput.teachers.tensors import SafetensorsFolder

TOLERANCE = 1e-4
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}

LLAMA_LIKE = {
    "vocab_size": 99,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
GPT_LIKE = {"vocab_size": 99, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}

VARIANTS = {
    "llama": ("llama", LLAMA_LIKE),
    "llama, all keys, biases, tied": (
        "llama",
        {**LLAMA_LIKE, "num_key_value_heads": 4, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    ),
    "llama, linear scaling": (
        "llama",
        {**LLAMA_LIKE, "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 5000.0}},
    ),
    "llama, llama3 scaling": ("llama", {**LLAMA_LIKE, "rope_parameters": LLAMA3}),
    "qwen2": ("qwen2", LLAMA_LIKE),
    "qwen3": ("qwen3", {**LLAMA_LIKE, "head_dim": 32}),
    "starcoder2, window": ("starcoder2", {**LLAMA_LIKE, "sliding_window": 7}),
    "qwen2, window": (
        "qwen2",
        {**LLAMA_LIKE, "use_sliding_window": True, "sliding_window": 7, "max_window_layers": 0},
    ),
    "qwen2, no layer has the window": ("qwen2", {**LLAMA_LIKE, "use_sliding_window": True, "sliding_window": 7}),
    "gpt2": ("gpt2", GPT_LIKE),
    "gpt2, CodeParrot's scales": ("gpt2", {**GPT_LIKE, "scale_attn_by_inverse_layer_idx": True}),
    "gpt2, unscaled": ("gpt2", {**GPT_LIKE, "scale_attn_weights": False}),
    "gpt_bigcode": ("gpt_bigcode", GPT_LIKE),
    "gpt_bigcode, all keys": ("gpt_bigcode", {**GPT_LIKE, "multi_query": False}),
    "gpt_bigcode, unscaled": ("gpt_bigcode", {**GPT_LIKE, "scale_attn_weights": False}),
    "gpt_neox": ("gpt_neox", {**LLAMA_LIKE, "rotary_pct": 0.25}),
    "gpt_neox, in series": ("gpt_neox", {**LLAMA_LIKE, "use_parallel_residual": False}),
    "codegen": ("codegen", {**GPT_LIKE, "rotary_dim": 8}),
    "xglm": (
        "xglm",
        {
            "vocab_size": 99,
            "d_model": 64,
            "ffn_dim": 96,
            "num_layers": 2,
            "attention_heads": 4,
            "max_position_embeddings": 64,
        },
    ),
}


class Case:
    """A random transformers model, and our graph of its files."""

    def __init__(self, kind, options, folder):
        torch.manual_seed(0)
        self.theirs = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **options)).eval().float()
        with torch.no_grad():
            for weight in self.theirs.parameters():  # biases and norms too, which start at 0 and 1
                weight.add_(torch.randn_like(weight) * 0.05)
        self.theirs.save_pretrained(folder)
        values = json.loads((folder / "config.json").read_text())
        architecture = architecture_of(values)
        config = architecture.config(values)
        tensors = SafetensorsFolder(folder)
        self.model = decoder_graph(config, float_weights(architecture.pieces(config, values), tensors))
        self.ours = Engine(self.model, 1, EXACT)

    def run(self, ids, mask, beams=None):
        """Our logits of the new tokens ``ids``; ``mask`` also covers the tokens before them."""
        positions = np.maximum(mask.cumsum(1) - 1, 0)[:, -ids.shape[1] :]
        beams = np.arange(len(ids), dtype=np.int32) if beams is None else beams
        return self.ours(ids, mask, positions, beams)[0]

    def expected(self, ids, mask):
        positions = np.maximum(mask.cumsum(1) - 1, 0)
        with torch.no_grad():
            return self.theirs(
                input_ids=torch.from_numpy(ids),
                attention_mask=torch.from_numpy(mask),
                position_ids=torch.from_numpy(positions),
            ).logits.numpy()


@pytest.fixture(scope="module", params=VARIANTS)
def case(request, tmp_path_factory):
    return Case(*VARIANTS[request.param], tmp_path_factory.mktemp("model"))


def tokens(rows, length, seed=0):
    return np.random.default_rng(seed).integers(3, 99, (rows, length))


def test_prefill_chunks_and_single_tokens_match_transformers(case):
    ids = tokens(1, 20)
    mask = np.ones_like(ids)
    expected = case.expected(ids, mask)
    case.ours.request.reset_state()
    np.testing.assert_allclose(case.run(ids, mask), expected, rtol=0, atol=TOLERANCE)
    case.ours.request.reset_state()
    parts = [case.run(ids[:, a:b], mask[:, :b]) for a, b in ((0, 9), (9, 16), (16, 17), (17, 18), (18, 20))]
    np.testing.assert_allclose(np.concatenate(parts, 1), expected, rtol=0, atol=TOLERANCE)


def padded_batch():
    """Ids and mask, each ``[3, 12]``."""
    ids = tokens(3, 12, seed=1)
    mask = np.ones_like(ids)
    for row, padding in enumerate((0, 5, 2)):
        mask[row, :padding] = 0
        ids[row, :padding] = 1
    return ids, mask


def test_padded_batch_matches_transformers(case):
    ids, mask = padded_batch()
    expected = case.expected(ids, mask)
    case.ours.request.reset_state()
    parts = [case.run(ids[:, :10], mask[:, :10]), case.run(ids[:, 10:11], mask[:, :11]), case.run(ids[:, 11:], mask)]
    found = np.concatenate(parts, 1)
    real = mask.astype(bool)
    np.testing.assert_allclose(found[real], expected[real], rtol=0, atol=TOLERANCE)


def test_beams_continue_the_sequences_they_name(case):
    start, new = tokens(3, 8, seed=2), tokens(3, 1, seed=3)
    beams = np.array([2, 0, 0], np.int32)
    case.ours.request.reset_state()
    case.run(start, np.ones_like(start))
    whole = np.concatenate((start[beams], new), 1)
    found = case.run(new, np.ones_like(whole), beams)
    np.testing.assert_allclose(found[:, 0], case.expected(whole, np.ones_like(whole))[:, -1], rtol=0, atol=TOLERANCE)


def test_attention_is_fused_with_its_state(case):
    kinds = [node.get_rt_info()["layerType"] for node in case.ours.compiled.get_runtime_model().get_ordered_ops()]
    kinds = [kind.astype(str) if hasattr(kind, "astype") else str(kind) for kind in kinds]
    assert "Softmax" not in kinds
    assert kinds.count("ScaledDotProductAttention") == 2


def test_every_architecture_is_tested():
    decoders = {kind for kind, file in ARCHITECTURES.items() if file not in (bart, t5)}
    assert {kind for kind, _ in VARIANTS.values()} == decoders


def test_unknown_architecture_lists_the_known_ones():
    with pytest.raises(CheckpointError, match=r"'mamba'; supported: bart, codegen, .*xglm"):
        architecture_of({"model_type": "mamba"})


@pytest.mark.parametrize("name", VARIANTS)
def test_last_only_graph_gives_the_last_token_logits(name, tmp_path):
    """``every_token`` turns such a graph back into one that gives the logits of all tokens."""
    case = Case(*VARIANTS[name], tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    architecture = architecture_of(values)
    config = architecture.config(values)
    weights = float_weights(architecture.pieces(config, values), SafetensorsFolder(tmp_path))
    ids = tokens(2, 9)
    whole = case.run(ids, np.ones_like(ids))
    model = decoder_graph(config, weights, last_only=True)
    case.ours = Engine(model, 1, EXACT)
    np.testing.assert_allclose(case.run(ids, np.ones_like(ids)), whole[:, -1:], rtol=0, atol=1e-5)
    case.ours = Engine(every_token(model), 1, EXACT)
    np.testing.assert_allclose(case.run(ids, np.ones_like(ids)), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {
                **LLAMA_LIKE,
                "model_type": "qwen2",
                "use_sliding_window": True,
                "sliding_window": 7,
                "max_window_layers": 1,
            },
            "its layers attend differently",
        ),
        ({**GPT_LIKE, "model_type": "gpt2", "add_cross_attention": True}, "attention to another model's output"),
    ],
)
def test_rejects_unsupported_architectures(values, words):
    with pytest.raises(CheckpointError, match=words) as caught:
        architecture_of(values).config(values)
    assert caught.value.remedy


def test_fields_of_an_unused_window_are_ignored():
    values = {**LLAMA_LIKE, "model_type": "qwen2", "use_sliding_window": False, "max_window_layers": None}
    assert architecture_of(values).config(values).window is None
