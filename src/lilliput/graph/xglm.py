"""XGLM: InCoder ("InCoder: A Generative Model for Code Infilling and Synthesis", 2022)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Array, Piece, Pieces, linear, per_layer, required

MODEL_TYPES = ("xglm",)

OFFSET = 2
"""Added to every position."""


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """Read the fields of a ``config.json``."""
    vocabulary, hidden, layers, heads, positions = required(
        values, "vocab_size", "d_model", "num_layers", "attention_heads", "max_position_embeddings"
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
        norm_epsilon=1e-5,
        activation=values.get("activation_function", "gelu"),
        gated=False,
        position_offset=OFFSET,
        embedding_scale=math.sqrt(hidden) if values.get("scale_embedding", True) else 1.0,
        tied=bool(values.get("tie_word_embeddings", True)),
    )


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""

    def layer(ours: str, theirs: str) -> Pieces:
        attention = f"{theirs}.self_attn"
        return (
            linear(f"{ours}.attention_norm", f"{theirs}.self_attn_layer_norm")
            | linear(f"{ours}.query", f"{attention}.q_proj")
            | linear(f"{ours}.key", f"{attention}.k_proj")
            | linear(f"{ours}.value", f"{attention}.v_proj")
            | linear(f"{ours}.output", f"{attention}.out_proj")
            | linear(f"{ours}.mlp_norm", f"{theirs}.final_layer_norm")
            | linear(f"{ours}.up", f"{theirs}.fc1")
            | linear(f"{ours}.down", f"{theirs}.fc2")
        )

    padding = int(values.get("pad_token_id", 1))

    def waves(_: Array) -> Array:
        return sinusoids(config.positions + OFFSET, config.hidden, padding)

    table = per_layer(config.layers, "layers.{}", "model.layers.{}", layer)
    table |= linear("final_norm", "model.layer_norm")
    table["embedding.weight"] = Piece("model.embed_tokens.weight")
    table["positions.weight"] = Piece("", waves)
    return table if config.tied else table | linear("head", "lm_head", bias=False)


def sinusoids(rows: int, width: int, padding: int) -> Array:
    """Sines and cosines of each position ("Attention Is All You Need", section 3.5); the row of padding is 0."""
    half = width // 2
    rates = np.exp(np.arange(half) * -(math.log(10000) / (half - 1)))
    angles = np.arange(rows)[:, None] * rates
    table = np.concatenate((np.sin(angles), np.cos(angles)), axis=1).astype(np.float32)
    table[padding] = 0
    return table
