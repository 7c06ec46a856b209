"""Supported generators: ``model_type`` of a ``config.json`` -> the module for it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from functools import partial
from typing import Any, Protocol, cast

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from lilliput.errors import CheckpointError
from lilliput.graph import (
    bart,
    codegen,
    decoder,
    gpt2,
    gpt_bigcode,
    gpt_neox,
    llama,
    qwen2,
    qwen3,
    seq2seq,
    starcoder2,
    t5,
    xglm,
)
from lilliput.graph.blocks import Value
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.layers import InputRounding, Weights
from lilliput.graph.pieces import Array, Piece, Pieces, Tensors
from lilliput.graph.seq2seq import Seq2SeqConfig
from lilliput.graph.stages import Stage

Config = DecoderConfig | Seq2SeqConfig


class Architecture(Protocol):
    """The interface of an architecture's module."""

    MODEL_TYPES: tuple[str, ...]

    def config(self, values: Mapping[str, Any]) -> Config:
        """Read the fields of a ``config.json``."""

    def pieces(self, config: Any, values: Mapping[str, Any]) -> Pieces:
        """Map lilliput's weight names to the checkpoint's."""


_FILES = (bart, codegen, gpt2, gpt_bigcode, gpt_neox, llama, qwen2, qwen3, starcoder2, t5, xglm)

ARCHITECTURES: Mapping[str, Architecture] = {
    kind: cast("Architecture", file) for file in _FILES for kind in file.MODEL_TYPES
}


def architecture_of(values: Mapping[str, Any]) -> Architecture:
    """The architecture that a ``config.json`` names.

    Raises:
        CheckpointError: it is not supported; the message lists those that are.
    """
    kind = str(values.get("model_type"))
    if kind not in ARCHITECTURES:
        raise CheckpointError(
            f"names the architecture '{kind}'; supported: {', '.join(sorted(ARCHITECTURES))}.",
            where="config.json",
            remedy="Choose a checkpoint of one of these.",
        )
    return ARCHITECTURES[kind]


def stored_name(piece: Piece, tensors: Container[str]) -> str:
    """The checkpoint's name of the tensor that a weight is taken from, which may lack the first part (``model.``).

    Empty for a weight that is not read from a tensor.
    """
    short = piece.source.partition(".")[2]
    return short if piece.source not in tensors and short in tensors else piece.source


def read_piece(piece: Piece, tensors: Tensors) -> Array:
    """Read a weight from a checkpoint.

    Raises:
        CheckpointError: there is no such tensor, or its shape is impossible; the message names it.
    """
    name = stored_name(piece, tensors)
    array = tensors.read(name) if name else np.zeros(0, np.float32)
    try:
        weight = piece.change(array)
        if not weight.size:
            raise ValueError("nothing is left")
    except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
        what = f"tensor '{name}' has the shape {array.shape}, which" if name else "has a table of positions that"
        raise CheckpointError(
            f"{what} the fields of its config.json do not allow.", remedy="Get the checkpoint's own config.json."
        ) from error
    return weight


def float_weights(pieces: Pieces, tensors: Tensors) -> Weights:
    """Builders of every weight as a float32 constant."""

    def constant(piece: Piece) -> Value:
        return ops.constant(read_piece(piece, tensors))

    return {name: partial(constant, piece) for name, piece in pieces.items()}


DECODER, ENCODER = "model", "encoder"


def graphs(
    config: Config, weights: Weights, last_only: bool = False, rounding: InputRounding | None = None
) -> dict[str, ov.Model]:
    """The graphs of a generator: :data:`DECODER`, and for an encoder-decoder also :data:`ENCODER`.

    Args:
        config: its architecture.
        weights: its weights, by lilliput's names.
        last_only: compute only the last token's logits, as generation needs.
        rounding: rounds the linear layers' inputs.
    """
    if isinstance(config, DecoderConfig):
        return {DECODER: decoder.decoder_graph(config, weights, last_only, rounding)}
    return {
        DECODER: seq2seq.decoder_graph(config, weights, last_only, rounding),
        ENCODER: seq2seq.encoder_graph(config, weights, rounding),
    }


def stages(config: Config) -> tuple[Stage, ...]:
    """The stages of a generator, through which data can be passed block by block."""
    return decoder.stages(config) if isinstance(config, DecoderConfig) else seq2seq.stages(config)
