"""Read text files line by line, gzipped or plain; every error names file and line."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from lilliput.errors import DataError

MAX_LINE_BYTES = 64 * 2**20
"""Longest line held in memory: a hostile or mistaken file is refused and never exhausts memory."""

GZIP_MAGIC = b"\x1f\x8b"
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


class Place(NamedTuple):
    """Where something was read: a file and a 1-based line of it (in a Parquet file, a row)."""

    path: Path
    line: int | None = None

    def error(self, problem: str, remedy: str = "") -> DataError:
        """A :class:`DataError` about this place, to be raised."""
        return DataError(problem, remedy=remedy, where=self.path, line=self.line)


def shown(value: object, limit: int = 40) -> str:
    """``value`` for messages: cut after ``limit`` characters, unprintable ones escaped, constants named as in JSON."""
    if isinstance(value, str):
        return repr(value) if len(value) <= limit else f"{value[:limit]!r}..."
    if value is None or isinstance(value, bool | int | float):
        text = json.dumps(value)
        return text if len(text) <= limit else f"{text[:limit]}..."
    return f"a value of type {type(value).__name__}"


def listed(names: Iterable[str], limit: int = 20) -> str:
    """``'a', 'b', 'c'`` for messages, at most ``limit`` of them."""
    every = [shown(name) for name in names]
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return (", ".join(every[:limit]) + more) or "none"


def file_list(files: str | Path | Iterable[str | Path]) -> list[str | Path]:
    """``files`` as a list; a single path is a list of one.

    Raises:
        DataError: ``files`` is neither a path nor a list of paths.
    """
    given = [files] if isinstance(files, str | Path) or not isinstance(files, Iterable) else list(files)
    for item in given:
        if not isinstance(item, str | Path):
            raise DataError(f"{shown(item)} is not a file path.", remedy="Give a path, or a list of paths.")
    return given


@contextlib.contextmanager
def open_file(path: Path, regular: bool = True) -> Iterator[BinaryIO]:
    """Open the file's raw bytes.

    Args:
        path: the file.
        regular: refuse pipes and devices: what is read more than once must be a file on disk.

    Raises:
        DataError: the file is missing, a folder, not a regular file, or may not be read.
    """
    place = Place(path)
    try:
        if path.is_dir():
            raise place.error("is a folder, not a file.", "Give the path of a file in it.")
        if regular and path.exists() and not path.is_file():
            raise place.error("is not a regular file.", "Save its content to a file and give that file's path.")
        with path.open("rb") as stream:
            yield stream
    except FileNotFoundError as error:
        raise place.error("there is no such file.", "Check the path.") from error
    except PermissionError as error:
        raise place.error("permission to read it is denied.", "Change the file's permissions.") from error
    except OSError as error:
        raise place.error(f"cannot be read: {error.strerror or error}.", "Check the path and the disk.") from error


def sha256_of_all(paths: Iterable[Path]) -> str:
    """Hex SHA-256 of the files' bytes, one after the other (``cat a b | sha256sum``)."""
    digest = hashlib.sha256()
    for path in paths:
        with open_file(path) as stream:
            while block := stream.read(2**20):
                digest.update(block)
    return digest.hexdigest()


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield ``(number, text)`` for each line, counted from 1; ``text`` keeps its line ending.

    Gzip is recognized by its first bytes, whatever the file is called. A UTF-8 byte order mark is dropped.

    Raises:
        DataError: from :func:`open_file`; or the gzip data is cut short or damaged; or a line is not UTF-8, holds a NUL
            byte, or is longer than :data:`MAX_LINE_BYTES`.
    """
    with open_file(path) as raw:
        stream = _unpacked(raw)
        number = 1
        while line := _next_line(stream, Place(path, number)):
            if number == 1:
                line = line.removeprefix(UTF8_BOM)
            yield number, decode(line, Place(path, number))
            number += 1


def is_gzipped(path: Path) -> bool:
    """Whether the file begins as gzip data does."""
    with open_file(path) as stream:
        return stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC


def read_start(path: Path, count: int) -> bytes:
    """The first ``count`` bytes (fewer in a shorter file); of gzip data, of the decompressed content.

    Raises:
        DataError: from :func:`open_file`, or the gzip data is damaged.
    """
    with open_file(path) as raw, _sound_gzip(Place(path)):
        return _unpacked(raw).read(count)


def _unpacked(raw: BinaryIO) -> BinaryIO:
    """``raw``, decompressed if it is gzip data."""
    if cast(io.BufferedReader, raw).peek(2)[:2] != GZIP_MAGIC:
        return raw
    return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=raw)))


@contextlib.contextmanager
def _sound_gzip(place: Place) -> Iterator[None]:
    again = "Download or copy the file again."
    try:
        yield
    except EOFError as error:
        raise place.error("the gzip data ends too early: the file was cut short.", again) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise place.error(f"the gzip data is damaged ({error}).", again) from error


def _next_line(stream: BinaryIO, place: Place) -> bytes:
    with _sound_gzip(place):
        line = stream.readline(MAX_LINE_BYTES + 1)
    if len(line) > MAX_LINE_BYTES:
        raise place.error(
            f"the line is longer than {MAX_LINE_BYTES:,} bytes.",
            "One example per line is expected; remove this one or check the line endings.",
        )
    return line


def decode(content: bytes, place: Place) -> str:
    """``content`` as UTF-8 text.

    Raises:
        DataError: a NUL byte, or a byte that is not UTF-8; the message gives its 1-based position in ``content`` (the
            line, where ``place`` has one, else the file).
    """
    inside = "file" if place.line is None else "line"
    if content.startswith(UTF16_BOMS) and place.line in (None, 1):
        raise place.error("is UTF-16 text.", "Save it as UTF-8.")
    if (nul := content.find(b"\0")) >= 0:
        raise place.error(
            f"byte {nul + 1} of the {inside} is NUL: this is binary data.", "Give a text file encoded in UTF-8."
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        wrong = f"byte {error.start + 1} of the {inside} (0x{content[error.start]:02x}) is not UTF-8."
        raise place.error(wrong, "Save the file as UTF-8, or give a text file if this is a binary one.") from error
