"""Convert text to token ids, and batch ids with little padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lilliput.encoder import PAD_ID
from lilliput.errors import ArtifactError, UserError

START, END = "<s>", "</s>"

STEP = 16
"""Inputs are padded to a multiple of this many tokens."""


def read_tokenizer(path: Path, error: type[UserError] = ArtifactError) -> Tokenizer:
    """Read the tokenizer in a ``tokenizer.json``.

    Raises:
        UserError: the file is not a tokenizer; an instance of ``error``.
    """
    try:
        return Tokenizer.from_file(str(path))
    except Exception as cause:  # the library raises bare Exception
        raise error(f"is not a tokenizer: {cause}.", where=path, remedy="Get the file again.") from cause


class CodeTokenizer:
    """A ``tokenizer.json`` with start and end tokens and a limit on the input's length.

    Args:
        tokenizer: its own truncation and padding are turned off.
        max_tokens: longest input, the start and end tokens included.
        collapse_whitespace: first replace each run of white space by one space (the Compressor paper's inputs).
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, collapse_whitespace: bool = False) -> None:
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens
        self.collapse_whitespace = collapse_whitespace
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True  # a "<s>" in source code is three characters, not a control token
        self.start, self.end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)

    @classmethod
    def from_file(cls, path: Path, max_tokens: int) -> CodeTokenizer:
        """Read ``tokenizer.json``."""
        return cls(read_tokenizer(path), max_tokens)

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Token ids of each text: start, at most ``max_tokens - 2`` tokens, end."""
        if self.collapse_whitespace:
            texts = [" ".join(text.split()) for text in texts]
        encoded = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [self.framed(item.ids) for item in encoded]

    def framed(self, pieces: Sequence[int]) -> NDArray[np.int64]:
        """Truncate a text's tokens on the right if they are too many, and add the start and end tokens."""
        return np.array([self.start, *pieces[: self.max_tokens - 2], self.end], np.int64)


def length_buckets(lengths: Sequence[int], budget: int) -> Iterator[NDArray[np.int64]]:
    """Batch indices by similar length: at most ``budget`` tokens with padding, of which at most an eighth is padding.

    Every index comes once, the longest inputs first, so that memory is allocated early.
    """
    order = np.argsort(-np.asarray(lengths), kind="stable")
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * longest <= budget and lengths[order[stop]] * 8 >= longest * 7:
            stop += 1
        yield order[start:stop]
        start = stop


def pad(ids: Sequence[NDArray[np.integer]], limit: int) -> NDArray[np.int64]:
    """Pad ids on the right: ``[len(ids), width]``, the longest rounded up to :data:`STEP`, at most ``limit``.

    The engine takes about 10 ms to prepare for each new shape, while a pass takes 1 to 3 ms: having fewer shapes is
    worth a few tokens of padding.
    """
    longest = max(map(len, ids))
    batch = np.full((len(ids), max(longest, min(limit, -(-longest // STEP) * STEP))), PAD_ID, np.int64)
    for row, item in enumerate(ids):
        batch[row, : len(item)] = item
    return batch
