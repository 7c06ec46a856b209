"""The generators that can be built: ``model_type`` of a ``config.json`` -> the file that knows it."""

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
    """What each file offers."""

    MODEL_TYPES: tuple[str, ...]

    def config(self, values: Mapping[str, Any]) -> Config:
        """What the fields of a ``config.json`` say."""

    def pieces(self, config: Any, values: Mapping[str, Any]) -> Pieces:
        """Where each weight is."""


_FILES = (bart, codegen, gpt2, gpt_bigcode, gpt_neox, llama, qwen2, qwen3, starcoder2, t5, xglm)

ARCHITECTURES: Mapping[str, Architecture] = {
    kind: cast("Architecture", file) for file in _FILES for kind in file.MODEL_TYPES
}


def architecture_of(values: Mapping[str, Any]) -> Architecture:
    """The architecture that a ``config.json`` names.

    Raises:
        CheckpointError: it is not known; the message lists those that are.
    """
    kind = str(values.get("model_type"))
    if kind not in ARCHITECTURES:
        raise CheckpointError(
            f"names the architecture '{kind}'; known are {', '.join(sorted(ARCHITECTURES))}.",
            where="config.json",
            remedy="Choose a checkpoint of one of these.",
        )
    return ARCHITECTURES[kind]


def stored_name(piece: Piece, tensors: Container[str]) -> str:
    """The name in a checkpoint of what a weight is taken from; a name's first part (``model.``) may be left out there.

    Empty for a weight that is computed from nothing.
    """
    short = piece.source.partition(".")[2]
    return short if piece.source not in tensors and short in tensors else piece.source


def read_piece(piece: Piece, tensors: Tensors) -> Array:
    """A weight out of a checkpoint.

    Raises:
        CheckpointError: there is no such tensor, or its shape is none that it can have; the message names it.
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
    """Every weight as a float32 constant."""

    def constant(piece: Piece) -> Value:
        return ops.constant(read_piece(piece, tensors))

    return {name: partial(constant, piece) for name, piece in pieces.items()}


DECODER, ENCODER = "model", "encoder"


def graphs(
    config: Config, weights: Weights, last_only: bool = False, rounding: InputRounding | None = None
) -> dict[str, ov.Model]:
    """The graphs of a generator: :data:`DECODER`, and of an encoder-decoder :data:`ENCODER`, too.

    Args:
        config: what it is.
        weights: by our names.
        last_only: compute the last token's logits alone, as generation needs.
        rounding: of the linear layers' inputs.
    """
    if isinstance(config, DecoderConfig):
        return {DECODER: decoder.decoder_graph(config, weights, last_only, rounding)}
    return {
        DECODER: seq2seq.decoder_graph(config, weights, last_only, rounding),
        ENCODER: seq2seq.encoder_graph(config, weights, rounding),
    }


def stages(config: Config) -> tuple[Stage, ...]:
    """A generator cut up, for data to go through a block at a time."""
    return decoder.stages(config) if isinstance(config, DecoderConfig) else seq2seq.stages(config)
