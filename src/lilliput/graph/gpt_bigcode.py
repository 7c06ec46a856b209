"""GPT-BigCode (SantaCoder, StarCoder): multi-query attention ("SantaCoder: don't reach for the stars!")."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lilliput.graph import gpt2
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Piece, Pieces, fused, linear, per_head, per_layer

MODEL_TYPES = ("gpt_bigcode",)


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """Read the fields of a ``config.json``."""
    usual = gpt2.config(values)
    return dataclasses.replace(
        usual,
        kv_heads=1 if values.get("multi_query", True) else usual.heads,
        activation=values.get("activation_function", "gelu_pytorch_tanh"),
    )


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""
    unscaled = {"scale_attn_weights": values.get("scale_attn_weights", True)}  # the only scaling of GPT-2's that it has

    def layer(ours: str, theirs: str) -> Pieces:
        parts, source = [f"{ours}.{part}" for part in ("query", "key", "value")], f"{theirs}.attn.c_attn"
        sizes = [config.hidden, config.head_width, config.head_width]
        shared = config.kv_heads == 1
        attention = fused(parts, source, sizes) if shared else per_head(parts, source, config.heads)
        return (
            linear(f"{ours}.attention_norm", f"{theirs}.ln_1")
            | gpt2.scaled_queries(ours, attention, config.head_width, unscaled)
            | linear(f"{ours}.output", f"{theirs}.attn.c_proj")
            | linear(f"{ours}.mlp_norm", f"{theirs}.ln_2")
            | linear(f"{ours}.up", f"{theirs}.mlp.c_fc")
            | linear(f"{ours}.down", f"{theirs}.mlp.c_proj")
        )

    table = per_layer(config.layers, "layers.{}", "transformer.h.{}", layer)
    table |= linear("final_norm", "transformer.ln_f")
    table["embedding.weight"] = Piece("transformer.wte.weight")
    table["positions.weight"] = Piece("transformer.wpe.weight")
    return table if config.tied else table | linear("head", "lm_head", bias=False)
