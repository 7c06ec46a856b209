"""Llama: CodeLlama, DeepSeek-Coder ("LLaMA: Open and Efficient Foundation Language Models", 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Piece, Pieces, linear, per_layer, required
from lilliput.graph.rotary import read_rotary

MODEL_TYPES = ("llama",)


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """Read the fields of a ``config.json``."""
    vocabulary, hidden, layers, heads, positions = required(
        values, "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings"
    )
    head_width = values.get("head_dim") or hidden // heads
    return DecoderConfig(
        vocabulary=vocabulary,
        hidden=hidden,
        layers=layers,
        heads=heads,
        kv_heads=values.get("num_key_value_heads") or heads,
        head_width=head_width,
        positions=positions,
        norm_epsilon=values.get("rms_norm_eps", 1e-6),
        activation=values.get("hidden_act", "silu"),
        rotary=read_rotary(values, head_width),
        tied=bool(values.get("tie_word_embeddings", False)),
    )


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""
    return decoder_pieces(config, bool(values.get("attention_bias")), bool(values.get("attention_bias")), values)


def decoder_pieces(config: DecoderConfig, qkv_bias: bool, output_bias: bool, values: Mapping[str, Any]) -> Pieces:
    """The weights of Llama and of architectures that use its names."""
    mlp_bias = bool(values.get("mlp_bias"))

    def layer(ours: str, theirs: str) -> Pieces:
        attention = f"{theirs}.self_attn"
        return (
            linear(f"{ours}.attention_norm", f"{theirs}.input_layernorm", bias=False)
            | linear(f"{ours}.query", f"{attention}.q_proj", qkv_bias)
            | linear(f"{ours}.key", f"{attention}.k_proj", qkv_bias)
            | linear(f"{ours}.value", f"{attention}.v_proj", qkv_bias)
            | linear(f"{ours}.output", f"{attention}.o_proj", output_bias)
            | linear(f"{ours}.mlp_norm", f"{theirs}.post_attention_layernorm", bias=False)
            | linear(f"{ours}.gate", f"{theirs}.mlp.gate_proj", mlp_bias)
            | linear(f"{ours}.up", f"{theirs}.mlp.up_proj", mlp_bias)
            | linear(f"{ours}.down", f"{theirs}.mlp.down_proj", mlp_bias)
        )

    table = per_layer(config.layers, "layers.{}", "model.layers.{}", layer)
    table["embedding.weight"] = Piece("model.embed_tokens.weight")
    table["final_norm.weight"] = Piece("model.norm.weight")
    return table if config.tied else table | linear("head", "lm_head", bias=False)
