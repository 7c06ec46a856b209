"""Calibration data of a generator: pieces of code, by default from Python's standard library."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lilliput.data.code_texts import CALIBRATION, code_files, read_texts, whole_reader, windows
from lilliput.data.examples import check_code
from lilliput.data.formats import Format, format_of, read_rows
from lilliput.data.sources import read_functions, read_source
from lilliput.errors import UserError

SOURCE, TARGET = "source", "target"
"""Columns of a table with both sides of an encoder-decoder's data."""


@dataclass(frozen=True)
class Tokens:
    """Input of a stack of blocks.

    Attributes:
        ids: int64 ``[pieces, tokens]``.
        mask: bool ``[pieces, tokens]``: false at padding, which is on the right.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]] | NDArray[np.int64]) -> Tokens:
        """Pad rows of ids, none of them empty."""
        ends = np.array([len(row) for row in rows])
        mask = np.arange(ends.max()) < ends[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = np.concatenate([np.asarray(row, np.int64) for row in rows])
        return cls(ids, mask)


@dataclass(frozen=True)
class Calibration:
    """Settings of calibration data.

    Attributes:
        files: tables of functions, or source files; if empty, the standard library's.
        pieces: number of pieces.
        tokens: tokens of each piece; for an encoder-decoder, of the source and of the target.
        seed: selects the files of the standard library.
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

    def data(self, tokenizer: Tokenizer, positions: int | None, start: int | None = None) -> tuple[Tokens, ...]:
        """The inputs of a decoder, or of an encoder and its decoder.

        An encoder-decoder's source and target come from a table that has both. Otherwise both are the same text:
        reproducing the input is what both families of models were pretrained for (PLBART from code with some tokens
        removed, CodeT5 with the gaps alone as target) and is close to repair and translation; it gives cross-attention
        something to find for every token; and it favours no task that the model may have been fine-tuned for.

        Args:
            tokenizer: the model's.
            positions: most tokens that the model has positions for; ``None``: any number.
            start: id that targets start from; ``None``: there is no encoder.

        Raises:
            UserError: a file cannot be read, or there is too little code.
        """
        length = min(self.tokens, positions or self.tokens)
        if start is not None and any(map(_is_paired, self.files)):
            sources, targets = self._paired(tokenizer, length)
        else:
            sources = targets = windows(_texts(self.files, self.seed), tokenizer, self.pieces, length).tolist()
        source = Tokens.of(sources)
        return (source,) if start is None else (source, Tokens.of([[start, *row[:-1]] for row in targets]))

    def _paired(self, tokenizer: Tokenizer, length: int) -> tuple[list[list[int]], list[list[int]]]:
        """The first tokens of sources and targets, row by row."""
        reader, found = whole_reader(tokenizer), list[tuple[list[int], list[int]]]()
        for text, other in _pairs(self.files):
            pair = reader.encode(text).ids[:length], reader.encode(other).ids[:length]
            if all(pair):  # a tokenizer may drop blanks and return no tokens
                found.append(pair)
            if len(found) == self.pieces:
                return [source for source, _ in found], [target for _, target in found]
        raise UserError(
            f"the data give {len(found)} pairs of source and target, and {self.pieces} are needed.",
            remedy="Give more data, or ask for fewer with --calibration-pieces.",
        )


def digest(data: Sequence[Tokens]) -> str:
    """SHA-256 of calibration data, for an artifact's provenance."""
    found = hashlib.sha256()
    for tokens in data:
        found.update(np.where(tokens.mask, tokens.ids, -1).tobytes())
    return found.hexdigest()


def _texts(files: Sequence[Path], seed: int) -> Iterable[str]:
    return read_texts(code_files(CALIBRATION, seed)) if not files else _own(files)


def _own(files: Sequence[Path]) -> Iterator[str]:
    """Texts of the user's files; a table's functions are joined, since most are shorter than a piece."""
    for file in files:
        if format_of(file) is Format.TEXT:
            yield read_source(file)
        else:
            yield "\n\n".join(read_functions([file]))


def _is_paired(file: Path) -> bool:
    return format_of(file) is not Format.TEXT and {SOURCE, TARGET} <= set(
        next(read_rows(file, (SOURCE, TARGET))).columns
    )


def _pairs(files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Source and target of every row of tables; if one table has them, all must."""
    for file in files:
        for row in read_rows(file, (SOURCE, TARGET)):
            source, target = (check_code(row.value(name), row.place, f"'{name}'") for name in (SOURCE, TARGET))
            yield source, target
