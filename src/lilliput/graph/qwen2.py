"""Qwen2 and Qwen2.5-Coder: Llama with biases on queries, keys and values ("Qwen2 Technical Report", 2024)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lilliput.graph import llama
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.pieces import Pieces

MODEL_TYPES = ("qwen2",)


def config(values: Mapping[str, Any]) -> DecoderConfig:
    """What the fields of a ``config.json`` say."""
    window = values.get("sliding_window") if values.get("use_sliding_window") else None
    return dataclasses.replace(llama.config(values), window=window)


def pieces(config: DecoderConfig, values: Mapping[str, Any]) -> Pieces:
    """Where each weight is."""
    return llama.decoder_pieces(config, True, False, values)
