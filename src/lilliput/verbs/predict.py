"""``predict``: labels for the functions of source files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.artifact import open_artifact
from lilliput.data.examples import MAX_FUNCTION_BYTES, check_code
from lilliput.data.functions import Function, functions_in
from lilliput.data.languages import language_of
from lilliput.data.lines import Place, file_list
from lilliput.data.sources import STANDARD_INPUT, read_source
from lilliput.errors import UserError
from lilliput.progress import Progress
from lilliput.runtime.classifier import Classifier, Prediction
from lilliput.shipped import shipped_named

OF_FUNCTIONS = frozenset({"vulnerability", "clone"})
"""Tasks whose models classify functions, so that files are split; a user's own labels may be about anything."""

MOST_PAIRS = 50_000
"""Maximum number of pairs of functions to compare in two files."""

LONGEST_FILE = 50_000_000
"""Maximum bytes of a file to split."""

MANY = 5_000
"""Number of functions from which progress is shown."""


@dataclass(frozen=True)
class Part:
    """A function in a file, or the whole file.

    Attributes:
        file: path of the file; ``-``: standard input.
        name: name of the function; ``None``: the whole file.
        line: first line, counted from 1.
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
        """Plain JSON values; ``functions`` has ``null`` for a file treated as one function."""
        verdict = self.prediction
        return {
            "files": list(self.files),
            "functions": [None if part.name is None else {"name": part.name, "line": part.line} for part in self.parts],
            "label": verdict.label,
            "probability": verdict.probability,
            "probabilities": dict(verdict.probabilities),
        }


def predict(
    path: str | Path,
    files: str | Path | Sequence[str | Path],
    threads: int | None = None,
    *,
    whole: bool = False,
    passed_over: Callable[[UserError], object] | None = None,
    progress: Progress | None = None,
) -> list[FilePrediction]:
    """Classify the functions in files (``-``: standard input); a model of pairs takes two files at a time.

    For models of the tasks in :data:`OF_FUNCTIONS`, a file in C, Java or Python is split into its functions: one
    verdict each, in order. In a pair of files, each function of the first is compared with all of the second, and the
    verdict is on the function and its likeliest counterpart. A file without functions is treated as one function.

    Args:
        path: an artifact's folder, or a shipped model's name.
        files: one or more source files.
        threads: processor threads; ``None`` leaves the choice to the engine.
        whole: treat each file as one function.
        passed_over: called for each file that is not source code, which is then skipped; ``None``: raise an error.
        progress: shown while working on many functions.

    Raises:
        UserError: a file is not source code, standard input is named twice, a model of pairs gets an odd number of
            files, or two files have too many functions to compare all pairs.
    """
    files = file_list(files)
    model = Classifier(open_artifact(path), threads)
    if len(files) % model.arity:
        raise UserError(
            f"{len(files)} file(s) given; this model compares pairs.",
            where="FILES",
            remedy="Give an even number of files.",
        )
    if [str(name) for name in files].count(STANDARD_INPUT) > 1:
        raise UserError("is given twice but can be read only once.", where=STANDARD_INPUT, remedy="Give files.")
    apart = not whole and model.manifest.task in OF_FUNCTIONS
    read = [_read(name, apart, passed_over) for name in files]
    if model.arity == 1:
        parts = [part for group in read for part in group or []]
        members = np.arange(len(parts))[:, None]
        shown = progress if len(parts) >= MANY else None
        rows = model.probabilities([text for _, text in parts], members, shown) if parts else ()
        return [FilePrediction((part,), model.prediction(row)) for (part, _), row in zip(parts, rows, strict=True)]
    pairs = zip(read[::2], read[1::2], strict=True)
    return [found for first, second in pairs if first and second for found in _best(model, first, second)]


def unknown_languages(path: str | Path, files: str | Path | Sequence[str | Path]) -> list[str]:
    """Notes on files whose names suggest another language than a shipped model was trained on, one per language.

    Args:
        path: as in :func:`predict`; nothing is known of a user's own artifact.
        files: one or more source files.
    """
    model = shipped_named(path)
    if model is None:
        return []
    languages = Counter(language.name for file in file_list(files) if (language := language_of(Path(file))) is not None)
    return [
        f"{model.name} was trained on functions in {model.language}: its predictions for {count} file(s) in {name} "
        "mean little."
        for name, count in languages.items()
        if name != model.language
    ]


Parts = list[tuple[Part, str]]
"""Functions, with their sources."""


def _read(name: str | Path, apart: bool, passed_over: Callable[[UserError], object] | None) -> Parts | None:
    """The functions of a file to classify; ``None``: the file is skipped."""
    try:
        return _parts(name, apart)
    except UserError as error:
        if passed_over is None:
            raise
        passed_over(error)
        return None


def _parts(name: str | Path, apart: bool) -> Parts:
    file, path = str(name), Path(name)
    text = read_source(name, LONGEST_FILE if apart else MAX_FUNCTION_BYTES)
    functions: list[Function] = functions_in(text, path) if apart else []
    if functions:
        return [(Part(file, item.name, item.line), item.text) for item in functions]
    return [(Part(file, None, 1), check_code(text, Place(path), "no function is found in it, and the source"))]


def _best(model: Classifier, first: Parts, second: Parts) -> list[FilePrediction]:
    """Each of ``first`` with the likeliest counterpart in ``second`` by the last class; ties go to the earliest.

    Raises:
        UserError: there are too many pairs.
    """
    if len(first) * len(second) > MOST_PAIRS:
        raise UserError(
            f"has {len(first):,} functions, and {second[0][0].file} {len(second):,}: too many pairs to compare.",
            where=first[0][0].file,
            remedy=f"Give smaller files: {MOST_PAIRS:,} pairs at most.",
        )
    texts = [text for _, text in (*first, *second)]
    ones, others = np.divmod(np.arange(len(first) * len(second)), len(second))
    rows = model.probabilities(texts, np.stack([ones, len(first) + others], axis=1))
    found = []
    for (part, _), own in zip(first, rows.reshape(len(first), len(second), -1), strict=True):
        best = int(own[:, -1].argmax())
        found.append(FilePrediction((part, second[best][0]), model.prediction(own[best])))
    return found
