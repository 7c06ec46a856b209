"""The compiled kernels, loaded: weights are packed by it, and graphs get its operation."""

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
    """How weights are packed: ``Layout`` of ``native/packed.hpp``, which says what its fields mean."""

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
        heads: how many there are.
        width: of each.
        tokens_first: whether it is the latter.
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
        file: what :mod:`lilliput.kernels.build` compiled.

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
        """The instructions that it uses: ``avx512-vnni, amx``, ``avx512-vnni``, ``avx-vnni``, ``avx2``."""
        return str(self._native.lilliput_instructions().decode())

    def for_one_model(self) -> Library:
        """The same, for the operations of one model, whose failures are told apart from others'."""
        own = copy.copy(self)
        own._owner = next(_OWNERS)
        return own

    def raise_failure(self) -> None:
        """Call after a graph was run that has these operations: the engine does not say what went wrong in them.

        Raises:
            RuntimeError: one of them failed, so that what the graph gave is worthless.
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
        """Pack weights: their number, with which :meth:`products` must be called once.

        Args:
            layout: how to pack them.
            codes: ``rows * columns``, as an artifact stores them: two 4-bit ones a byte, the first in the low half.
            scales: ``[rows, S]``, each of ``columns / S`` columns.
            zeros: of each scale a code, stored as ``codes``; ``None``: the middle of the codes' range.
            is_signed: whether codes and zeros are in two's complement.
            threads: that work on it.
            bias: ``[rows]``, added to the product.

        Raises:
            MemoryError: there is none for the packed weights.
        """
        codes, scales = np.ascontiguousarray(codes), np.ascontiguousarray(scales, np.float16)
        zeros = None if zeros is None else np.ascontiguousarray(zeros)
        bias = None if bias is None else np.ascontiguousarray(bias, np.float32)
        optional = [None if part is None else part.ctypes.data for part in (zeros, bias)]
        group = layout.columns // scales.shape[1]
        stored = _Stored(codes.ctypes.data, scales.ctypes.data, optional[0], group, optional[1], is_signed)
        number = int(self._native.lilliput_pack(ctypes.byref(layout), ctypes.byref(stored), ctypes.c_int64(threads)))
        if number == 0:
            raise MemoryError(f"{codes.nbytes} bytes of weights, once more in the kernels' order")
        return number

    def forget(self, number: int) -> None:
        """Give back packed weights with which :meth:`products` will not be called."""
        self._native.lilliput_forget(ctypes.c_int64(number))

    def products(
        self,
        inputs: ov.Output,
        numbers: Sequence[int],
        threads: int,
        gated: bool = False,
        addend: ov.Output | None = None,
    ) -> ov.Node:
        """The operation: ``inputs [..., columns]``, float32, to ``[..., rows]`` for each of the packed weights, whose
        columns, groups and bits must be equal.

        Args:
            inputs: what is multiplied.
            numbers: of the weights.
            threads: that work on it.
            gated: of two weights of equal rows, ``silu(inputs @ first.T) * (inputs @ second.T)`` is the only output.
            addend: added to the output, if it is the only one.
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
        """The operation: attention of new tokens to themselves and to those before, whose keys and values it keeps.

        Args:
            parts: queries, keys and values of the new tokens.
            real: 0 at padding, int32 ``[B, S]``, of the tokens before and the new ones; it starts anew where there are
                none before.
            order: which sequence of the call before each one goes on from, int32 ``[B]``.
            threads: that work on it.
            scale: multiplies the products of queries and keys.
            window: how far back tokens see; 0: to the start.
            bias: what scores gain, float32 ``[heads, distances]``: for keys ``distances // 2`` tokens before or more,
                ..., none before, ..., as many behind.
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
        """Two operations: what keeps a source, in an encoder's graph, and a target's attention to it, in a decoder's.

        Args:
            queries: of the target's new tokens.
            source: keys and values of the source's tokens.
            masks: 0 at padding of the source, int32 ``[B, S]``; anything ``[B, P]``, for P tokens of the target,
                before and new.
            order: as for :meth:`attention`.
            threads: that work on each.
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
        """One that shares the cache of another, ``node``: each sequence goes on, and nothing is padding."""
        attributes, inputs = node.get_attributes(), node.input_values()
        if node.get_type_name() == SOURCE_ATTENTION:
            return self._made(SOURCE_ATTENTION, inputs[:1], attributes)
        return self._made(ATTENTION, inputs[:3] + inputs[5:], attributes)

    def chain(self, inputs: Sequence[ov.Output], program: Sequence[int], threads: int) -> ov.Node:
        """The operation: steps in a row, ``[1, 1, size]`` of the last one's result.

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
    """Attributes of an operation that has ``parts`` for its first inputs."""
    return {
        "cache": cache,
        "heads": heads,
        "kv_heads": kv_heads,
        "width": parts[0].width,
        "scale": scale,
        "tokens_first": [int(part.tokens_first) for part in parts],
        "threads": threads,
    }
