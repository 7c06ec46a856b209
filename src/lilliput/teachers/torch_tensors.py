"""The tensors of a checkpoint in torch's own file format, read without executing anything in the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError
from lilliput.extras import require
from lilliput.teachers.packed import codes_refused
from lilliput.teachers.tensors import joined, no_such_tensor, shards

INDEX, SINGLE = "pytorch_model.bin.index.json", "pytorch_model.bin"


class TorchFiles:
    """The tensors of a folder: one ``pytorch_model.bin``, or shards that an index names. Files are memory-mapped.

    Raises:
        CheckpointError: a file is missing or damaged, or would run code.
        MissingExtra: torch is not installed.
    """

    def __init__(self, folder: Path) -> None:
        require("torch")
        from lilliput.torchfiles import load

        self.folder = folder
        index = folder / INDEX
        held = shards(index) if index.is_file() else {"": folder / SINGLE}
        files: dict[Path, dict[str, Any]] = {}
        for file in sorted({*held.values()}):
            values = load(file, mapped=True)
            if not isinstance(values, dict):
                raise CheckpointError("holds no dict of tensors.", where=file, remedy="Get the checkpoint again.")
            files[file] = {name: value for name, value in values.items() if hasattr(value, "shape")}
        self.tensors = joined(files, held)

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """See :class:`~lilliput.graph.pieces.Tensors`."""
        return tuple(self._tensor(name).shape)

    def read(self, name: str, rows: slice | None = None) -> NDArray[np.float32]:
        """See :class:`~lilliput.graph.pieces.Tensors`."""
        tensor = self._tensor(name)
        chosen = tensor if rows is None else tensor[rows]
        values: NDArray[np.float32] = chosen.detach().float().numpy()
        return np.ascontiguousarray(values)

    def _tensor(self, name: str) -> Any:
        if name not in self.tensors:
            raise no_such_tensor(name, self.tensors)
        tensor = self.tensors[name]
        if not tensor.is_floating_point() or tensor.element_size() == 1:
            raise codes_refused(name, str(tensor.dtype), self.folder)
        return tensor
