"""Quantize a checkpoint's weights one by one into a file: memory holds one of them, whatever the model's size.

A journal beside the file records finished weights. A killed run resumes after the last weight that is complete in both.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError
from lilliput.files import explain_disk_errors
from lilliput.formats.packing import lifted, packed, unsigned
from lilliput.formats.weights import LARGEST_SCALE, SMALLEST_NORMAL, SMALLEST_SCALE, TENSOR, Quantized, Scheme
from lilliput.graph.architectures import stored_name
from lilliput.graph.pieces import Piece, Pieces, Tensors
from lilliput.graph.stored import CODES, SCALES, ZEROS, StoredWeight, append
from lilliput.progress import Progress
from lilliput.quantize.policy import Policy, head_name
from lilliput.quantize.rounding import encoded, nearest, ranges
from lilliput.quantize.source import WeightSource

Matrix = NDArray[np.float32]


class Rounding(Protocol):
    """A method of finding codes other than the nearest."""

    def resume(self, done: Mapping[str, StoredWeight], file: Path) -> None:
        """Called once, first, with what an earlier run has stored in ``file``."""

    def change(self, name: str, weight: Matrix) -> Matrix:
        """The weight as it is to be stored or rounded; called for each in turn."""

    def round(self, name: str, weight: Matrix, scheme: Scheme) -> Quantized:
        """Codes of a matrix ``[rows, width]`` that :meth:`change` returned."""


@dataclass(frozen=True)
class Places:
    """The two files of a run.

    Attributes:
        weights: the weights' bytes.
        journal: a JSON line for each complete weight.
    """

    weights: Path
    journal: Path


def stream(
    pieces: Pieces,
    tensors: Tensors,
    policy: Policy,
    places: Places,
    *,
    rounding: Rounding | None = None,
    progress: Progress | None = None,
) -> list[StoredWeight]:
    """Write every weight of ``pieces``, keeping those that an earlier run wrote.

    Args:
        pieces: lilliput's weight names -> where each weight is in the checkpoint.
        tensors: the checkpoint.
        policy: how weights are stored.
        places: the files to write.
        rounding: how codes are found; ``None``: the nearest, in blocks of rows.
        progress: shown while working.

    Returns:
        The entries, in the order of ``pieces``.

    Raises:
        CheckpointError: a weight is missing or not finite; the message names the tensor.
        UserError: the file cannot be written.
    """
    with explain_disk_errors(places.weights):
        done = _resumed(places)
        tied = "head.weight" not in pieces
        if rounding is not None:
            rounding.resume(dict(done), places.weights)
        with (
            (progress or Progress()).track("quantizing, million weights", _millions(pieces, tensors)) as advance,
            places.weights.open("ab") as weights,
            places.journal.open("a", encoding="utf-8") as journal,
        ):
            gone = 0
            for name, piece in _in_turn(pieces):
                if name not in done:
                    source = WeightSource(piece, tensors, None if rounding is None else partial(rounding.change, name))
                    done[name] = _write(name, source, policy, tied, weights, rounding)
                    weights.flush()
                    journal.write(json.dumps(done[name].as_dict()) + "\n")
                    journal.flush()
                before, gone = gone, gone + math.prod(done[name].shape)
                advance(gone // MILLION - before // MILLION)
    return [done[name] for name in pieces]


def _in_turn(pieces: Pieces) -> list[tuple[str, Piece]]:
    """Weights in order of processing: the output layer, possibly a tied embedding, comes after all that it reads."""
    last = head_name(pieces)
    return sorted(pieces.items(), key=lambda item: item[0] == last)


MILLION = 1_000_000


def _millions(pieces: Pieces, tensors: Tensors) -> int:
    """Millions of weights in a checkpoint; a tensor that is split into parts is counted once."""
    names = {stored_name(piece, tensors) for piece in pieces.values()}
    return sum(math.prod(tensors.shape(name)) for name in names if name in tensors) // MILLION


def _resumed(places: Places) -> dict[str, StoredWeight]:
    """The weights that are complete in both journal and file; truncates both after them."""
    entries: dict[str, StoredWeight] = {}
    if not places.journal.is_file() or not places.weights.is_file():
        places.journal.unlink(missing_ok=True)
        places.weights.unlink(missing_ok=True)
        return entries
    with places.weights.open("r+b") as weights:
        end = 0
        for line in places.journal.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = StoredWeight.from_dict(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):  # truncated line
                break
            if _checksum(weights, entry) != entry.checksum:
                break
            entries[entry.name] = entry
            end = max(first + size for first, size in entry.places.values())
        weights.truncate(end)
    places.journal.write_text("".join(json.dumps(e.as_dict()) + "\n" for e in entries.values()), encoding="utf-8")
    return entries


CHUNK = 1 << 24
"""Bytes read at a time."""


def _checksum(stream: BinaryIO, entry: StoredWeight) -> int:
    value = 0
    for first, size in entry.places.values():
        stream.seek(first)
        for _ in range(0, size, CHUNK):
            value = zlib.crc32(stream.read(min(CHUNK, first + size - stream.tell())), value)
    return value


def _write(
    name: str, source: WeightSource, policy: Policy, tied: bool, stream: BinaryIO, rounding: Rounding | None
) -> StoredWeight:
    """Round a weight and append it; weights too small to round are stored as they are."""
    shape = source.shape
    scheme = policy.scheme(name, shape, tied) or Scheme("fp32")
    writer, start = _Writer(stream), stream.seek(0, os.SEEK_END)
    if scheme.kind.floating:
        small = _write_floats(source, scheme, writer) < SMALLEST_NORMAL
    else:
        small = _write_codes(name, source, scheme, writer, rounding) <= SMALLEST_SCALE
    if small and writer.largest:
        # The weights are so small that the smallest scale rounds them to few codes, float16 holds few digits of them,
        # or all become zeros. Intact models have hardly any such matrix, so that its bytes do not matter.
        stream.truncate(start)
        scheme, writer = Scheme("fp32"), _Writer(stream)
        _write_floats(source, scheme, writer)
    return writer.entry(name, shape, scheme)


def _write_floats(source: WeightSource, scheme: Scheme, writer: _Writer) -> float:
    """Append the weights; returns the largest magnitude."""
    largest = 0.0
    for block in source.blocks():
        with np.errstate(over="ignore"):
            values = block.astype(np.float32 if scheme.kind.bits == 32 else np.float16)
        if not np.isfinite(values).all():
            raise CheckpointError(
                f"has weights beyond float16 in tensor '{source.piece.source}'.",
                remedy="Choose another format than fp16.",
            )
        writer.add(CODES, values.tobytes())
        largest = max(largest, float(values.max(initial=0)), -float(values.min(initial=0)))
        writer.compare(block, values.astype(np.float32))
    return largest


def _write_codes(name: str, source: WeightSource, scheme: Scheme, writer: _Writer, rounding: Rounding | None) -> float:
    """Append codes, scales and zero points; returns the largest scale."""
    scales, zeros = [], []
    for block, part in _rounded(name, source, scheme, rounding):
        if (np.abs(part.scales) >= LARGEST_SCALE).any():
            raise CheckpointError(
                f"has weights too large for float16 scales in tensor '{source.piece.source}'.",
                remedy="Get the checkpoint again; if the new copy is the same, choose --weights fp32.",
            )
        writer.add(CODES, packed(lifted(part.codes, scheme), scheme.kind.stored_bits).data)
        writer.compare(block, part.values())
        scales.append(part.scales)
        zeros.append(part.zeros if part.zeros is not None else np.full(part.scales.shape, -scheme.codes[0], np.uint8))
    if scheme.group == TENSOR:
        scales, zeros = scales[:1], zeros[:1]
    writer.add(SCALES, np.concatenate(scales).tobytes())
    if unsigned(scheme) and scheme.kind.table is None:
        writer.add(ZEROS, packed(np.concatenate(zeros), scheme.kind.stored_bits).data)
    return float(max(np.abs(part).max() for part in scales))


def _rounded(
    name: str, source: WeightSource, scheme: Scheme, rounding: Rounding | None
) -> Iterator[tuple[Matrix, Quantized]]:
    """Blocks of rows with their codes."""
    if rounding is not None:
        yield source.whole, rounding.round(name, source.whole, scheme)
    elif scheme.group == TENSOR:
        extremes = [(block.min(), block.max()) for block in source.blocks()]
        common = ranges(np.array(extremes, np.float32), scheme)
        for block in source.blocks():
            yield block, Quantized(scheme, encoded(block, scheme, *common), *common)
    else:
        for block in source.blocks():
            yield block, nearest(block, scheme)


class _Writer:
    """Appends the parts of one weight in blocks, and sums up errors."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.places: dict[str, tuple[int, int]] = {}
        self.checksum = 0
        self.error = self.norm = self.largest = 0.0

    def add(self, part: str, data: bytes | memoryview[int]) -> None:
        self.checksum = zlib.crc32(data, self.checksum)
        if part in self.places:
            first, size = self.places[part]
            self.stream.write(data)
            self.places[part] = first, size + len(data)
        else:
            self.places[part] = append(self.stream, data)

    def compare(self, weight: Matrix, values: Matrix) -> None:
        """Add the differences of ``values`` from ``weight`` to the errors; overwrites ``values``."""
        self.norm += _squares(weight)
        values -= weight
        self.error += _squares(values)
        self.largest = max(self.largest, float(np.abs(values, out=values).max(initial=0)))

    def entry(self, name: str, shape: tuple[int, ...], scheme: Scheme) -> StoredWeight:
        relative = math.sqrt(self.error / self.norm) if self.norm else 0.0
        return StoredWeight(name, shape, scheme, self.places, relative, self.largest, self.checksum)


def _squares(values: Matrix) -> float:
    flat = values.reshape(-1)
    with np.errstate(over="ignore"):  # with weights beyond 1e19, which are stored as they are
        return float(np.dot(flat, flat))
