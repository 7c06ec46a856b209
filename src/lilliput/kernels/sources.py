"""Graphs of an encoder-decoder whose attention to sources our kernels compute, and keep sources' keys and values for.

The encoder's graph (:mod:`lilliput.graph.seq2seq`) gives all decoder layers' keys and values as one output, which the
decoder's graph takes apart again. Here it leaves them in caches, in 8 bits, where the decoder's graph finds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import openvino as ov
from openvino import opset13 as ops

from lilliput.kernels.attention import Attention, heads_of
from lilliput.kernels.library import Heads, Library
from lilliput.kernels.masks import padding_of
from lilliput.kernels.nodes import behind, kind, number

CROSS = "cross"
"""What an encoder gives to a decoder, which this takes the place of."""


@dataclass(frozen=True)
class SourceAttention:
    """A decoder's attention to the sources that it is given.

    Attributes:
        attention: the engine's.
        queries: what looks.
        layer: whose keys and values it looks at.
        real: 0 at padding of sources, int64 ``[B, S]``.
    """

    attention: Attention
    queries: Heads
    layer: int
    real: ov.Output

    @classmethod
    def of(cls, node: ov.Node) -> SourceAttention | None:
        """``None``: it is another, or the kernels cannot compute it."""
        attention = Attention.of(node)
        real = None if attention is None else padding_of(attention.mask)
        if attention is None or real is None:
            return None
        places = [_place(value) for value in (attention.key, attention.value)]
        parts = attention.heads(attention.key, attention.value)
        if parts is None or places[0] is None or places[0] % 2 or places[1] != places[0] + 1:
            return None
        return cls(attention, parts[0], places[0] // 2, real)


def _place(value: ov.Output) -> int | None:
    """Which part of :data:`CROSS` it is."""
    part = behind(value, "Squeeze")
    source = None if part is None else behind(part, "Split")
    is_cross = source is not None and kind(source) == "Parameter" and CROSS in source.get_names()
    return part.get_index() if part is not None and is_cross else None


def use_source_attention(decoder: ov.Model, encoder: ov.Model, library: Library, threads: int) -> list[str]:
    """Replace the decoder's attention to sources, in place, if the kernels can compute all of it.

    The encoder's graph then gives nothing of use, and the decoder's is not given :data:`CROSS`.

    Args:
        decoder, encoder: read, not compiled.
        library: the kernels.
        threads: processor threads.

    Returns:
        Names of the nodes replaced.
    """
    found = [own for node in decoder.get_ordered_ops() if (own := SourceAttention.of(node)) is not None]
    made = _made(encoder)
    if not found or [2 * own.layer for own in found] != list(range(0, len(made), 2)):
        return []
    order = decoder.input("beam_idx")
    masks = [ops.convert(value, "i32").output(0) for value in (found[0].real, decoder.input("attention_mask"))]
    memories, names = [], []
    for own in found:
        source = made[2 * own.layer : 2 * own.layer + 2]
        memory, attention = library.source_attention(own.queries, source, masks, order, threads, own.attention.scale)
        names.append(own.attention.replace(attention))
        memories.append(ops.result(memory))
    encoder.remove_result(encoder.get_results()[0])
    encoder.add_results(memories)
    decoder.remove_parameter(decoder.input(CROSS).get_node())
    for model in (decoder, encoder):
        model.validate_nodes_and_infer_types()
    return names


def _made(encoder: ov.Model) -> Sequence[Heads]:
    """Keys and values of all layers, in turn; nothing: the graph is another."""
    results = encoder.get_results()
    whole = results[0].input_value(0) if len(results) == 1 else None
    if whole is None or kind(whole) != "Concat":
        return []
    parts = [(behind(value, "Unsqueeze"), value) for value in whole.get_node().input_values()]
    fits = all(part is not None and number(value.get_node().input_value(1)) == 0 for part, value in parts)
    return [heads_of(part) for part, _ in parts if part is not None] if fits else []
