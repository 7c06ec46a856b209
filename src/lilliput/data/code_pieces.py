"""Pieces of source files as token ids, each token marked as code, or as white space and comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from random import Random

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lilliput.data.languages import prose_spans
from lilliput.data.repository import Source

SHORTEST = 16
"""Fewest tokens of a piece: shorter files, and shorter ends of files, are left out."""


@dataclass(frozen=True)
class Piece:
    """Consecutive tokens of a file.

    Attributes:
        name: the file's name.
        ids: ``[T]``, beginning with the tokens that the tokenizer prepends to every text, if any.
        code: ``[T]``, whether a token holds a character of code: neither white space nor in a comment or a multi-line
            string.
    """

    name: str
    ids: NDArray[np.int64]
    code: NDArray[np.bool_]


def code_pieces(sources: Sequence[Source], tokenizer: Tokenizer, count: int, length: int, seed: int = 0) -> list[Piece]:
    """Pieces of ``length`` tokens or (at the end of a file) fewer: one of each file, then a second of each, and so on.

    Args:
        sources: the files.
        tokenizer: without truncation or padding of its own.
        count: most pieces.
        length: most tokens of a piece, including those that the tokenizer prepends to every text.
        seed: seed of the order of a file's pieces.
    """
    start = _start(tokenizer)
    encoded = [_encoded(source, tokenizer) for source in sources[:count]]
    rounds = zip_longest(*(_pieces_of(piece, start, length, seed) for piece in encoded))
    return list(islice((piece for piece in chain.from_iterable(rounds) if piece is not None), count))


def _start(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Ids that the tokenizer prepends to every text."""
    encoding = tokenizer.encode("a")
    own = [place for place, added in enumerate(encoding.special_tokens_mask) if not added]
    return np.array(encoding.ids[: own[0] if own else 0], np.int64)


def _encoded(source: Source, tokenizer: Tokenizer) -> Piece:
    encoding = tokenizer.encode(source.text, add_special_tokens=False)
    ends = np.array(encoding.offsets, np.int64).reshape(-1, 2)
    count = np.concatenate(([0], np.cumsum(code_characters(source))))
    return Piece(source.name, np.array(encoding.ids, np.int64), count[ends[:, 1]] > count[ends[:, 0]])


def code_characters(source: Source) -> NDArray[np.bool_]:
    """For each character, whether it is code: neither white space nor in a comment or a multi-line string."""
    marks = np.array([not character.isspace() for character in source.text], np.bool_)
    for begin, end in prose_spans(source.text, source.language):
        marks[begin:end] = False
    return marks


def _pieces_of(whole: Piece, start: NDArray[np.int64], length: int, seed: int) -> Iterator[Piece]:
    """The file's pieces, in random order."""
    room = length - len(start)
    begins = [begin for begin in range(0, len(whole.ids), room) if len(whole.ids) - begin >= SHORTEST]
    Random(f"pieces {seed} {whole.name}").shuffle(begins)
    for begin in begins:
        ids, code = whole.ids[begin : begin + room], whole.code[begin : begin + room]
        yield Piece(whole.name, np.concatenate((start, ids)), np.concatenate((np.zeros(len(start), np.bool_), code)))
