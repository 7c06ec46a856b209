"""GPT-2: CodeParrot ("Language Models are Unsupervised Multitask Learners", 2019), with layers as ``[in, out]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Piece, Pieces, fused, linear, per_layer, required

MODEL_TYPES = ("gpt2",)


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """What the fields of a ``config.json`` say."""
    vocabulary, hidden, layers, heads, positions = required(
        values, "vocab_size", "n_embd", "n_layer", "n_head", "n_positions"
    )
    return DecoderConfig(
        vocabulary=vocabulary,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_width=hidden // heads,
        positions=positions,
        norm="layer",
        norm_epsilon=values.get("layer_norm_epsilon", 1e-5),
        activation=values.get("activation_function", "gelu_new"),
        gated=False,
        tied=bool(values.get("tie_word_embeddings", True)),
    )


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Where each weight is."""
    hidden, inner = config.hidden, values.get("n_inner") or 4 * config.hidden

    def layer(ours: str, theirs: str) -> Pieces:
        parts = [f"{ours}.{part}" for part in ("query", "key", "value")]
        return (
            linear(f"{ours}.attention_norm", f"{theirs}.ln_1")
            | fused(parts, f"{theirs}.attn.c_attn", [hidden] * 3, turned=True)
            | fused([f"{ours}.output"], f"{theirs}.attn.c_proj", [hidden], turned=True)
            | linear(f"{ours}.mlp_norm", f"{theirs}.ln_2")
            | fused([f"{ours}.up"], f"{theirs}.mlp.c_fc", [inner], turned=True)
            | fused([f"{ours}.down"], f"{theirs}.mlp.c_proj", [hidden], turned=True)
        )

    table = per_layer(config.layers, "layers.{}", "transformer.h.{}", layer)
    table |= linear("final_norm", "transformer.ln_f")
    table["embedding.weight"] = Piece("transformer.wte.weight")
    table["positions.weight"] = Piece("transformer.wpe.weight")
    return table if config.tied else table | linear("head", "lm_head", bias=False)
