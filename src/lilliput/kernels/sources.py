"""Replace an encoder-decoder's attention to sources with kernels that keep the sources' keys and values.

The encoder's graph (:mod:`lilliput.graph.seq2seq`) gives the keys and values for all decoder layers as one output,
which the decoder's graph splits again. Here it leaves them in 8-bit caches, where the decoder's graph finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import openvino as ov
from openvino import opset13 as ops

from lilliput.kernels.attention import Attention, heads_of
from lilliput.kernels.library import Heads, Library
from lilliput.kernels.masks import padding_of
from lilliput.kernels.nodes import inputs_of, kind, number, readers, same

CROSS = "cross"
"""The encoder's output and decoder's input that the caches replace."""

SOURCE_MASK = "encoder_attention_mask"
"""The decoder's input that is 0 at padding of sources."""


@dataclass(frozen=True)
class SourceAttention:
    """A decoder's attention to its sources (cross-attention).

    Attributes:
        attention: the engine's.
        parts: queries, and the keys and values that they attend to.
        layer: the decoder layer of these keys and values.
    """

    attention: Attention
    parts: Sequence[Heads]
    layer: int

    @classmethod
    def of(cls, attention: Attention, mask: ov.Output) -> SourceAttention | None:
        """``None`` if it is another attention, or the kernels cannot compute it.

        Args:
            attention: the engine's.
            mask: 0 at padding of sources, int64 ``[B, S]``.
        """
        real = padding_of(attention.mask)
        if real is None or not same(real, mask):
            return None
        places = [_place(value) for value in (attention.key, attention.value)]
        parts = attention.heads(attention.key, attention.value)
        if parts is None or places[0] is None or places[0] % 2 or places[1] != places[0] + 1:
            return None
        return cls(attention, parts, places[0] // 2)


def _place(value: ov.Output) -> int | None:
    """The index of the part of :data:`CROSS` that it is, if nothing else reads that part."""
    part, *squeezed = inputs_of(value, "Squeeze") or [value]
    cross, *split = inputs_of(part, "Split") or [part]
    is_cross = kind(cross) == "Parameter" and CROSS in cross.get_names()
    alone = len(readers(value)) == len(readers(part)) == 1
    return part.get_index() if is_cross and alone and [number(axis) for axis in (*squeezed, *split)] == [0, 0] else None


def use_source_attention(decoder: ov.Model, encoder: ov.Model, library: Library, threads: int) -> list[str]:
    """Replace the decoder's attention to sources, in place, if the kernels can compute all of it.

    The encoder's outputs then hold nothing of use, and the decoder has no input :data:`CROSS`.

    Args:
        decoder, encoder: read, not compiled.
        library: the kernels.
        threads: processor threads.

    Returns:
        Names of the replaced nodes.
    """
    cross, mask, target, order = (decoder.input(name) for name in (CROSS, SOURCE_MASK, "attention_mask", "beam_idx"))
    every = [attention for node in decoder.get_ordered_ops() if (attention := Attention.of(node)) is not None]
    found = [own for attention in every if (own := SourceAttention.of(attention, mask)) is not None]
    given = _given(encoder)
    kept = [(part.heads, part.width) for own in found for part in own.parts[1:]]
    in_turn = [own.layer for own in found] == list(range(len(found)))
    if not found or not in_turn or kept != [(part.heads, part.width) for part in given] or len(readers(cross)) > 1:
        return []
    real = ops.convert(mask, "i32").output(0)
    memories, names = [], []
    for own in found:
        source, scale = given[2 * own.layer : 2 * own.layer + 2], own.attention.scale
        memory, attention = library.source_attention(own.parts[0], source, (real, target), order, threads, scale)
        names.append(own.attention.replace(attention))
        memories.append(ops.result(memory))
    encoder.remove_result(encoder.get_results()[0])
    encoder.add_results(memories)
    decoder.remove_parameter(cross.get_node())
    for model in (decoder, encoder):
        model.validate_nodes_and_infer_types()
    return names


def _given(encoder: ov.Model) -> Sequence[Heads]:
    """Keys and values for all layers, in order; empty if the graph is a different one."""
    results = encoder.get_results()
    whole = results[0].input_value(0) if len(results) == 1 else None
    if whole is None or kind(whole) != "Concat" or whole.get_node().get_attributes()["axis"] != 0:
        return []
    values = [inputs_of(value, "Unsqueeze") for value in whole.get_node().input_values()]
    shapes = [value[0].get_partial_shape() if value and number(value[1]) == 0 else None for value in values]
    fits = all(shape is not None and shape[1].is_static and shape[3].is_static for shape in shapes)
    return [heads_of(value[0]) for value in values] if fits else []
