"""CodeGen ("CodeGen: An Open Large Language Model for Code with Multi-Turn Program Synthesis", 2022).

Its fused layer holds four shards, each with the queries, values and keys of a quarter of the heads (released code). Its
rotary embedding pairs neighbouring dimensions; a permutation of rows turns these pairs into halves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Array, Change, Piece, Pieces, half_split, linear, per_layer, required
from lilliput.graph.rotary import Rotary

MODEL_TYPES = ("codegen",)

SHARDS = 4
ORDER = {"query": 0, "value": 1, "key": 2}
"""Index of each part in a shard."""


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """Read the fields of a ``config.json``."""
    vocabulary, hidden, layers, heads, positions, turned = required(
        values, "vocab_size", "n_embd", "n_layer", "n_head", "n_positions", "rotary_dim"
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
        parallel=True,
        shared_norm=True,
        rotary=Rotary(turned),
        tied=bool(values.get("tie_word_embeddings", False)),
    )


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""
    assert config.rotary is not None
    turn = half_split(config.heads, config.rotary.width)

    def layer(ours: str, theirs: str) -> Pieces:
        source = f"{theirs}.attn.qkv_proj.weight"
        parts = {part: Piece(source, _part(place)) for part, place in ORDER.items()}
        return (
            linear(f"{ours}.attention_norm", f"{theirs}.ln_1")
            | {f"{ours}.value.weight": parts["value"]}
            | {f"{ours}.{part}.weight": parts[part].then(turn) for part in ("query", "key")}
            | linear(f"{ours}.output", f"{theirs}.attn.out_proj", bias=False)
            | linear(f"{ours}.up", f"{theirs}.mlp.fc_in")
            | linear(f"{ours}.down", f"{theirs}.mlp.fc_out")
        )

    table = per_layer(config.layers, "layers.{}", "transformer.h.{}", layer)
    table |= linear("final_norm", "transformer.ln_f")
    table["embedding.weight"] = Piece("transformer.wte.weight")
    return table | ({"head.bias": Piece("lm_head.bias")} if config.tied else linear("head", "lm_head"))


def _part(place: int) -> Change:
    def change(array: Array) -> Array:
        shards = array.reshape(SHARDS, len(ORDER), -1, array.shape[1])
        return np.ascontiguousarray(shards[:, place].reshape(-1, array.shape[1]))

    return change
