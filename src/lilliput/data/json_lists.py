"""JSON lists of objects, in which some data sets are published instead of JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from lilliput.data.formats import PARQUET_MAGIC, Row
from lilliput.data.lines import Place, read_lines, read_start, shown

LONGEST = 2**28
"""Most characters of a list, which is held in memory as a whole."""

_BLANK = " \t\r\n"


def is_list(path: Path) -> bool | None:
    """Whether a file begins as a JSON list; ``None`` if it is empty.

    Raises:
        DataError: the file cannot be read.
    """
    if read_start(path, len(PARQUET_MAGIC)) == PARQUET_MAGIC:
        return False
    for _, text in read_lines(path):
        if start := text.lstrip()[:1]:
            return start == "["
    return None


def read_list(path: Path, wanted: str) -> Iterator[Row]:
    """The objects of a JSON list; each one's place is the line on which it begins.

    Args:
        path: a file for which :func:`is_list` is true.
        wanted: what the list should contain, for messages.

    Raises:
        DataError: the list is not valid JSON, not of objects, or too long; the message names the line.
    """
    parts, size = [], 0
    for _, piece in read_lines(path):
        parts.append(piece)
        size += len(piece)
        if size > LONGEST:
            raise Place(path).error(
                f"is a JSON list of more than {LONGEST:,} characters.", "Turn it into JSON Lines with: jq -c '.[]'"
            )
    text = "".join(parts)
    decoder, at = json.JSONDecoder(), text.index("[") + 1
    line, counted = 1, 0
    separated = True
    while True:
        at = _skipped(text, at)
        line, counted = line + text.count("\n", counted, at), at
        place = Place(path, line)
        if text[at : at + 1] == "]":
            if text[at + 1 :].strip():
                raise place.error("has something after the end of its JSON list.", "Get the file again.")
            return
        if not separated:
            raise place.error("is not JSON: a comma or the end of the list is missing.", "Get the file again.")
        try:
            values, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            wrong = Place(path, error.lineno)
            raise wrong.error(f"is not JSON: {error.msg} at character {error.colno}.", "Get the file again.") from error
        except (RecursionError, ValueError) as error:
            raise place.error(f"is JSON that cannot be read: {error}.", "Get the file again.") from error
        if not isinstance(values, dict):
            raise place.error(f"is not a JSON object but {shown(values)}.", f"Give a list of {wanted}.")
        yield Row(place, values, values.keys())
        at = _skipped(text, at)
        separated = text[at : at + 1] == ","
        at += separated


def _skipped(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at
