"""Recognize attention masks in graphs: what is added to the scores, and why."""

from __future__ import annotations

from dataclasses import dataclass

import openvino as ov

from lilliput.encoder import MASKED
from lilliput.kernels.nodes import behind, inputs_of, kind, number, same


@dataclass(frozen=True)
class CausalMask:
    """The mask that :func:`lilliput.graph.blocks.causal_mask` makes.

    Attributes:
        real: 0 at padding, int64 ``[B, S]``.
        window: how far back tokens see; 0: to the start.
    """

    real: ov.Output
    window: int

    @classmethod
    def of(cls, value: ov.Output) -> CausalMask | None:
        """``None`` if it is another mask."""
        allowed, *choices = inputs_of(value, "Select") or [value]
        seen, padding = inputs_of(allowed, "LogicalAnd") or (allowed, allowed)
        seen, *near = inputs_of(seen, "LogicalAnd") or (seen,)
        column, *row = inputs_of(seen, "LessEqual") or (seen,)
        real, *nothing = inputs_of(behind(padding, "Unsqueeze") or padding, "NotEqual") or (padding,)
        values = [number(constant) for constant in (*choices, *nothing)]
        if values != [0, MASKED, 0] or not row or not _are_places(column, row[0], real):
            return None
        window = _window(near[0], column, row[0]) if near else 0
        return None if window is None else cls(real, window)


def _are_places(column: ov.Output, row: ov.Output, real: ov.Output) -> bool:
    """Whether ``column`` holds the positions of all tokens, and ``row`` those of the new ones."""
    every, new = (inputs_of(behind(value, "Unsqueeze") or value, "Range") for value in (column, row))
    if not every or not new or [number(every[0]), number(every[2]), number(new[2])] != [0, 1, 1]:
        return False
    total, *given = inputs_of(new[0], "Subtract") or (new[0],)
    counted = _counts(given[0]) if given else None
    lengths = same(every[1], new[1]) and same(total, new[1]) and counted is not None
    return lengths and _is_of(every[1], real) and kind(counted) == "Parameter"


def _counts(length: ov.Output) -> ov.Output | None:
    """The ids or mask ``[B, T]`` of which ``length`` is T; ``None`` if it is something else."""
    shape, *place = inputs_of(length, "Gather") or (length,)
    return behind(shape, "ShapeOf") if [number(constant) for constant in place] == [1, 0] else None


def _is_of(length: ov.Output, real: ov.Output) -> bool:
    """Whether ``length`` is the number of tokens in ``real``."""
    counted = _counts(length)
    return counted is not None and same(counted, real)


def _window(near: ov.Output, column: ov.Output, row: ov.Output) -> int | None:
    """The window in ``column > row - window``; ``None`` if it is another condition."""
    place, *bound = inputs_of(near, "Greater") or (near,)
    source, *size = (inputs_of(bound[0], "Subtract") if bound else []) or (near,)
    found = number(size[0]) if size else None
    return int(found) if found and same(place, column) and same(source, row) else None


def padding_of(value: ov.Output) -> ov.Output | None:
    """What a mask of padding alone is made from: 0 at padding, int64 ``[B, S]``; ``None`` if it is another mask."""
    allowed, *choices = inputs_of(value, "Select") or [value]
    real, *nothing = inputs_of(behind(allowed, "Unsqueeze") or allowed, "NotEqual") or (allowed,)
    return real if [number(constant) for constant in (*choices, *nothing)] == [0, MASKED, 0] else None


@dataclass(frozen=True)
class RelativeMask:
    """A mask with a relative position bias, as :mod:`lilliput.graph.seq2seq` makes it.

    Attributes:
        allowed: the mask.
        bias: ``[heads, distances]``, for keys ``distances // 2`` tokens before the query, ..., as many after it.
        real: int64 ``[B, S]``, for all tokens: distances are counted from its length.
    """

    allowed: ov.Output
    bias: ov.Output
    real: ov.Output

    @classmethod
    def of(cls, value: ov.Output) -> RelativeMask | None:
        """``None`` if it is another mask."""
        total, *least = inputs_of(value, "Maximum") or [value]
        added, *allowed = inputs_of(total, "Add") or [total]
        gathered, *first = inputs_of(added, "Unsqueeze") or (added,)
        bias, place, axis = inputs_of(gathered, "Gather") or (added, added, added)
        if [number(constant) for constant in (*least, *first, axis)] != [MASKED, 0, 1] or not allowed:
            return None
        shape = bias.get_partial_shape()
        if shape.rank.get_length() != 2 or not shape.is_static or bias.get_element_type() != ov.Type.f32:
            return None
        real = _counted(place, int(shape[1].get_length()))
        return None if real is None else cls(allowed[0], bias, real)


def _counted(place: ov.Output, distances: int) -> ov.Output | None:
    """The mask over whose tokens ``place`` is a clamped distance; ``None`` if it is something else.

    A distance is the key's position minus the query's, clamped and shifted so that it indexes ``distances`` columns,
    with distance 0 in the middle.
    """
    clamped, *furthest = inputs_of(place, "Add") or (place,)
    column, *row = inputs_of(behind(clamped, "Clamp") or clamped, "Subtract") or (clamped,)
    every = inputs_of(behind(column, "Unsqueeze") or column, "Range")
    real = _counts(every[1]) if every else None
    if kind(clamped) != "Clamp" or not furthest or not row or real is None or not _are_places(column, row[0], real):
        return None
    bounds, most = clamped.get_node().get_attributes(), distances // 2
    limits = [bounds["min"], bounds["max"], number(furthest[0]), distances]
    return real if limits == [-most, most, most, 2 * most + 1] else None
