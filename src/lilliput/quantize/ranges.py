"""Calibrate the input ranges of a stored generator's layers.

The weights are those stored, so that the ranges fit the artifact, however its weights were rounded; inputs are not
rounded during calibration. Work is saved periodically, and a killed run resumes from there.
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
from lilliput.formats.precision import ActivationRange
from lilliput.graph.architectures import Config, stages
from lilliput.graph.stages import Stage
from lilliput.graph.stored import StoredWeight
from lilliput.progress import Progress
from lilliput.quantize.calibration import Tokens
from lilliput.quantize.observe import OBSERVERS
from lilliput.quantize.passes import Flow, StageRun
from lilliput.quantize.stored_values import stored_values

Matrix = NDArray[np.float32]

KEEP_EVERY = 30.0
"""Most seconds of work, plus one block, that a killed run loses."""


@dataclass(frozen=True)
class InputRange:
    """The range of a value that linear layers read.

    Attributes:
        layers: names of the layers.
        range: range of the value.
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
    """A generator whose weights are in a file.

    Attributes:
        config: its architecture.
        entries: its weights.
        file: the file with the weights.
    """

    config: Config
    entries: Sequence[StoredWeight]
    file: Path

    def weights(self, stage: Stage) -> dict[str, Matrix]:
        """The weights that a stage takes."""
        entries = [entry for entry in self.entries if entry.name.startswith(stage.takes)]
        return {entry.name: stored_values(entry, self.file) for entry in entries}


def input_ranges(
    model: Stored, data: Sequence[Tokens], method: str, kept: Path, progress: Progress
) -> list[InputRange]:
    """The range of every distinct input of linear layers, except the output layer.

    Args:
        model: the generator.
        data: calibration data of each stack.
        method: a name in :data:`~lilliput.quantize.observe.OBSERVERS`.
        kept: file for saved work; an earlier run's is resumed.
        progress: shown while working.

    Raises:
        CheckpointError: a block's values are infinite or NaN.
    """
    before_the_last = stages(model.config)[:-1]  # only the output layer reads what the last one gives
    flow = Flow(data, model.config.hidden)
    work = _Work.read(kept, flow) if kept.is_file() else _Work(0, flow, [])
    last = time.monotonic()
    with progress.track("finding ranges of inputs, blocks", len(before_the_last)) as advance:
        advance(work.stages)
        for stage in before_the_last[work.stages :]:
            work.ranges.extend(_look(model, stage, flow, method))
            work.stages += 1
            if time.monotonic() - last >= KEEP_EVERY or work.stages == len(before_the_last):
                work.write(kept)
                last = time.monotonic()
            advance()
    return work.ranges


def bytes_kept(hidden: int, data: Sequence[Tokens]) -> int:
    """Approximate disk space that :func:`input_ranges` needs: for the saved work and the file that replaces it."""
    return 2 * 4 * hidden * sum(tokens.ids.size for tokens in data)


def _look(model: Stored, stage: Stage, flow: Flow, method: str) -> list[InputRange]:
    """The input ranges of a stage's layers, or of layers that read its output; moves the data past the stage."""
    run = StageRun(stage, model.weights(stage))
    observers = {name: OBSERVERS[method]() for name in run.readers}
    for outputs in run.seen(flow, list(observers), advance=True):
        for name, observer in observers.items():
            try:
                observer.add(outputs[name])
            except ValueError as error:
                raise CheckpointError(
                    f"its layer '{run.readers[name][0]}' reads {error} (NaN or infinity) when code goes through it.",
                    remedy="Choose another mode than --activations static; if the checkpoint is not damaged, its "
                    "weights overflow.",
                ) from error
    return [InputRange(tuple(layers), observers[name].range()) for name, layers in run.readers.items()]


@dataclass
class _Work:
    """Finished work.

    Attributes:
        stages: number of finished stages.
        flow: the data after them.
        ranges: ranges of their inputs.
    """

    stages: int
    flow: Flow
    ranges: list[InputRange]

    def write(self, path: Path) -> None:
        facts = json.dumps({"stages": self.stages, "ranges": [found.as_dict() for found in self.ranges]})
        with atomic_file(path) as temporary, temporary.open("wb") as stream:
            vectors = {"vectors": self.flow.vectors, "memory": self.flow.memory}
            np.savez(stream, allow_pickle=False, facts=np.frombuffer(facts.encode(), np.uint8), **vectors)

    @classmethod
    def read(cls, path: Path, flow: Flow) -> _Work:
        """Read an earlier run's work; its vectors are put into ``flow``."""
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(stored["facts"].tobytes())
            flow.vectors, flow.memory = stored["vectors"], stored["memory"]
            return cls(facts["stages"], flow, [InputRange.from_dict(found) for found in facts["ranges"]])
