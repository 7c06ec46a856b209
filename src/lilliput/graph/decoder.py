"""A generator's decoder as one stateful OpenVINO graph, from a config of everything that architectures differ in.

Inputs and outputs of the graph, for B sequences, T new tokens of each, and S tokens including earlier ones:

- ``input_ids`` int64 ``[B, T]``; ``position_ids`` int64 ``[B, T]``;
- ``attention_mask`` int64 ``[B, S]``: 0 at padding, which is on the left;
- ``beam_idx`` int32 ``[B]``: the sequence of the previous step that each one continues;
- ``logits`` float32 ``[B, T, vocabulary]``, or ``[B, 1, vocabulary]`` for only the last token.

Keys and values of earlier tokens are the graph's state.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import openvino as ov
from openvino import opset13 as ops

from lilliput.graph import blocks
from lilliput.graph.blocks import Value
from lilliput.graph.layers import InputRounding, Layers, Weights, finished, graph_input, last_token
from lilliput.graph.rotary import Rotary
from lilliput.graph.stages import HEAD, HIDDEN, Readers, Stage, watched


@dataclass(frozen=True)
class DecoderConfig:
    """The architecture of a decoder.

    Attributes:
        vocabulary: rows of the embedding.
        hidden: width of the residual stream.
        layers: number of blocks.
        heads: number of query heads.
        kv_heads: number of key and value heads; fewer than ``heads`` if several queries share them.
        head_width: width of each head.
        positions: the longest sequence it was trained for.
        norm: ``rms`` or ``layer``.
        norm_epsilon: added to the variance.
        activation: a name in :data:`~lilliput.graph.blocks.ACTIVATIONS`.
        gated: whether the feed-forward layer multiplies by a second, activated projection.
        parallel: whether attention and feed-forward read the same input and are added together.
        shared_norm: in parallel blocks, whether attention and feed-forward share one norm.
        query_key_norm: whether each head's queries and keys are normalized.
        rotary: rotary embedding of queries and keys; ``None``: a table of positions is added to the embedding.
        position_offset: added to positions before the table look-up.
        embedding_scale: multiplies the embedding.
        window: how far back attention reaches; ``None``: to the start.
        tied: whether the output layer's weights are the embedding's.
    """

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    positions: int
    norm: str = "rms"
    norm_epsilon: float = 1e-6
    activation: str = "silu"
    gated: bool = True
    parallel: bool = False
    shared_norm: bool = False
    query_key_norm: bool = False
    rotary: Rotary | None = None
    position_offset: int = 0
    embedding_scale: float = 1.0
    window: int | None = None
    tied: bool = False


def decoder_graph(
    config: DecoderConfig, weights: Weights, last_only: bool = False, rounding: InputRounding | None = None
) -> ov.Model:
    """The graph of ``config``.

    Args:
        config: sizes and options.
        weights: weights by lilliput's names (``layers.0.query.weight``, ...).
        last_only: compute only the last token's logits, as generation needs.
        rounding: rounds the linear layers' inputs.
    """
    return _Decoder(config, weights, rounding).model(last_only)


def stages(config: DecoderConfig) -> tuple[Stage, ...]:
    """The stages of the decoder."""
    sources = {"query": "attention_norm", "gate": "mlp_norm", "up": "mlp_norm"}
    sources |= {"down": "up"} if config.gated else {}
    sources |= {"output": "value"} if config.heads == config.kv_heads else {}
    names = [f"layers.{index}." for index in range(config.layers)]
    return (
        Stage(partial(_embedding, config), first=True, takes=("embedding.", "positions.")),
        *(Stage(partial(_block, config, name), own=name, takes=(name,), sources=sources) for name in names),
        Stage(partial(_end, config), takes=("final_norm.",)),
    )


def _embedding(config: DecoderConfig, weights: Weights) -> tuple[ov.Model, Readers]:
    decoder = _Decoder(config, weights)
    return watched(decoder.embed(), decoder, [decoder.ids, decoder.positions])


def _block(config: DecoderConfig, name: str, weights: Weights) -> tuple[ov.Model, Readers]:
    decoder, hidden = _Stateless(config, weights), _hidden(config)
    allowed = blocks.causal_mask(decoder.mask, decoder.mask, config.window)
    turn = None if config.rotary is None else blocks.rotary_tables(config.rotary, decoder.positions)
    inputs = [hidden, decoder.mask] + ([] if turn is None else [decoder.positions])
    return watched(decoder.block(name.removesuffix("."), hidden, allowed, turn), decoder, inputs)


def _end(config: DecoderConfig, weights: Weights) -> tuple[ov.Model, Readers]:
    layers, hidden = Layers(config, weights), _hidden(config)
    return watched(layers.norm(hidden, "final_norm"), layers, [hidden])[0], {HIDDEN: [HEAD]}


def _hidden(config: DecoderConfig) -> Value:
    return graph_input(HIDDEN, [-1, -1, config.hidden], ov.Type.f32)


class _Decoder(Layers):
    def __init__(self, config: DecoderConfig, weights: Weights, rounding: InputRounding | None = None) -> None:
        super().__init__(config, weights, rounding)
        self.config = config
        self.ids, self.mask, self.positions = (
            graph_input(name, [-1, -1]) for name in ("input_ids", "attention_mask", "position_ids")
        )
        self.beams = graph_input("beam_idx", [-1], ov.Type.i32)
        self.sinks: list[Value] = []

    def model(self, last_only: bool) -> ov.Model:
        config = self.config
        value = self.embed()
        allowed = blocks.causal_mask(self.ids, self.mask, config.window)
        turn = None if config.rotary is None else blocks.rotary_tables(config.rotary, self.positions)
        for index in range(config.layers):
            value = self.block(f"layers.{index}", value, allowed, turn, last_only and index == config.layers - 1)
        logits = self.logits(self.norm(value, "final_norm"))
        return finished("decoder", logits, "logits", [self.ids, self.mask, self.positions, self.beams], self.sinks)

    def embed(self) -> Value:
        config = self.config
        value = blocks.embedding(self.ids, self.weights["embedding.weight"]())
        if config.embedding_scale != 1.0:
            value = blocks.scaled(value, config.embedding_scale)
        if "positions.weight" in self.weights:
            places = ops.add(self.positions, ops.constant(config.position_offset, ov.Type.i64))
            value = ops.add(value, blocks.embedding(places, self.weights["positions.weight"]()))
        return value

    def block(
        self, name: str, value: Value, allowed: Value, turn: blocks.Tables | None, last_only: bool = False
    ) -> Value:
        """A block's output; ``last_only``: only the last token's, for which the other tokens are just attended to."""
        config = self.config
        attended = self.norm(value, f"{name}.attention_norm")
        mixed = self.attention(name, attended, allowed, turn)
        if last_only:
            value, mixed = last_token(value, "what was read"), last_token(mixed, "attention")
        mixed = self.linear(mixed, f"{name}.output")
        if config.parallel:
            attended = last_token(attended, "the norm") if last_only and config.shared_norm else attended
            source = attended if config.shared_norm else self.norm(value, f"{name}.mlp_norm")
            return ops.add(ops.add(value, mixed), self.mlp(name, source))
        value = ops.add(value, mixed)
        return ops.add(value, self.mlp(name, self.norm(value, f"{name}.mlp_norm")))

    def attention(self, name: str, value: Value, allowed: Value, turn: blocks.Tables | None) -> Value:
        """The attention output of each token, heads concatenated, ``[B, T, heads * head_width]``."""
        config = self.config
        query = blocks.split_heads(self.linear(value, f"{name}.query"), config.heads, config.head_width)
        key = blocks.split_heads(self.linear(value, f"{name}.key"), config.kv_heads, config.head_width)
        values = blocks.split_heads(self.linear(value, f"{name}.value"), config.kv_heads, config.head_width)
        if config.query_key_norm:
            query, key = self.norm(query, f"{name}.query_norm"), self.norm(key, f"{name}.key_norm")
        if turn is not None:
            query, key = blocks.rotated(query, turn, config.head_width), blocks.rotated(key, turn, config.head_width)
        key = self.remembered(key, f"{name}.key_cache")
        values = self.remembered(values, f"{name}.value_cache")
        if config.kv_heads != config.heads:
            key, values = (blocks.repeated(v, config.heads, config.kv_heads, config.head_width) for v in (key, values))
        mixed = ops.scaled_dot_product_attention(query, key, values, allowed)
        return blocks.joined_heads(mixed, config.heads * config.head_width)

    def remembered(self, value: Value, name: str) -> Value:
        """Append ``value`` to the state of earlier tokens."""
        config = self.config
        whole, sink = blocks.cached(value, name, self.ids, self.beams, config.kv_heads, config.head_width)
        self.sinks.append(sink)
        return whole


class _Stateless(_Decoder):
    def remembered(self, value: Value, name: str) -> Value:
        return value
