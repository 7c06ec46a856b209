"""The tensors of a safetensors folder, sharded or not, read one at a time, whole or by rows.

Nothing is memory-mapped: memory is freed with each array, so even the largest model needs little of it.
The format is that of https://github.com/huggingface/safetensors ("Format"): eight bytes of length, a JSON header, data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError
from lilliput.files import parse_json, read_json
from lilliput.teachers.packed import codes_refused

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"

LARGEST_HEADER = 100_000_000
"""Bytes; the reference implementation's limit."""


def _from_bfloat16(raw: NDArray[np.uint16]) -> NDArray[np.float32]:
    return (raw.astype(np.uint32) << 16).view(np.float32)


_STORED: Mapping[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}
"""Name in the header -> how the values of a weight are stored."""

_BYTES: Mapping[str, int] = {name: kind.itemsize for name, kind in _STORED.items()} | {
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U64": 8,
    "U32": 4,
    "U16": 2,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}
"""Name in the header -> bytes of a value; tensors that are not weights (positions, masks) may have any of these."""


@dataclass(frozen=True)
class _Place:
    """Where a tensor's bytes are."""

    file: Path
    offset: int
    stored: str
    shape: tuple[int, ...]


class SafetensorsFolder:
    """The tensors of a folder: one ``model.safetensors``, or shards that an index names.

    Raises:
        CheckpointError: no such file, a shard is missing or of the wrong size, or a header is damaged.
    """

    def __init__(self, folder: Path) -> None:
        held = _held(folder)
        self.places = joined({file: _header(file) for file in sorted({*held.values()})}, held)

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def shape(self, name: str) -> tuple[int, ...]:
        """See :class:`~lilliput.graph.pieces.Tensors`."""
        return self._place(name).shape

    def read(self, name: str, rows: slice | None = None) -> NDArray[np.float32]:
        """See :class:`~lilliput.graph.pieces.Tensors`."""
        place = self._place(name)
        first, last, _ = (rows or slice(None)).indices(place.shape[0] if place.shape else 1)
        last = max(first, last)
        width = math.prod(place.shape[1:])
        stored = _STORED[place.stored]
        with place.file.open("rb") as stream:
            raw = np.fromfile(
                stream, stored, (last - first) * width, offset=place.offset + first * width * stored.itemsize
            )
        if raw.size != (last - first) * width:
            raise CheckpointError(
                f"ends inside tensor '{name}'.", where=place.file, remedy="Get the file again: it is incomplete."
            )
        values = _from_bfloat16(raw) if place.stored == "BF16" else raw.astype(np.float32, copy=False)
        return values.reshape((last - first, *place.shape[1:]) if place.shape else ())

    def _place(self, name: str) -> _Place:
        if name not in self.places:
            raise no_such_tensor(name, self.places)
        place = self.places[name]
        if place.stored not in _STORED:
            raise codes_refused(name, place.stored, place.file)
        return place


def _held(folder: Path) -> dict[str, Path]:
    """As :func:`shards`, for the safetensors files of a folder; without an index, ``""`` -> the only file."""
    index = folder / INDEX
    if index.is_file():
        return shards(index)
    if not (folder / SINGLE).is_file():
        raise CheckpointError(
            f"holds neither {SINGLE} nor {INDEX}.",
            where=folder,
            remedy="Give the folder of a Hugging Face checkpoint with safetensors weights.",
        )
    return {"": folder / SINGLE}


def shards(index: Path) -> dict[str, Path]:
    """Tensor -> the file beside ``index`` that holds it according to the index; every file must exist.

    Raises:
        CheckpointError: ``index`` is not an index, or a file is missing.
    """
    try:
        held = dict(read_json(index, strict=True)["weight_map"])
        names = sorted(set(held.values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"is not an index of shards ({type(error).__name__}: {error}).", where=index, remedy="Get the file again."
        ) from error
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise CheckpointError(
                f"names the unsafe file '{name}'.", where=index, remedy="Do not trust this checkpoint."
            )
        if not (index.parent / name).is_file():
            raise CheckpointError("is missing.", where=index.parent / name, remedy=f"Get it: {index.name} lists it.")
    return {tensor: index.parent / name for tensor, name in held.items()}


Held = TypeVar("Held")


def joined(files: Mapping[Path, Mapping[str, Held]], held: Mapping[str, Path]) -> dict[str, Held]:
    """Merge the tensors of several files into one table.

    Args:
        files: the tensors of each file.
        held: see :func:`shards`.

    Raises:
        CheckpointError: a tensor is in two files, or in another than the index says, so it is ambiguous.
    """
    found: dict[str, Held] = {}
    holders = dict(held)
    for file, tensors in files.items():
        for name, tensor in tensors.items():
            if holders.setdefault(name, file) != file:
                raise CheckpointError(
                    f"holds the tensor '{name}', which belongs in {holders[name].name} alone.",
                    where=file,
                    remedy="Get the checkpoint again: its files do not belong together.",
                )
            found[name] = tensor
    return found


def no_such_tensor(name: str, known: Iterable[str]) -> CheckpointError:
    """The error to raise for a tensor that a checkpoint does not have."""
    near = ", ".join(sorted(known)[:5])
    return CheckpointError(
        f"the checkpoint has no tensor '{name}'; it has {near}, ...",
        remedy="Is it a checkpoint of the architecture that its config.json names?",
    )


def _header(file: Path) -> dict[str, _Place]:
    """Name -> place of every tensor in ``file``, whose size must be what the header says."""
    size, remedy = file.stat().st_size, "Get the file again: it is damaged or incomplete."
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(size - 8, LARGEST_HEADER):
                raise ValueError(f"a header of {length:,} bytes in a file of {size:,}")
            header = parse_json(stream.read(length).decode("utf-8"), strict=True)
        header.pop("__metadata__", None)
        places, end = {}, 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            start, stop = entry["data_offsets"]
            shape = tuple(entry["shape"])
            if entry["dtype"] not in _BYTES:
                raise ValueError(f"tensor '{name}' is stored as {entry['dtype']}, which cannot be read")
            if not all(type(number) is int and number >= 0 for number in (start, stop, *shape)):
                raise ValueError(f"tensor '{name}' has offsets or a shape that are not whole numbers")
            if stop - start != math.prod(shape) * _BYTES[entry["dtype"]]:
                raise ValueError(f"tensor '{name}' has {stop - start:,} bytes, which is not what its shape needs")
            if start != end:
                raise ValueError(f"tensor '{name}' is at {start:,} instead of {end:,}, where the previous one ends")
            places[name] = _Place(file, 8 + length + start, entry["dtype"], shape)
            end = stop
        if 8 + length + end != size:
            raise ValueError(f"it has {size:,} bytes where its header describes {8 + length + end:,}")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"is not a valid safetensors file: {error}.", where=file, remedy=remedy) from error
    return places


def refuse_codes(file: Path) -> None:
    """Refuse a safetensors file in which another reader would mistake codes for weights.

    Raises:
        CheckpointError: the file is damaged, or a weight in it is stored as integers.
    """
    for name, place in _header(file).items():
        if name.endswith(".weight") and place.stored not in _STORED:
            raise codes_refused(name, place.stored, file)
