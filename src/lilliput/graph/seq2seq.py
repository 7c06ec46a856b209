"""An encoder-decoder as two OpenVINO graphs, from a config of everything that architectures differ in.

For B sequences, S tokens of each source, T new tokens of each target, and P tokens of a target including earlier ones:

The encoder takes

- ``input_ids`` int64 ``[B, S]``; ``attention_mask`` int64 ``[B, S]``: 0 at padding, which is on the right;

and gives ``cross`` float32 ``[2 * layers, B, heads, S, head_width]``: keys (``2 * i``) and values (``2 * i + 1``) for
cross-attention in the decoder's layer ``i``, computed once per source.

The decoder takes

- ``input_ids`` int64 ``[B, T]``; ``position_ids`` int64 ``[B, T]``, used only by learned positions;
- ``attention_mask`` int64 ``[B, P]``: 0 at padding, which is on the left;
- ``beam_idx`` int32 ``[B]``: the sequence of the previous step that each one continues;
- ``cross`` and ``encoder_attention_mask`` int64 ``[B, S]``, whose rows the caller keeps in the order of the sequences;

and gives ``logits`` float32 ``[B, T, vocabulary]``, or ``[B, 1, vocabulary]`` for only the last token. Keys and values
of a target's earlier tokens are its state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from lilliput.encoder import MASKED
from lilliput.graph import blocks
from lilliput.graph.blocks import Value
from lilliput.graph.layers import InputRounding, Layers, Weights, finished, graph_input, last_token
from lilliput.graph.relative import Relative, relative_bias
from lilliput.graph.stages import HEAD, HIDDEN, MEMORY, Readers, Stage, watched


@dataclass(frozen=True)
class Stack:
    """Size of the encoder, or of the decoder.

    Attributes:
        layers: number of blocks.
        heads: number of heads of each attention.
        head_width: width of each head.
        score_scale: multiplies the products of queries and keys.
    """

    layers: int
    heads: int
    head_width: int
    score_scale: float


@dataclass(frozen=True)
class Seq2SeqConfig:
    """The architecture of an encoder-decoder.

    Attributes:
        vocabulary: rows of the embedding.
        hidden: width of the residual stream.
        encoder, decoder: their sizes.
        positions: the longest sequence that has positions; ``None``: unlimited.
        norm: ``rms`` or ``layer``.
        norm_epsilon: added to the variance.
        post_norm: whether norms follow the sum with the residual stream, or precede each part of a block.
        activation: a name in :data:`~lilliput.graph.blocks.ACTIVATIONS`.
        gated: whether the feed-forward layer multiplies by a second, activated projection.
        relative: the bias of scores by distance; ``None``: a table of positions is added to the embedding.
        position_offset: added to positions before the table look-up.
        embedding_scale: multiplies the embedding.
        output_scale: multiplies the output layer's input.
        tied: whether the output layer and both embeddings share their weights.
    """

    vocabulary: int
    hidden: int
    encoder: Stack
    decoder: Stack
    positions: int | None
    norm: str
    norm_epsilon: float
    post_norm: bool
    activation: str
    gated: bool = False
    relative: Relative | None = None
    position_offset: int = 0
    embedding_scale: float = 1.0
    output_scale: float = 1.0
    tied: bool = True


def encoder_graph(config: Seq2SeqConfig, weights: Weights, rounding: InputRounding | None = None) -> ov.Model:
    """The graph that computes ``cross`` of a source; for its arguments, see :func:`decoder_graph`."""
    return _Encoder(config, weights, rounding).model()


def decoder_graph(
    config: Seq2SeqConfig, weights: Weights, last_only: bool = False, rounding: InputRounding | None = None
) -> ov.Model:
    """The stateful graph that computes logits.

    Args:
        config: its architecture.
        weights: see :data:`~lilliput.graph.layers.Weights`.
        last_only: compute only the last token's logits, as generation needs.
        rounding: rounds the linear layers' inputs.
    """
    return _Decoder(config, weights, rounding).model(last_only)


def stages(config: Seq2SeqConfig) -> tuple[Stage, ...]:
    """The stages of the encoder, then those of the decoder."""
    # With post-norm, a norm's output is the residual stream itself, so scaling it could not be undone.
    norms = {"query": "attention_norm", "cross_query": "cross_norm", "gate": "mlp_norm", "up": "mlp_norm"}
    sources = {"output": "value", "cross_output": "cross_value"} | ({} if config.post_norm else norms)
    sources |= {"down": "up"} if config.gated else {}
    found: list[Stage] = []
    parts: tuple[_Kind, ...] = (_Encoder, _StatelessDecoder)
    for stack, part in enumerate(parts):
        name, size = (("encoder", config.encoder), ("decoder", config.decoder))[stack]
        embedding = (f"{name}.embedding", f"{name}.positions.", "embedding.")
        found.append(Stage(partial(_embedding, config, part), stack, first=True, takes=embedding))
        for own in (f"{name}.layers.{index}." for index in range(size.layers)):
            takes = (own, f"{name}.relative.")
            found.append(Stage(partial(_block, config, part, own), stack, own=own, takes=takes, sources=sources))
        found.append(Stage(partial(_end, config, part), stack, takes=(f"{name}.final_norm.",)))
    return tuple(found)


def _embedding(config: Seq2SeqConfig, part: _Kind, weights: Weights) -> tuple[ov.Model, Readers]:
    built, positions = part(config, weights), graph_input("position_ids", [-1, -1])
    return watched(built.embed(positions), built, [built.ids, positions])


def _block(config: Seq2SeqConfig, part: _Kind, own: str, weights: Weights) -> tuple[ov.Model, Readers]:
    built = part(config, weights)
    built.ids = built.mask  # only its shape is used, and all tokens are new
    return built.block_stage(own.removesuffix("."), _stream(config, HIDDEN))


def _end(config: Seq2SeqConfig, part: _Kind, weights: Weights) -> tuple[ov.Model, Readers]:
    built, hidden = part(config, weights), _stream(config, HIDDEN)
    return watched(built.end(hidden), built, [hidden])[0], {HIDDEN: built.readers()}


def _stream(config: Seq2SeqConfig, name: str) -> Value:
    return graph_input(name, [-1, -1, config.hidden], ov.Type.f32)


def _padding_mask(mask: Value) -> Value:
    """The additive mask of scores, ``[B, 1, 1, S]``: 0 where ``mask [B, S]`` is not 0."""
    real = ops.unsqueeze(ops.not_equal(mask, ops.constant(0, ov.Type.i64)), ops.constant([1, 2]))
    return ops.select(real, ops.constant(np.float32(0)), ops.constant(np.float32(MASKED)))


class _Part(Layers):
    """Base of encoder and decoder; ``name`` is the first part of its weights' names."""

    def __init__(
        self, config: Seq2SeqConfig, weights: Weights, rounding: InputRounding | None, name: str, stack: Stack
    ) -> None:
        super().__init__(config, weights, rounding)
        self.config, self.name, self.stack = config, name, stack
        self.ids, self.mask = graph_input("input_ids", [-1, -1]), graph_input("attention_mask", [-1, -1])

    def embed(self, positions: Value) -> Value:
        """The initial residual stream, ``[B, T, hidden]``."""
        config = self.config
        own = f"{self.name}.embedding.weight"
        value = blocks.embedding(self.ids, self.weights[own if own in self.weights else "embedding.weight"]())
        if config.embedding_scale != 1.0:
            value = blocks.scaled(value, config.embedding_scale)
        if config.relative is None:
            places = ops.add(positions, ops.constant(config.position_offset, ov.Type.i64))
            value = ops.add(value, blocks.embedding(places, self.weights[f"{self.name}.positions.weight"]()))
        return self.norm(value, f"{self.name}.embedding_norm")

    def biased(self, allowed: Value, both_ways: bool) -> Value:
        """``allowed`` plus the bias by distance, which all layers share."""
        if self.config.relative is None:
            return allowed
        weight = self.weights[f"{self.name}.relative.weight"]()
        bias = relative_bias(self.ids, self.mask, weight, self.config.relative, both_ways)
        return ops.maximum(ops.add(bias, allowed), ops.constant(np.float32(MASKED)))  # no infinity in float16

    def around(self, value: Value, norm: str, part: Callable[[Value], Value]) -> Value:
        """``value`` plus ``part`` of it, with the norm before or after."""
        if self.config.post_norm:
            return self.norm(ops.add(value, part(value)), norm)
        return ops.add(value, part(self.norm(value, norm)))

    def heads(self, value: Value, name: str, stack: Stack) -> Value:
        """A linear layer's output as ``[B, heads, T, head_width]``."""
        return blocks.split_heads(self.linear(value, name), stack.heads, stack.head_width)

    def attend(self, query: Value, key: Value, value: Value, allowed: Value, output: str) -> Value:
        """Attention and its output layer."""
        if self.stack.score_scale != 1.0:
            query = blocks.scaled(query, self.stack.score_scale)
        # The operator's own scale would multiply the keys, in cross-attention all of the source's at every step.
        mixed = ops.scaled_dot_product_attention(query, key, value, allowed, ops.constant(np.float32(1)))
        return self.linear(blocks.joined_heads(mixed, self.stack.heads * self.stack.head_width), output)


class _Encoder(_Part):
    def __init__(self, config: Seq2SeqConfig, weights: Weights, rounding: InputRounding | None = None) -> None:
        super().__init__(config, weights, rounding, "encoder", config.encoder)

    def model(self) -> ov.Model:
        zero, one = ops.constant(0, ov.Type.i64), ops.constant(1, ov.Type.i64)
        value = self.embed(ops.range(zero, ops.gather(ops.shape_of(self.ids), one, zero), one, "i64"))
        allowed = self.allowed()
        for index in range(self.stack.layers):
            value = self.block(f"encoder.layers.{index}", value, allowed)
        value = self.end(value)
        parts = [self.heads(value, name, self.config.decoder) for name in self.readers()]
        cross = ops.concat([ops.unsqueeze(part, zero) for part in parts], 0)
        return finished("encoder", cross, "cross", [self.ids, self.mask], [])

    def allowed(self) -> Value:
        return self.biased(_padding_mask(self.mask), both_ways=True)

    def end(self, value: Value) -> Value:
        """The value that the decoder reads."""
        return self.norm(value, "encoder.final_norm")

    def readers(self) -> list[str]:
        """The decoder's layers that read the encoder's output."""
        layers = range(self.config.decoder.layers)
        return [f"decoder.layers.{index}.cross_{part}" for index in layers for part in ("key", "value")]

    def block(self, name: str, value: Value, allowed: Value) -> Value:
        def attention(value: Value) -> Value:
            query, key, values = (self.heads(value, f"{name}.{part}", self.stack) for part in ("query", "key", "value"))
            return self.attend(query, key, values, allowed, f"{name}.output")

        value = self.around(value, f"{name}.attention_norm", attention)
        return self.around(value, f"{name}.mlp_norm", lambda value: self.mlp(name, value))

    def block_stage(self, name: str, hidden: Value) -> tuple[ov.Model, Readers]:
        return watched(self.block(name, hidden, self.allowed()), self, [hidden, self.mask])


class _Decoder(_Part):
    def __init__(self, config: Seq2SeqConfig, weights: Weights, rounding: InputRounding | None = None) -> None:
        super().__init__(config, weights, rounding, "decoder", config.decoder)
        self.positions, self.beams = graph_input("position_ids", [-1, -1]), graph_input("beam_idx", [-1], ov.Type.i32)
        shape = [2 * self.stack.layers, -1, self.stack.heads, -1, self.stack.head_width]
        self.cross = graph_input("cross", shape, ov.Type.f32)
        self.source_mask = graph_input("encoder_attention_mask", [-1, -1])
        self.sinks: list[Value] = []

    def model(self, last_only: bool) -> ov.Model:
        value = self.embed(self.positions)
        allowed = self.allowed()
        source_allowed = _padding_mask(self.source_mask)
        cross = ops.split(self.cross, ops.constant(0), 2 * self.stack.layers)
        for index in range(self.stack.layers):
            key, values = (ops.squeeze(cross.output(2 * index + place), ops.constant(0)) for place in (0, 1))
            value = self.block(f"decoder.layers.{index}", value, allowed, (key, values, source_allowed))
        if last_only:
            value = last_token(value, "the last block")
        inputs = [self.ids, self.mask, self.positions, self.beams, self.cross, self.source_mask]
        return finished("decoder", self.logits(self.end(value)), "logits", inputs, self.sinks)

    def allowed(self) -> Value:
        return self.biased(blocks.causal_mask(self.ids, self.mask, None), both_ways=False)

    def end(self, value: Value) -> Value:
        """The value that the output layer reads."""
        value, scale = self.norm(value, "decoder.final_norm"), self.config.output_scale
        return value if scale == 1.0 else blocks.scaled(value, scale)

    def block(self, name: str, value: Value, allowed: Value, source: tuple[Value, Value, Value]) -> Value:
        """A block's output; ``source``: keys, values, and additive mask."""

        def attention(value: Value) -> Value:
            query, key, values = (self.heads(value, f"{name}.{part}", self.stack) for part in ("query", "key", "value"))
            key, values = self.remembered(key, f"{name}.key_cache"), self.remembered(values, f"{name}.value_cache")
            return self.attend(query, key, values, allowed, f"{name}.output")

        def attention_to_source(value: Value) -> Value:
            return self.attend(self.heads(value, f"{name}.cross_query", self.stack), *source, f"{name}.cross_output")

        value = self.around(value, f"{name}.attention_norm", attention)
        value = self.around(value, f"{name}.cross_norm", attention_to_source)
        return self.around(value, f"{name}.mlp_norm", lambda value: self.mlp(name, value))

    def remembered(self, value: Value, name: str) -> Value:
        """Append ``value`` to the state of earlier tokens."""
        whole, sink = blocks.cached(value, name, self.ids, self.beams, self.stack.heads, self.stack.head_width)
        self.sinks.append(sink)
        return whole


class _StatelessDecoder(_Decoder):
    def remembered(self, value: Value, name: str) -> Value:
        return value

    def block_stage(self, name: str, hidden: Value) -> tuple[ov.Model, Readers]:
        memory = _stream(self.config, MEMORY)
        key, values = (self.heads(memory, f"{name}.cross_{part}", self.stack) for part in ("key", "value"))
        after = self.block(name, hidden, self.allowed(), (key, values, _padding_mask(self.source_mask)))
        return watched(after, self, [hidden, self.mask, memory, self.source_mask], memory)

    def readers(self) -> list[str]:
        return [HEAD]


_Kind = type[_Encoder] | type[_StatelessDecoder]
