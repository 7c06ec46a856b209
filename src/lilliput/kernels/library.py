"""The loaded kernel library: it packs weights and makes operations for graphs."""

from __future__ import annotations

import copy
import ctypes
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.utils.node_factory import NodeFactory

PRODUCTS = "QuantizedProducts"
ATTENTION = "CachedAttention"
SOURCE_ATTENTION = "SourceAttention"
SOURCE_MEMORY = "SourceMemory"
CHAIN = "Chain"

_OWNERS = itertools.count(1)


class Layout(ctypes.Structure):
    """How weights are packed: ``Layout`` of ``native/packed.hpp``, where the fields are documented."""

    _fields_ = [
        (name, ctypes.c_int64) for name in ("rows", "columns", "group", "bits", "grouped", "with_zeros", "with_bias")
    ]
    rows: int
    columns: int
    group: int
    bits: int
    grouped: int
    with_zeros: int
    with_bias: int


@dataclass(frozen=True)
class Heads:
    """Queries, keys or values.

    Attributes:
        value: ``[B, heads, T, width]``, or ``[B, T, heads, width]``; float32.
        heads: number of heads.
        width: width of each head.
        tokens_first: whether ``value`` has the second of these shapes.
    """

    value: ov.Output
    heads: int
    width: int
    tokens_first: bool


class _Stored(ctypes.Structure):
    _fields_ = [
        ("codes", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("zeros", ctypes.c_void_p),
        ("scale_group", ctypes.c_int64),
        ("bias", ctypes.c_void_p),
        ("is_signed", ctypes.c_bool),
    ]


class Library:
    """The kernels in a shared library.

    Args:
        file: the library that :mod:`lilliput.kernels.build` compiled.

    Raises:
        OSError: it cannot be loaded.
    """

    def __init__(self, file: Path) -> None:
        self._owner = 0
        self._native = ctypes.CDLL(str(file))
        self._native.lilliput_instructions.restype = ctypes.c_char_p
        self._native.lilliput_pack.restype = ctypes.c_int64
        self._native.lilliput_failure.restype = ctypes.c_char_p
        self._native.lilliput_new_cache.restype = ctypes.c_int64
        self._factory = NodeFactory()
        self._factory.add_extension(str(file))

    @property
    def instructions(self) -> str:
        """The instructions that it uses: ``avx512-vnni, amx``, ``avx512-vnni``, ``avx-vnni`` or ``avx2``."""
        return str(self._native.lilliput_instructions().decode())

    def for_one_model(self) -> Library:
        """Return the same library for the operations of one model, so that its failures are kept apart."""
        own = copy.copy(self)
        own._owner = next(_OWNERS)
        return own

    def raise_failure(self) -> None:
        """Raise what went wrong in these operations, which the engine does not report. Call after each run of a graph.

        Raises:
            RuntimeError: an operation failed, so the graph's output is invalid.
        """
        message = self._native.lilliput_failure(ctypes.c_int64(self._owner))
        if message is not None:
            raise RuntimeError(message.decode(errors="replace"))

    def packed(
        self,
        layout: Layout,
        codes: NDArray[np.uint8],
        scales: NDArray[np.float16],
        zeros: NDArray[np.uint8] | None,
        is_signed: bool,
        threads: int,
        bias: NDArray[np.float32] | None = None,
    ) -> int:
        """Pack weights and return their number, which must be passed to :meth:`products` once.

        Args:
            layout: how to pack them.
            codes: ``rows * columns``, as an artifact stores them: two 4-bit ones per byte, the first in the low half.
            scales: ``[rows, S]``, each for ``columns / S`` columns.
            zeros: one code for each scale, stored like ``codes``; ``None``: the middle of the codes' range.
            is_signed: whether codes and zeros are in two's complement.
            threads: number of threads.
            bias: ``[rows]``, added to the product.

        Raises:
            MemoryError: there is not enough memory for the packed weights.
        """
        codes, scales = np.ascontiguousarray(codes), np.ascontiguousarray(scales, np.float16)
        zeros = None if zeros is None else np.ascontiguousarray(zeros)
        bias = None if bias is None else np.ascontiguousarray(bias, np.float32)
        optional = [None if part is None else part.ctypes.data for part in (zeros, bias)]
        group = layout.columns // scales.shape[1]
        stored = _Stored(codes.ctypes.data, scales.ctypes.data, optional[0], group, optional[1], is_signed)
        number = int(self._native.lilliput_pack(ctypes.byref(layout), ctypes.byref(stored), ctypes.c_int64(threads)))
        if number == 0:
            raise MemoryError(f"too little for a copy of {codes.nbytes} bytes of weights in the kernels' order")
        return number

    def forget(self, number: int) -> None:
        """Release packed weights that will not be passed to :meth:`products`."""
        self._native.lilliput_forget(ctypes.c_int64(number))

    def products(
        self,
        inputs: ov.Output,
        numbers: Sequence[int],
        threads: int,
        gated: bool = False,
        addend: ov.Output | None = None,
    ) -> ov.Node:
        """Make the operation from ``inputs [..., columns]``, float32, to ``[..., rows]`` for each of the weights.

        Args:
            inputs: what is multiplied.
            numbers: the weights' numbers; their columns, groups and bits must be equal.
            threads: number of threads.
            gated: the only output is ``silu(inputs @ first.T) * (inputs @ second.T)``, of two weights of equal rows.
            addend: added to the output, of which there must be one.
        """
        arguments = [inputs] if addend is None else [inputs, addend]
        return self._made(PRODUCTS, arguments, {"weights": list(numbers), "threads": threads, "gated": gated})

    def attention(
        self,
        parts: Sequence[Heads],
        real: ov.Output,
        order: ov.Output,
        threads: int,
        scale: float,
        window: int = 0,
        bias: ov.Output | None = None,
    ) -> ov.Node:
        """Make the operation in which new tokens attend to themselves and to earlier ones; it caches keys and values.

        Args:
            parts: queries, keys and values of the new tokens.
            real: 0 at padding, int32 ``[B, S]``, for earlier and new tokens; without earlier ones the cache is reset.
            order: which sequence of the previous call each one continues, int32 ``[B]``.
            threads: number of threads.
            scale: multiplies the products of queries and keys.
            window: how far back tokens see; 0: to the start.
            bias: added to scores, float32 ``[heads, distances]``: for keys at least ``distances // 2`` tokens before
                the query, ..., at the query, ..., at least as many after it.
        """
        distances = 0 if bias is None else bias.get_partial_shape()[1].get_length()
        inputs = [*(part.value for part in parts), real, order, *([] if bias is None else [bias])]
        attributes = {"window": window, "distances": distances}
        common = _of_attention(self._new_cache(), parts, parts[0].heads, parts[1].heads, threads, scale)
        return self._made(ATTENTION, inputs, {**attributes, **common})

    def source_attention(
        self,
        queries: Heads,
        source: Sequence[Heads],
        masks: Sequence[ov.Output],
        order: ov.Output,
        threads: int,
        scale: float,
    ) -> tuple[ov.Node, ov.Node]:
        """Make two operations: one stores a source, in an encoder's graph; the other attends to it, in a decoder's.

        Args:
            queries: queries of the target's new tokens.
            source: keys and values of the source's tokens.
            masks: 0 at padding of the source, int32 ``[B, S]``; any tensor ``[B, P]``, for P earlier and new tokens of
                the target.
            order: as for :meth:`attention`.
            threads: number of threads of each.
            scale: multiplies the products of queries and keys.
        """
        cache, heads, kv_heads = self._new_cache(), queries.heads, source[0].heads
        kept = _of_attention(cache, source, kv_heads, kv_heads, threads, scale)
        looks = _of_attention(cache, [queries], heads, kv_heads, threads, scale)
        memory = self._made(SOURCE_MEMORY, [part.value for part in source], kept)
        return memory, self._made(SOURCE_ATTENTION, [queries.value, masks[0], order, masks[1]], looks)

    def _new_cache(self) -> int:
        return int(self._native.lilliput_new_cache())

    def attention_going_on(self, node: ov.Node) -> ov.Node:
        """Make an attention that shares ``node``'s cache; each sequence continues itself, and nothing is padding."""
        attributes, inputs = node.get_attributes(), node.input_values()
        if node.get_type_name() == SOURCE_ATTENTION:
            return self._made(SOURCE_ATTENTION, inputs[:1], attributes)
        return self._made(ATTENTION, inputs[:3] + inputs[5:], attributes)

    def chain(self, inputs: Sequence[ov.Output], program: Sequence[int], threads: int) -> ov.Node:
        """Make the operation that runs the steps of a program and gives the last result, ``[1, 1, size]``.

        Args:
            inputs: the first values of the program, float32.
            program: see :mod:`lilliput.kernels.chain`.
            threads: processor threads.
        """
        return self._made(CHAIN, list(inputs), {"program": list(program), "threads": threads})

    def _made(self, name: str, inputs: list[ov.Output], attributes: dict[str, Any]) -> ov.Node:
        return self._factory.create(name, inputs, {**attributes, "owner": self._owner})


def _of_attention(
    cache: int, parts: Sequence[Heads], heads: int, kv_heads: int, threads: int, scale: float
) -> dict[str, Any]:
    """Attributes of an operation whose first inputs are ``parts``."""
    return {
        "cache": cache,
        "heads": heads,
        "kv_heads": kv_heads,
        "width": parts[0].width,
        "scale": scale,
        "tokens_first": [int(part.tokens_first) for part in parts],
        "threads": threads,
    }
