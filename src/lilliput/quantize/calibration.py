"""What a generator is calibrated on: pieces of code, by default of Python's standard library."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lilliput.data.code_texts import CALIBRATION, code_files, read_texts, windows
from lilliput.data.formats import Format, format_of
from lilliput.data.sources import read_functions, read_source
from lilliput.errors import UserError


@dataclass(frozen=True)
class Calibration:
    """How much of what.

    Attributes:
        files: tables of functions, or source files; none: the standard library's.
        pieces: how many are taken.
        tokens: of each.
        seed: which files of the standard library.
    """

    files: tuple[Path, ...] = ()
    pieces: int = 32
    tokens: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        for option, value, least in (
            ("--calibration-pieces", self.pieces, 1),
            ("--calibration-tokens", self.tokens, 16),
        ):
            if value < least:
                raise UserError(f"{value} are too few.", where=option, remedy=f"Choose {least} or more.")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        files = [str(file) for file in self.files]
        return {"files": files, "pieces": self.pieces, "tokens": self.tokens, "seed": self.seed}

    def ids(self, tokenizer: Tokenizer, positions: int | None) -> NDArray[np.int64]:
        """Token ids ``[pieces, tokens]``; pieces are no longer than a model's ``positions``.

        Raises:
            UserError: a file cannot be read, or there is too little code.
        """
        length = min(self.tokens, positions or self.tokens)
        return windows(_texts(self.files, self.seed), tokenizer, self.pieces, length)


def digest(ids: NDArray[np.int64]) -> str:
    """SHA-256 of calibration data, for an artifact's provenance."""
    return hashlib.sha256(np.ascontiguousarray(ids).tobytes()).hexdigest()


def _texts(files: Sequence[Path], seed: int) -> Iterable[str]:
    return read_texts(code_files(CALIBRATION, seed)) if not files else _own(files)


def _own(files: Sequence[Path]) -> Iterator[str]:
    """Texts of the user's files; functions of a table are joined, since most are shorter than a piece."""
    for file in files:
        if format_of(file) is Format.TEXT:
            yield read_source(file)
        else:
            yield "\n\n".join(read_functions([file]))
