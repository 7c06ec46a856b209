"""Python code for calibration and perplexity: the standard library's own files, so that no data set is shipped."""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from lilliput.errors import UserError

CALIBRATION, HELD_OUT = "calibration", "held-out"

SMALLEST, LARGEST = 2_000, 200_000
"""Bytes of a file: smaller ones hold little code, larger ones are tables."""

HELD_OUT_SHARE = 4
"""One file in this many is held out, chosen by its name."""

_SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idle_test", "lib2to3", "__pycache__", "encodings"}


def code_files(part: str, seed: int = 0) -> list[Path]:
    """Files of the standard library, in an order that ``seed`` determines; no file is in both parts.

    Raises:
        UserError: the standard library is installed without its sources.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    files = [file for file in sorted(root.rglob("*.py")) if not _SKIPPED & set(file.relative_to(root).parts)]
    chosen = [file for file in files if _held_out(file.relative_to(root)) == (part == HELD_OUT)]
    chosen = [file for file in chosen if SMALLEST <= file.stat().st_size <= LARGEST]
    if not chosen:
        raise UserError(
            "Python's standard library is installed without its sources (.py files).",
            remedy="Use a Python installed in the usual way, or bring data of your own.",
        )
    Random(f"{part} {seed}").shuffle(chosen)
    return chosen


def _held_out(name: Path) -> bool:
    return hashlib.sha256(name.as_posix().encode()).digest()[0] % HELD_OUT_SHARE == 0


def whole_reader(tokenizer: Tokenizer) -> Tokenizer:
    """A copy of ``tokenizer`` that encodes a source file in full and verbatim.

    Its truncation and padding are turned off, and control tokens are plain text: a ``</s>`` in source code is four
    characters, and ends nothing.
    """
    reader: Tokenizer = Tokenizer.from_str(tokenizer.to_str())
    reader.no_truncation()
    reader.no_padding()
    reader.encode_special_tokens = True
    return reader


def windows(texts: Iterable[str], tokenizer: Tokenizer, count: int, length: int) -> NDArray[np.int64]:
    """Token ids ``[count, length]``: the first ``length`` tokens of each text, then the next of longer ones, in turn.

    Texts are encoded by :func:`whole_reader`.

    Raises:
        UserError: the texts are too short for ``count`` windows.
    """
    rows: list[list[int]] = []
    for ids in _rounds(texts, whole_reader(tokenizer), length):
        rows.append(ids)
        if len(rows) == count:
            return np.array(rows, np.int64)
    raise UserError(
        f"the data give {len(rows)} pieces of {length} tokens, and {count} are needed.", remedy="Give more data."
    )


def _rounds(texts: Iterable[str], tokenizer: Tokenizer, length: int) -> Iterator[list[int]]:
    """The first piece of every text, then the second of those that have one, and so on."""
    encoded: list[list[int]] = []
    for text in texts:  # the first round reads texts lazily
        ids = tokenizer.encode(text).ids
        encoded.append(ids)
        if len(ids) >= length:
            yield ids[:length]
    start = length
    while any(len(ids) >= start + length for ids in encoded):
        for ids in encoded:
            if len(ids) >= start + length:
                yield ids[start : start + length]
        start += length


def read_texts(files: Sequence[Path]) -> Iterator[str]:
    """Contents of source files; files that cannot be read as UTF-8 are skipped."""
    for file in files:
        try:
            yield file.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue
