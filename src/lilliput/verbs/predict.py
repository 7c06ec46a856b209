"""``predict``: labels for source files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.data.lines import file_list
from lilliput.data.sources import read_source
from lilliput.errors import UserError
from lilliput.runtime.classifier import Prediction, load


@dataclass(frozen=True)
class FilePrediction:
    """The verdict on a file, or on a pair of files."""

    files: tuple[str, ...]
    prediction: Prediction

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        verdict = self.prediction
        return {
            "files": list(self.files),
            "label": verdict.label,
            "probability": verdict.probability,
            "probabilities": dict(verdict.probabilities),
        }


def predict(
    path: str | Path, files: str | Path | Sequence[str | Path], threads: int | None = None
) -> list[FilePrediction]:
    """Classify each file (``-``: standard input) as one function; a model of pairs takes files two by two.

    Raises:
        UserError: a file is no source code, or an odd number of them is given to a model of pairs.
    """
    files = file_list(files)
    model = load(path, threads)
    if len(files) % model.arity:
        raise UserError(
            f"{len(files)} file(s) given; this model compares pairs.",
            where="FILE",
            remedy="Give an even number of files.",
        )
    groups = [tuple(map(str, files[i : i + model.arity])) for i in range(0, len(files), model.arity)]
    sources = [tuple(read_source(name) for name in group) for group in groups]
    examples: Any = [group[0] for group in sources] if model.arity == 1 else sources
    verdicts = model.predict(examples)
    return [FilePrediction(group, verdict) for group, verdict in zip(groups, verdicts, strict=True)]
