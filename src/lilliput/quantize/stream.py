"""A checkpoint's weights, quantized one after another into a file: memory holds one of them, whatever the model's size.

What is done is kept in a journal beside the file. A run that was killed goes on behind the last weight that both have
whole.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError
from lilliput.files import explain_disk_errors
from lilliput.graph.architectures import read_piece
from lilliput.graph.pieces import Pieces
from lilliput.graph.stored import CODES, SCALES, ZEROS, StoredWeight, append
from lilliput.progress import Progress
from lilliput.quantize.packing import lifted, packed, unsigned
from lilliput.quantize.policy import Policy
from lilliput.quantize.rounding import encoded, nearest, ranges
from lilliput.quantize.weights import TENSOR, Quantized, Scheme
from lilliput.teachers.tensors import Tensors

Matrix = NDArray[np.float32]
Rounder = Callable[[str, Matrix, Scheme], Quantized]
"""Name of a weight, its values ``[rows, width]``, scheme -> codes."""

BLOCK_BYTES = 32_000_000
"""Float32 weights that are rounded at a time."""


@dataclass(frozen=True)
class Places:
    """The two files of a run.

    Attributes:
        weights: the bytes.
        journal: a JSON line for each weight that is whole.
    """

    weights: Path
    journal: Path


def stream(
    pieces: Pieces,
    tensors: Tensors,
    policy: Policy,
    places: Places,
    *,
    rounder: Rounder | None = None,
    change: Callable[[str, Matrix], Matrix] | None = None,
    progress: Progress | None = None,
) -> list[StoredWeight]:
    """Write every weight of ``pieces``; those that an earlier run wrote are kept.

    Args:
        pieces: our names and where the checkpoint has each.
        tensors: the checkpoint.
        policy: what is stored how.
        places: where.
        rounder: how codes are found; ``None``: the nearest, in blocks of rows.
        change: applied to each weight before it is rounded, as AWQ needs; ``None``: nothing.
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
        sizes = {name: _size(piece.source, tensors) for name, piece in pieces.items()}
        entries = []
        with (
            (progress or Progress()).track("quantizing, million weights", _millions(sizes.values())) as advance,
            places.weights.open("ab") as weights,
            places.journal.open("a", encoding="utf-8") as journal,
        ):
            gone = 0
            for name, piece in pieces.items():
                entry = done.get(name)
                if entry is None:
                    weight = read_piece(piece, tensors)
                    weight = weight if change is None else change(name, weight)
                    entry = _write(
                        name, piece.source, weight, policy.scheme(name, weight.shape, tied), weights, rounder
                    )
                    weights.flush()
                    journal.write(json.dumps(entry.as_dict()) + "\n")
                    journal.flush()
                entries.append(entry)
                before, gone = gone, gone + sizes[name]
                advance(_millions([gone]) - _millions([before]))
    return entries


def _millions(counts: Iterable[int]) -> int:
    return sum(counts) // 1_000_000


def _size(source: str, tensors: Tensors) -> int:
    short = source.partition(".")[2]
    name = source if source in tensors else short
    return math.prod(tensors.shape(name)) if name in tensors else 0


def _resumed(places: Places) -> dict[str, StoredWeight]:
    """What the journal tells of and the file holds, and the file cut behind it."""
    entries: dict[str, StoredWeight] = {}
    if not places.journal.is_file() or not places.weights.is_file():
        places.journal.unlink(missing_ok=True)
        places.weights.unlink(missing_ok=True)
        return entries
    with places.weights.open("r+b") as weights:
        end = 0
        for line in places.journal.read_text(encoding="utf-8").splitlines():
            try:
                entry = StoredWeight.from_dict(json.loads(line))
            except (ValueError, KeyError, TypeError):  # cut off in the middle
                break
            if _checksum(weights, entry) != entry.checksum:
                break
            entries[entry.name] = entry
            end = max(first + size for first, size in entry.places.values())
        weights.truncate(end)
    places.journal.write_text("".join(json.dumps(e.as_dict()) + "\n" for e in entries.values()), encoding="utf-8")
    return entries


def _checksum(stream: BinaryIO, entry: StoredWeight) -> int:
    value = 0
    for first, size in entry.places.values():
        stream.seek(first)
        for _ in range(0, size, BLOCK_BYTES):
            value = zlib.crc32(stream.read(min(BLOCK_BYTES, first + size - stream.tell())), value)
    return value


def _write(
    name: str, source: str, weight: Matrix, scheme: Scheme | None, stream: BinaryIO, rounder: Rounder | None
) -> StoredWeight:
    """Round a weight, and append it."""
    scheme = scheme or Scheme("fp32")
    writer = _Writer(stream)
    if scheme.kind.floating:
        kind = np.float32 if scheme.kind.bits == 32 else np.float16
        for block in _blocks(weight):
            _refuse_infinite(block, source)
            with np.errstate(over="ignore"):
                values = block.astype(kind)
            if not np.isfinite(values).all():
                raise CheckpointError(
                    f"has weights beyond float16 in tensor '{source}'.", remedy="Choose another format than fp16."
                )
            writer.add(CODES, values.tobytes())
            writer.compare(block, values.astype(np.float32))
        return writer.entry(name, weight.shape, scheme)
    scales, zeros = [], []
    for block, part in _rounded(name, source, weight, scheme, rounder):
        writer.add(CODES, packed(lifted(part.codes, scheme), scheme.kind.stored_bits).data)
        writer.compare(block, part.values())
        scales.append(part.scales)
        if part.zeros is not None:
            zeros.append(part.zeros)
    if scheme.group == TENSOR:
        scales, zeros = scales[:1], zeros[:1]
    writer.add(SCALES, np.concatenate(scales).tobytes())
    if unsigned(scheme) and scheme.kind.table is None:
        shifts = np.concatenate(zeros) if zeros else np.full(np.concatenate(scales).shape, -scheme.codes[0], np.uint8)
        writer.add(ZEROS, packed(shifts, scheme.kind.stored_bits).data)
    return writer.entry(name, weight.shape, scheme)


def _rounded(
    name: str, source: str, weight: Matrix, scheme: Scheme, rounder: Rounder | None
) -> Iterator[tuple[Matrix, Quantized]]:
    """Blocks of rows and their codes."""
    if rounder is not None:
        _refuse_infinite(weight, source)
        yield weight, rounder(name, weight, scheme)
        return
    common = None
    if scheme.group == TENSOR:
        _refuse_infinite(weight, source)
        common = ranges(np.array([[weight.min(), weight.max()]], np.float32), scheme)
    for block in _blocks(weight):
        _refuse_infinite(block, source)
        if common is None:
            yield block, nearest(block, scheme)
        else:
            yield block, Quantized(scheme, encoded(block, scheme, *common), *common)


def _blocks(weight: Matrix) -> Iterator[Matrix]:
    """Consecutive rows; their number is a multiple of eight, so that every block fills whole bytes."""
    rows = max(8, BLOCK_BYTES // (4 * max(1, math.prod(weight.shape[1:]))) // 8 * 8)
    if weight.ndim < 2:
        yield weight
        return
    for first in range(0, len(weight), rows):
        yield weight[first : first + rows]


def _refuse_infinite(block: Matrix, source: str) -> None:
    # A sum is finite only if all its terms are, and takes no memory; only where it is not the terms are looked at.
    if not np.isfinite(block.sum(dtype=np.float64)) and not np.isfinite(block).all():
        raise CheckpointError(
            f"tensor '{source}' has weights that are no finite numbers (NaN or infinity).",
            remedy="Get the checkpoint again; if it was trained so, its training went wrong.",
        )


class _Writer:
    """Appends the parts of one weight, each in blocks, and sums up errors."""

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
        """Count what ``values`` differ from ``weight``; they are changed."""
        self.norm += _squares(weight)
        values -= weight
        self.error += _squares(values)
        self.largest = max(self.largest, float(np.abs(values, out=values).max(initial=0)))

    def entry(self, name: str, shape: tuple[int, ...], scheme: Scheme) -> StoredWeight:
        relative = math.sqrt(self.error / self.norm) if self.norm else 0.0
        return StoredWeight(name, shape, scheme, self.places, relative, self.largest, self.checksum)


def _squares(values: Matrix) -> float:
    flat = values.reshape(-1)
    return float(np.dot(flat, flat))
