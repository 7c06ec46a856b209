"""Graphs whose weights are in a file that is there already: no weight passes through memory to make one.

Every weight is a chain that the CPU plugin runs in integers: codes, converted to float16, minus the zero point, times
the scale, reshaped where there are groups. While a graph is built its constants hold zeros of the right shape; what is
then written has, for each constant, its place in the weights file.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import openvino as ov
from openvino import opset13 as ops

from lilliput.formats.packing import element_type, unsigned
from lilliput.formats.weights import TENSOR, Scheme
from lilliput.graph.blocks import Value
from lilliput.graph.layers import Weights

ALIGNMENT = 64
"""Bytes that every part of a weights file starts at a multiple of."""

CODES, SCALES, ZEROS = "codes", "scales", "zeros"


@dataclass(frozen=True)
class StoredWeight:
    """A weight in a file.

    Attributes:
        name: ours.
        shape: of the weight.
        scheme: how it is stored; its group divides the width.
        places: part (:data:`CODES`, :data:`SCALES`, :data:`ZEROS`) -> first byte and number of bytes in the file.
        relative_error: of the stored weights, in the norm, to the original's.
        largest_error: of any weight.
        checksum: CRC-32 of its bytes.
    """

    name: str
    shape: tuple[int, ...]
    scheme: Scheme
    places: Mapping[str, tuple[int, int]]
    relative_error: float = 0.0
    largest_error: float = 0.0
    checksum: int = 0

    @property
    def size(self) -> int:
        """Bytes of all its parts."""
        return sum(size for _, size in self.places.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "scheme": self.scheme.as_dict(),
            "places": {part: list(place) for part, place in self.places.items()},
            "relative_error": self.relative_error,
            "largest_error": self.largest_error,
            "checksum": self.checksum,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StoredWeight:
        """The inverse of :meth:`as_dict`."""
        places = {part: (int(first), int(size)) for part, (first, size) in values["places"].items()}
        given = {"shape": tuple(values["shape"]), "scheme": Scheme(**values["scheme"]), "places": places}
        return cls(**{**values, **given})


def write_graphs(
    build: Callable[[Weights], Mapping[str, ov.Model]], entries: Sequence[StoredWeight], folder: Path, weights: Path
) -> list[Path]:
    """Write graphs as OpenVINO's XML, their weights being in a file, to which their other constants go.

    Args:
        build: makes the graphs, by name, of what makes each weight's value.
        entries: the weights, and perhaps others.
        folder: where ``NAME.xml`` is written for each.
        weights: the file of the weights.

    Returns:
        The files written.
    """
    zeros = _Zeros(max(size for entry in entries for _, size in entry.places.values()))  # as long as graphs need it
    models = build({entry.name: partial(_chain, entry, zeros) for entry in entries})
    places = {_node_name(entry, part): place for entry in entries for part, place in entry.places.items()}
    written = []
    for name, model in models.items():
        written.append(folder / f"{name}.xml")
        _write(model, dict(places), written[-1], weights)
    return written


def _write(model: ov.Model, places: dict[str, tuple[int, int]], path: Path, weights: Path) -> None:
    """Write one graph; ``places``: name of a constant -> where its bytes are."""
    others = {node.get_friendly_name(): node for node in model.get_ops() if node.get_type_name() == "Constant"}
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "graph.xml"
        ov.serialize(model, str(draft), os.devnull)
        tree = ElementTree.parse(draft)
    with weights.open("ab") as stream:
        for layer in tree.iterfind("./layers/layer"):
            name = str(layer.get("name"))
            data = layer.find("data")
            if layer.get("type") == "Const" and data is not None:
                first, size = places[name] if name in places else append(stream, others[name].get_data().tobytes())
                data.set("offset", str(first))
                data.set("size", str(size))
            if re.fullmatch(r"[A-Za-z0-9]+_\d+", name):  # made up by the engine, differently in every run
                layer.set("name", f"{layer.get('type')}_{layer.get('id')}")
    tree.write(path, encoding="utf-8", xml_declaration=True)


def append(stream: Any, data: bytes | memoryview[int]) -> tuple[int, int]:
    """Write ``data`` at the next aligned place of a file open for appending; its first byte and its size."""
    stream.seek(0, os.SEEK_END)
    stream.write(b"\0" * (-stream.tell() % ALIGNMENT))
    first = stream.tell()
    stream.write(data)
    return first, len(data)


class _Zeros:
    """Memory that reads as zeros, shared by all placeholders; pages that nobody writes to take no room."""

    def __init__(self, size: int) -> None:
        self.memory = np.zeros(size + ALIGNMENT, np.uint8)

    def constant(self, name: str, shape: Sequence[int], kind: str) -> Value:
        tensor = ov.Tensor(self.memory, ov.Shape(list(shape)), getattr(ov.Type, kind))
        node = ops.constant(tensor, shared_memory=True)
        node.set_friendly_name(name)
        return node


def _node_name(entry: StoredWeight, part: str) -> str:
    return f"{entry.name}/{part}"


def _chain(entry: StoredWeight, zeros: _Zeros) -> Value:
    """The value of a weight, float32."""
    scheme, shape = entry.scheme, entry.shape
    kind = element_type(scheme)

    def make(part: str, shape: Sequence[int], kind: str) -> Value:
        return zeros.constant(_node_name(entry, part), shape, kind)

    if scheme.kind.floating:
        value = make(CODES, shape, kind)
        return value if kind == "f32" else ops.convert(value, "f32")
    rows, width = shape
    groups = scheme.groups(width)
    grouped = [rows, groups, width // groups] if groups > 1 else [rows, width]
    of_scales = [1, 1] if scheme.group == TENSOR else [*grouped[:-1], 1]
    value = ops.convert(make(CODES, grouped, kind), "f16")
    if unsigned(scheme) and scheme.kind.table is None:
        value = ops.subtract(value, ops.convert(make(ZEROS, of_scales, kind), "f16"))
    value = ops.multiply(value, make(SCALES, of_scales, "f16"))
    if groups > 1:
        value = ops.reshape(value, ops.constant([rows, width]), False)
    return ops.convert(value, "f32")


def expected_bytes(shape: Sequence[int], scheme: Scheme | None) -> int:
    """Bytes that a weight of ``shape`` takes in a file, filling included."""
    count = math.prod(shape)
    if scheme is None or len(shape) != 2:
        return 4 * count + ALIGNMENT
    rows, width = shape
    scales = 0 if scheme.kind.floating else rows * scheme.fitted(width).groups(width)
    return count * scheme.kind.stored_bits // 8 + 3 * scales + 3 * ALIGNMENT
