"""BART, PLBART ("Unified Pre-training for Program Understanding and Generation", 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lilliput.graph.pieces import Piece, Pieces, linear, per_layer, required
from lilliput.graph.seq2seq import Seq2SeqConfig, Stack

MODEL_TYPES = ("bart", "plbart")

OFFSET = 2
"""Added to every position."""

SCALED = {"bart": False, "plbart": True}
"""Whether the embedding is scaled if a ``config.json`` does not say."""


def config(values: Mapping[str, Any]) -> Seq2SeqConfig:
    """Read the fields of a ``config.json``."""
    vocabulary, hidden, positions = required(values, "vocab_size", "d_model", "max_position_embeddings")
    encoder_layers, encoder_heads = required(values, "encoder_layers", "encoder_attention_heads")
    decoder_layers, decoder_heads = required(values, "decoder_layers", "decoder_attention_heads")
    scaled = values.get("scale_embedding", SCALED[values["model_type"]])
    return Seq2SeqConfig(
        vocabulary=vocabulary,
        hidden=hidden,
        encoder=_stack(encoder_layers, encoder_heads, hidden),
        decoder=_stack(decoder_layers, decoder_heads, hidden),
        positions=positions,
        norm="layer",
        norm_epsilon=1e-5,
        post_norm=True,
        activation=values.get("activation_function", "gelu"),
        position_offset=OFFSET,
        embedding_scale=math.sqrt(hidden) if scaled else 1.0,
        tied=bool(values.get("tie_word_embeddings", True)),
    )


def _stack(layers: int, heads: int, hidden: int) -> Stack:
    width = hidden // heads
    return Stack(layers, heads, width, width**-0.5)


def pieces(config: Seq2SeqConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""

    def attention(ours: str, theirs: str) -> Pieces:
        table: Pieces = {}
        for part, name in {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "out_proj"}.items():
            table |= linear(f"{ours}{part}", f"{theirs}.{name}")
        return table

    def encoder_layer(ours: str, theirs: str) -> Pieces:
        return (
            attention(f"{ours}.", f"{theirs}.self_attn")
            | linear(f"{ours}.attention_norm", f"{theirs}.self_attn_layer_norm")
            | linear(f"{ours}.up", f"{theirs}.fc1")
            | linear(f"{ours}.down", f"{theirs}.fc2")
            | linear(f"{ours}.mlp_norm", f"{theirs}.final_layer_norm")
        )

    def decoder_layer(ours: str, theirs: str) -> Pieces:
        cross = attention(f"{ours}.cross_", f"{theirs}.encoder_attn")
        cross |= linear(f"{ours}.cross_norm", f"{theirs}.encoder_attn_layer_norm")
        return encoder_layer(ours, theirs) | cross

    table = per_layer(config.encoder.layers, "encoder.layers.{}", "model.encoder.layers.{}", encoder_layer)
    table |= per_layer(config.decoder.layers, "decoder.layers.{}", "model.decoder.layers.{}", decoder_layer)
    for stack in ("encoder", "decoder"):
        table |= linear(f"{stack}.embedding_norm", f"model.{stack}.layernorm_embedding")
        table |= linear(f"{stack}.positions", f"model.{stack}.embed_positions", bias=False)
    table["embedding.weight"] = Piece("model.shared.weight")
    table["head.bias"] = Piece("final_logits_bias", np.ravel)
    if config.tied:
        return table
    for stack in ("encoder", "decoder"):
        table |= linear(f"{stack}.embedding", f"model.{stack}.embed_tokens", bias=False)
    return table | linear("head", "lm_head", bias=False)
