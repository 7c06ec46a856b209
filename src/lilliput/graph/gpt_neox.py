"""GPT-NeoX: Pythia, PolyCoder ("GPT-NeoX-20B: An Open-Source Autoregressive Language Model", 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Piece, Pieces, linear, per_head, per_layer, required
from lilliput.graph.rotary import read_rotary

MODEL_TYPES = ("gpt_neox",)


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """Read the fields of a ``config.json``."""
    vocabulary, hidden, layers, heads, positions = required(
        values, "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings"
    )
    scaling = values.get("rope_parameters") or {}
    share = scaling.get("partial_rotary_factor") or values.get("rotary_pct", 0.25)
    base = {"rope_theta": values.get("rotary_emb_base", 10000.0)}
    return DecoderConfig(
        vocabulary=vocabulary,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=heads,
        head_width=hidden // heads,
        positions=positions,
        norm="layer",
        norm_epsilon=values.get("layer_norm_eps", 1e-5),
        activation=values.get("hidden_act", "gelu"),
        gated=False,
        parallel=bool(values.get("use_parallel_residual", True)),
        rotary=read_rotary({**base, **values}, hidden // heads, share),
        tied=bool(values.get("tie_word_embeddings", False)),
    )


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""
    bias = bool(values.get("attention_bias", True))

    def layer(ours: str, theirs: str) -> Pieces:
        parts = [f"{ours}.{part}" for part in ("query", "key", "value")]
        return (
            linear(f"{ours}.attention_norm", f"{theirs}.input_layernorm")
            | per_head(parts, f"{theirs}.attention.query_key_value", config.heads, bias)
            | linear(f"{ours}.output", f"{theirs}.attention.dense", bias)
            | linear(f"{ours}.mlp_norm", f"{theirs}.post_attention_layernorm")
            | linear(f"{ours}.up", f"{theirs}.mlp.dense_h_to_4h")
            | linear(f"{ours}.down", f"{theirs}.mlp.dense_4h_to_h")
        )

    table = per_layer(config.layers, "layers.{}", "gpt_neox.layers.{}", layer)
    table |= linear("final_norm", "gpt_neox.final_layer_norm")
    table["embedding.weight"] = Piece("gpt_neox.embed_in.weight")
    return table if config.tied else table | linear("head", "embed_out", bias=False)
