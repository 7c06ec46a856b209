"""Qwen3: Llama with normalized queries and keys ("Qwen3 Technical Report", 2025)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lilliput.graph import llama, qwen2
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Pieces, linear, per_layer

MODEL_TYPES = ("qwen3",)


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """Read the fields of a ``config.json``."""
    return dataclasses.replace(qwen2.config(values), query_key_norm=True)


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""

    def norms(ours: str, theirs: str) -> Pieces:
        query = linear(f"{ours}.query_norm", f"{theirs}.q_norm", bias=False)
        return query | linear(f"{ours}.key_norm", f"{theirs}.k_norm", bias=False)

    return llama.pieces(config, values) | per_layer(config.layers, "layers.{}", "model.layers.{}.self_attn", norms)
