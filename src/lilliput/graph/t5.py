"""T5: CodeT5, CodeT5+ of 220 M and 770 M ("Exploring the Limits of Transfer Learning ...", 2019).

Scores are not scaled; the input of a tied output layer is scaled by ``d_model ** -0.5`` (released code).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.graph.pieces import Piece, Pieces, linear, per_layer, required
from lilliput.graph.relative import Relative
from lilliput.graph.seq2seq import Seq2SeqConfig, Stack

MODEL_TYPES = ("t5",)


def config(values: Mapping[str, Any]) -> Seq2SeqConfig:
    """Read the fields of a ``config.json``."""
    vocabulary, hidden, layers, heads, width = required(
        values, "vocab_size", "d_model", "num_layers", "num_heads", "d_kv"
    )
    gate, _, activation = str(values.get("feed_forward_proj") or "relu").rpartition("-")
    # transformers 5 marks every T5 as tied, and writes the original value under the first name
    tied = bool(values.get("scale_decoder_outputs", values.get("tie_word_embeddings", True)))
    return Seq2SeqConfig(
        vocabulary=vocabulary,
        hidden=hidden,
        encoder=Stack(layers, heads, width, 1.0),
        decoder=Stack(values.get("num_decoder_layers") or layers, heads, width, 1.0),
        positions=None,
        norm="rms",
        norm_epsilon=values.get("layer_norm_epsilon", 1e-6),
        post_norm=False,
        activation="gelu_new" if (gate, activation) == ("gated", "gelu") else activation,
        gated=gate == "gated",
        relative=Relative(
            values.get("relative_attention_num_buckets", 32), values.get("relative_attention_max_distance", 128)
        ),
        output_scale=hidden**-0.5 if tied else 1.0,
        tied=tied,
    )


def pieces(config: Seq2SeqConfig, values: Mapping[str, Any]) -> Pieces:
    """Map lilliput's weight names to the checkpoint's."""
    ups = {"gate": "wi_0", "up": "wi_1"} if config.gated else {"up": "wi"}

    def attention(ours: str, theirs: str, kind: str, prefix: str) -> Pieces:
        parts = {"query": "q", "key": "k", "value": "v", "output": "o"}
        table = {
            f"{ours}.{prefix}{part}.weight": Piece(f"{theirs}.{kind}.{name}.weight") for part, name in parts.items()
        }
        return table | linear(f"{ours}.{prefix or 'attention_'}norm", f"{theirs}.layer_norm", bias=False)

    def mlp(ours: str, theirs: str) -> Pieces:
        parts = {**ups, "down": "wo"}
        table = {
            f"{ours}.{part}.weight": Piece(f"{theirs}.DenseReluDense.{name}.weight") for part, name in parts.items()
        }
        return table | linear(f"{ours}.mlp_norm", f"{theirs}.layer_norm", bias=False)

    def encoder_layer(ours: str, theirs: str) -> Pieces:
        return attention(ours, f"{theirs}.layer.0", "SelfAttention", "") | mlp(ours, f"{theirs}.layer.1")

    def decoder_layer(ours: str, theirs: str) -> Pieces:
        return (
            attention(ours, f"{theirs}.layer.0", "SelfAttention", "")
            | attention(ours, f"{theirs}.layer.1", "EncDecAttention", "cross_")
            | mlp(ours, f"{theirs}.layer.2")
        )

    table = per_layer(config.encoder.layers, "encoder.layers.{}", "encoder.block.{}", encoder_layer)
    table |= per_layer(config.decoder.layers, "decoder.layers.{}", "decoder.block.{}", decoder_layer)
    for stack in ("encoder", "decoder"):
        table |= linear(f"{stack}.final_norm", f"{stack}.final_layer_norm", bias=False)
        source = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        table[f"{stack}.relative.weight"] = Piece(source)
    table["embedding.weight"] = Piece("shared.weight")
    return table if config.tied else table | linear("head", "lm_head", bias=False)
