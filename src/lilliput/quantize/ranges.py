"""Ranges of what a stored decoder's layers read, found while calibration data go through it.

The weights are those that were stored, so that the ranges are the artifact's own, however its weights were rounded;
inputs are not rounded meanwhile. Work is kept now and then: a run that was killed goes on from there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import CheckpointError
from lilliput.files import atomic_file
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.stored import StoredWeight
from lilliput.progress import Progress
from lilliput.quantize.observe import OBSERVERS
from lilliput.quantize.passes import EMBEDDING_WEIGHTS, HIDDEN, BlockRun, embedded
from lilliput.quantize.scheme import ActivationRange
from lilliput.quantize.stored_values import stored_values

Matrix = NDArray[np.float32]

KEEP_EVERY = 30.0
"""Seconds of work, at most and a block, that a killed run loses."""


@dataclass(frozen=True)
class InputRange:
    """A value that linear layers read.

    Attributes:
        layers: their names.
        range: of the value.
    """

    layers: tuple[str, ...]
    range: ActivationRange

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"layers": list(self.layers), "low": self.range.low, "high": self.range.high}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> InputRange:
        """The inverse of :meth:`as_dict`."""
        return cls(tuple(values["layers"]), ActivationRange(values["low"], values["high"]))


@dataclass(frozen=True)
class Stored:
    """A decoder whose weights are in a file.

    Attributes:
        config: what it is.
        entries: its weights.
        file: where they are.
    """

    config: DecoderConfig
    entries: Sequence[StoredWeight]
    file: Path

    def embedding(self) -> dict[str, Matrix]:
        """The weights before the first block."""
        return self._values(lambda name: name in EMBEDDING_WEIGHTS)

    def block(self, index: int) -> dict[str, Matrix]:
        """The weights of a block."""
        return self._values(lambda name: name.startswith(f"layers.{index}."))

    def _values(self, wanted: Any) -> dict[str, Matrix]:
        return {entry.name: stored_values(entry, self.file) for entry in self.entries if wanted(entry.name)}


def input_ranges(
    decoder: Stored, ids: NDArray[np.int64], method: str, kept: Path, progress: Progress
) -> list[InputRange]:
    """The range of every distinct input of the blocks' linear layers.

    Args:
        decoder: what is looked at.
        ids: calibration data, ``[pieces, tokens]``.
        method: a name in :data:`~lilliput.quantize.observe.OBSERVERS`.
        kept: file of what is done; an earlier run's is gone on from.
        progress: shown while working.

    Raises:
        CheckpointError: a block gives no finite numbers.
    """
    layers = decoder.config.layers
    work = _Work.read(kept) if kept.is_file() else _Work(0, embedded(decoder.config, decoder.embedding(), ids), [])
    last = time.monotonic()
    with progress.track("finding ranges of inputs, blocks", layers) as advance:
        advance(work.blocks)
        while work.blocks < layers:
            work.ranges.extend(_look(decoder, work, method))
            work.blocks += 1
            if time.monotonic() - last >= KEEP_EVERY or work.blocks == layers:
                work.write(kept)
                last = time.monotonic()
            advance()
    return work.ranges


def bytes_kept(hidden: int, ids: NDArray[np.int64]) -> int:
    """What :func:`input_ranges` needs on the disk, about: what it kept, and what takes its place."""
    return 2 * 4 * ids.size * hidden


def _look(decoder: Stored, work: _Work, method: str) -> list[InputRange]:
    """The ranges of one block's inputs; ``work.vectors`` are then what the next one takes."""
    block = BlockRun(decoder.config, decoder.block(work.blocks), work.blocks)
    observers = {name: OBSERVERS[method]() for name in block.readers}
    for part, outputs in block.outputs(work.vectors, [HIDDEN, *block.readers]):
        for name, observer in observers.items():
            try:
                observer.add(outputs[name])
            except ValueError as error:
                raise CheckpointError(
                    f"its layer '{name}' reads {error} (NaN or infinity) when code goes through it.",
                    remedy="Choose another mode than --activations static; if the checkpoint is whole, its weights "
                    "overflow.",
                ) from error
        part[:] = outputs[HIDDEN]
    return [InputRange(tuple(layers), observers[name].range()) for name, layers in block.readers.items()]


@dataclass
class _Work:
    """What is done.

    Attributes:
        blocks: how many.
        vectors: what the next one takes, ``[pieces, tokens, hidden]``.
        ranges: of their inputs.
    """

    blocks: int
    vectors: Matrix
    ranges: list[InputRange]

    def write(self, path: Path) -> None:
        facts = json.dumps({"blocks": self.blocks, "ranges": [found.as_dict() for found in self.ranges]})
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, vectors=self.vectors, facts=np.frombuffer(facts.encode(), np.uint8))

    @classmethod
    def read(cls, path: Path) -> _Work:
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(stored["facts"].tobytes())
            return cls(facts["blocks"], stored["vectors"], [InputRange.from_dict(found) for found in facts["ranges"]])
