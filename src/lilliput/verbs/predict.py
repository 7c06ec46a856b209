"""``predict``: labels for the functions of source files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.artifact import open_artifact
from lilliput.data.functions import Function, functions_in
from lilliput.data.lines import file_list
from lilliput.data.sources import read_source
from lilliput.errors import UserError
from lilliput.runtime.classifier import Classifier, Prediction

OF_FUNCTIONS = frozenset({"vulnerability", "clone"})
"""Tasks whose models know single functions, so that files are taken apart; a user's own labels may be of anything."""

MOST_PAIRS = 50_000
"""Pairs of functions of two files that are compared."""


@dataclass(frozen=True)
class Part:
    """A function of a file, or all of it.

    Attributes:
        file: its path; ``-``: standard input.
        name: of the function; ``None``: the file as a whole.
        line: where it begins, from 1.
    """

    file: str
    name: str | None
    line: int

    def __str__(self) -> str:
        return self.file if self.name is None else f"{self.file}:{self.line} {self.name}"


@dataclass(frozen=True)
class FilePrediction:
    """The verdict on a function, or on a pair of them."""

    parts: tuple[Part, ...]
    prediction: Prediction

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the functions are in."""
        return tuple(part.file for part in self.parts)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; ``functions`` has ``null`` for a file taken as a whole."""
        verdict = self.prediction
        return {
            "files": list(self.files),
            "functions": [None if part.name is None else {"name": part.name, "line": part.line} for part in self.parts],
            "label": verdict.label,
            "probability": verdict.probability,
            "probabilities": dict(verdict.probabilities),
        }


def predict(
    path: str | Path, files: str | Path | Sequence[str | Path], threads: int | None = None, *, whole: bool = False
) -> list[FilePrediction]:
    """Classify the functions of files (``-``: standard input); a model of pairs takes files two by two.

    For models of the tasks in :data:`OF_FUNCTIONS`, a file in C, Java or Python is taken apart into its functions:
    one verdict each, in order. Of two files, each function of the first is compared with all of the second, and the
    verdict is on it and its likeliest counterpart. A file in which no function is found is taken as one.

    Args:
        path: an artifact's folder, or a shipped model's name.
        files: source files, or one.
        threads: processor threads; ``None`` leaves the choice to the engine.
        whole: take each file as one function, whatever it holds.

    Raises:
        UserError: a file is no source code, an odd number of them is given to a model of pairs, or two of them hold too
            many functions to compare each with each.
    """
    files = file_list(files)
    model = Classifier(open_artifact(path), threads)
    if len(files) % model.arity:
        raise UserError(
            f"{len(files)} file(s) given; this model compares pairs.",
            where="FILE",
            remedy="Give an even number of files.",
        )
    apart = not whole and model.manifest.task in OF_FUNCTIONS
    read = [_parts(name, apart) for name in files]
    if model.arity == 1:
        parts = [part for group in read for part in group]
        verdicts = model.predict([text for _, text in parts])
        return [FilePrediction((part,), verdict) for (part, _), verdict in zip(parts, verdicts, strict=True)]
    return [found for first, second in zip(read[::2], read[1::2], strict=True) for found in _best(model, first, second)]


Parts = list[tuple[Part, str]]
"""Functions, with their sources."""


def _parts(name: str | Path, apart: bool) -> Parts:
    text, file = read_source(name), str(name)
    functions: list[Function] = functions_in(text, Path(name)) if apart else []
    return [(Part(file, item.name, item.line), item.text) for item in functions] or [(Part(file, None, 1), text)]


def _best(model: Classifier, first: Parts, second: Parts) -> list[FilePrediction]:
    """Each of ``first`` with the one of ``second`` that is likeliest of the model's last class; the earliest of equals.

    Raises:
        UserError: there are too many pairs.
    """
    if len(first) * len(second) > MOST_PAIRS:
        raise UserError(
            f"has {len(first):,} functions, and {second[0][0].file} {len(second):,}: these are too many pairs.",
            where=first[0][0].file,
            remedy=f"Give smaller files: {MOST_PAIRS:,} pairs at most.",
        )
    verdicts = model.predict([(one, other) for _, one in first for _, other in second])
    looked_for = model.labels[-1]
    found = []
    for row, (part, _) in enumerate(first):
        own = verdicts[row * len(second) : (row + 1) * len(second)]
        best = max(range(len(own)), key=lambda place: own[place].probabilities[looked_for])
        found.append(FilePrediction((part, second[best][0]), own[best]))
    return found
