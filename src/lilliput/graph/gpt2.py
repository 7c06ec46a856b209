"""GPT-2: CodeParrot ("Language Models are Unsupervised Multitask Learners", 2019), with layers as ``[in, out]``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lilliput.errors import CheckpointError
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Piece, Pieces, fused, linear, per_layer, required

MODEL_TYPES = ("gpt2",)


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """Read the fields of a ``config.json``."""
    if values.get("add_cross_attention"):
        raise CheckpointError(
            "has attention to another model's output, which is not supported.",
            where="config.json",
            remedy="Choose a checkpoint without it (add_cross_attention: false).",
        )
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


def scaled_queries(ours: str, table: Pieces, width: int, values: Mapping[str, Any]) -> Pieces:
    """A layer's pieces, with queries scaled where its attention does not just divide scores by the root of ``width``.

    CodeParrot also divides the scores by the layer's number (``scale_attn_by_inverse_layer_idx``).
    """
    factor = 1.0 if values.get("scale_attn_weights", True) else math.sqrt(width)
    if values.get("scale_attn_by_inverse_layer_idx"):
        factor /= int(ours.rpartition(".")[2]) + 1
    if factor == 1.0:
        return table
    queries = [f"{ours}.query.weight", f"{ours}.query.bias"]
    return table | {name: table[name].then(lambda array: array * np.float32(factor)) for name in queries}


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""
    hidden, inner = config.hidden, values.get("n_inner") or 4 * config.hidden

    def layer(ours: str, theirs: str) -> Pieces:
        parts = [f"{ours}.{part}" for part in ("query", "key", "value")]
        return (
            linear(f"{ours}.attention_norm", f"{theirs}.ln_1")
            | scaled_queries(
                ours, fused(parts, f"{theirs}.attn.c_attn", [hidden] * 3, turned=True), config.head_width, values
            )
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
