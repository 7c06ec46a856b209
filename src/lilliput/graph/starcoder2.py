"""StarCoder2 ("StarCoder 2 and The Stack v2: The Next Generation", 2024)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lilliput.graph import llama
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Piece, Pieces, linear, per_layer

MODEL_TYPES = ("starcoder2",)


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """Read the fields of a ``config.json``."""
    return dataclasses.replace(
        llama.config(values),
        norm="layer",
        norm_epsilon=values.get("norm_epsilon", 1e-5),
        activation=values.get("hidden_act", "gelu_pytorch_tanh"),
        gated=False,
        window=values.get("sliding_window"),
        tied=bool(values.get("tie_word_embeddings", True)),
    )


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""
    bias = bool(values.get("use_bias", True))

    def layer(ours: str, theirs: str) -> Pieces:
        return (
            linear(f"{ours}.attention_norm", f"{theirs}.input_layernorm")
            | linear(f"{ours}.query", f"{theirs}.self_attn.q_proj", bias)
            | linear(f"{ours}.key", f"{theirs}.self_attn.k_proj", bias)
            | linear(f"{ours}.value", f"{theirs}.self_attn.v_proj", bias)
            | linear(f"{ours}.output", f"{theirs}.self_attn.o_proj", bias)
            | linear(f"{ours}.mlp_norm", f"{theirs}.post_attention_layernorm")
            | linear(f"{ours}.up", f"{theirs}.mlp.c_fc", bias)
            | linear(f"{ours}.down", f"{theirs}.mlp.c_proj", bias)
        )

    table = per_layer(config.layers, "layers.{}", "model.layers.{}", layer)
    table |= linear("final_norm", "model.norm")
    table["embedding.weight"] = Piece("model.embed_tokens.weight")
    return table if config.tied else table | linear("head", "lm_head", bias=False)
