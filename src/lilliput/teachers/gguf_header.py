"""GGUF, llama.cpp's file format: read headers, and dequantize rows of tensors.

The format is https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; headers are validated as strictly as llama.cpp
does. The package ``gguf`` decodes the blocks of quantized values. Its reader is not used: it maps the file, trusts
every size that it finds, and takes seconds where this module takes tenths of a second.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError
from lilliput.extras import require

LARGEST_HEADER = 100_000_000
"""Bytes; a vocabulary of 256,000 tokens with its merges takes 10 million."""

MOST_DIMENSIONS, LONGEST_KEY, LONGEST_NAME = 4, 65535, 63
"""The format's limits: dimensions of a tensor, bytes of a metadata key, bytes of a tensor's name."""

VALUES_AT_A_TIME = 1 << 22
"""Values dequantized at a time, which keeps temporary arrays to a few times 16 MB."""

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Type of a metadata value -> its :mod:`struct` code."""

_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class Place:
    """Where a tensor's bytes are.

    Attributes:
        file: the file that holds it.
        offset: of its first byte.
        kind: storage type, a ``gguf.GGMLQuantizationType``.
        shape: as ``[out, in]``: values along the last axis are contiguous.
        row: bytes per row; rows are indexed by the first axis.
    """

    file: Path
    offset: int
    kind: Any
    shape: tuple[int, ...]
    row: int


class _Header:
    """The unread rest of a header; every length in it is checked against the bytes left before it is used."""

    def __init__(self, stream: BinaryIO, left: int) -> None:
        self.stream, self.left = stream, left

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise ValueError(f"its header asks for {count:,} bytes where {self.left:,} are left")
        self.left -= count
        return self.stream.read(count)

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self, limit: int = LARGEST_HEADER) -> str:
        length = self.number("Q")
        if length > limit:
            raise ValueError(f"a name of {length:,} bytes, where {limit:,} are allowed")
        return self.take(length).decode()

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind])
        if kind != _ARRAY:
            raise ValueError(f"a value of the unknown type {kind}")
        item, count = self.number("I"), self.number("Q")
        if item == _STRING:
            return [self.text() for _ in range(count)]
        if item not in _NUMBERS:  # arrays of arrays, which llama.cpp does not read either
            raise ValueError(f"an array of the unknown type {item}")
        stored = np.dtype(f"<{_NUMBERS[item]}")
        return np.frombuffer(self.take(count * stored.itemsize), stored)


def read_header(file: Path) -> tuple[dict[str, Any], dict[str, Place]]:
    """Metadata, and the place of every tensor by its name; the file must be long enough to hold them all."""
    if not file.is_file():
        raise CheckpointError("is not a file.", where=file, remedy="Give the path of a GGUF file, with all its parts.")
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            header = _Header(stream, min(size, LARGEST_HEADER))
            if header.take(4) != b"GGUF":
                raise ValueError("it does not begin with 'GGUF'")
            version = header.number("I")
            if version not in (2, 3):
                raise ValueError(f"its version is {version}; versions 2 and 3, little-endian, can be read")
            tensors, fields = header.number("Q"), header.number("Q")
            metadata: dict[str, Any] = {}
            for _ in range(fields):
                key, kind = header.text(LONGEST_KEY), header.number("I")
                if key in metadata:
                    raise ValueError(f"the key '{key}' appears twice")
                metadata[key] = header.value(kind)
            return metadata, _places(file, size, header, tensors, metadata.get("general.alignment", 32))
    except (ValueError, OverflowError, struct.error) as error:
        raise CheckpointError(
            f"is not a valid GGUF file: {error}.", where=file, remedy="Get the file again: it is damaged or incomplete."
        ) from error


def _places(file: Path, size: int, header: _Header, count: int, alignment: object) -> dict[str, Place]:
    """Read the header's list of tensors, which must be contiguous, each aligned to a multiple of ``alignment``."""
    library = require("gguf")
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise ValueError(f"its alignment is {alignment}, which is not a power of two")
    places: dict[str, Place] = {}
    kinds = set()
    end = 0
    for _ in range(count):
        name, dimensions = header.text(LONGEST_NAME), header.number("I")
        if not 1 <= dimensions <= MOST_DIMENSIONS or name in places:
            raise ValueError(f"tensor '{name}' has {dimensions} dimensions, or appears twice")
        shape = tuple(header.number("Q") for _ in range(dimensions))[::-1]
        kind, offset = library.GGMLQuantizationType(header.number("I")), header.number("Q")
        block, stored = library.GGML_QUANT_SIZES[kind]
        if min(shape) < 1 or (shape[-1] if dimensions > 1 else 1) % block:
            raise ValueError(f"tensor '{name}' of shape {shape} has rows that are not whole blocks of {block} values")
        if offset != end:
            raise ValueError(f"tensor '{name}' is at {offset:,} instead of {end:,}")
        row = math.prod(shape[1:]) // block * stored
        if shape[0] * row > size:
            raise ValueError(f"tensor '{name}' has {shape[0] * row:,} bytes in a file of {size:,}")
        places[name] = Place(file, offset, kind, shape, row)
        kinds.add(kind)
        end = _aligned(offset + shape[0] * row, alignment)
    for kind in kinds:
        _check_readable(library, kind, file)
    start = _aligned(header.stream.tell(), alignment)
    for name, place in places.items():
        places[name] = replace(place, offset=start + place.offset)
        if places[name].offset + place.shape[0] * place.row > size:
            raise ValueError(f"it has {size:,} bytes, too few for tensor '{name}'")
    return places


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _check_readable(library: Any, kind: Any, file: Path) -> None:
    """Refuse early what could not be dequantized later."""
    try:
        library.dequantize(np.zeros((1, library.GGML_QUANT_SIZES[kind][1]), np.uint8), kind)
    except NotImplementedError as error:
        raise CheckpointError(
            f"holds tensors stored as {kind.name}, which cannot be read.",
            where=file,
            remedy="Choose another quantization of this model, such as Q8_0 or Q4_K_M.",
        ) from error


def raw_rows(place: Place, name: str, first: int, last: int) -> NDArray[np.uint8]:
    """The bytes of rows, ``[rows, bytes]``."""
    with place.file.open("rb") as stream:
        raw = np.fromfile(stream, np.uint8, (last - first) * place.row, offset=place.offset + first * place.row)
    if raw.size != (last - first) * place.row:
        raise CheckpointError(
            f"ends inside tensor '{name}'.", where=place.file, remedy="Get the file again: it is incomplete."
        )
    return raw.reshape(last - first, place.row)


def dequantized(raw: NDArray[np.uint8], place: Place) -> NDArray[np.float32]:
    """The values of rows, ``[rows, *shape[1:]]``."""
    library = require("gguf")
    shape = (len(raw), *place.shape[1:])
    if place.kind == library.GGMLQuantizationType.F32:
        return raw.view("<f4").reshape(shape)
    values = np.empty((len(raw), math.prod(shape[1:])), np.float32)
    step = max(1, VALUES_AT_A_TIME // values.shape[1])
    for start in range(0, len(raw), step):
        part = library.dequantize(raw[start : start + step], place.kind)
        values[start : start + step] = part.reshape(-1, values.shape[1])
    return values.reshape(shape)
