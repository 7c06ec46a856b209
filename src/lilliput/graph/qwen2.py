"""Qwen2 and Qwen2.5-Coder: Llama with biases on queries, keys and values ("Qwen2 Technical Report", 2024)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lilliput.errors import CheckpointError
from lilliput.graph import llama
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Pieces

MODEL_TYPES = ("qwen2",)

SLIDING, FULL = "sliding_attention", "full_attention"
MAX_WINDOW_LAYERS = 28
"""Number of layers with full attention if a ``config.json`` does not say."""


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """Read the fields of a ``config.json``."""
    usual = llama.config(values)
    return dataclasses.replace(usual, window=_window(values, usual.layers))


def _window(values: Mapping[str, Any], layers: int) -> int | None:
    """The attention window, which must be the same in all layers.

    Raises:
        CheckpointError: the layers differ.
    """
    size: int | None = values.get("sliding_window") if values.get("use_sliding_window") else None
    if size is None:
        return None
    first = values.get("max_window_layers", MAX_WINDOW_LAYERS)
    kinds = set(values.get("layer_types") or (SLIDING if index >= first else FULL for index in range(layers)))
    if kinds == {FULL}:
        return None
    if kinds != {SLIDING}:
        raise CheckpointError(
            f"its layers attend differently ({', '.join(sorted(map(str, kinds)))}), which is not supported.",
            where="config.json",
            remedy="Choose a checkpoint with the same attention in all layers, such as Qwen's own (use_sliding_window: "
            "false).",
        )
    return size


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""
    return llama.decoder_pieces(config, True, False, values)
