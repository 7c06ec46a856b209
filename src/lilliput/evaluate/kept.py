"""Finished rows kept in a file, so that a measurement that was killed goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.files import explain_disk_errors, write_text

_FORMAT = "lilliput kept rows"


class KeptRows:
    """Rows of a measurement by name, each written to the file as soon as it is there.

    The file is JSON Lines: first what the rows depend on, then one row a line. Rows of a run that depended on anything
    else are dropped; half a line at the end, of a run that was killed, too.

    Args:
        path: the file; ``None``: rows are kept in memory alone.
        key: all that a row depends on (artifact, data, settings), as JSON values.

    Raises:
        UserError: there is a file that is no such file; or it cannot be written.
    """

    def __init__(self, path: str | Path | None, key: Mapping[str, Any]) -> None:
        self.path = None if path is None else Path(path)
        self.rows: dict[str, dict[str, Any]] = {}
        if self.path is None:
            return
        head = json.dumps({"format": _FORMAT, "key": key}, sort_keys=True)
        with explain_disk_errors(self.path):
            if self.path.exists():
                self.rows = _read(self.path, head)
            lines = [head, *(_line(name, row) for name, row in self.rows.items())]
            write_text(self.path, "".join(f"{line}\n" for line in lines))

    def add(self, name: str, row: Mapping[str, Any]) -> None:
        """Keep a finished row."""
        self.rows[name] = dict(row)
        if self.path is not None:
            with explain_disk_errors(self.path), self.path.open("a", encoding="utf-8") as stream:
                stream.write(f"{_line(name, row)}\n")


def _line(name: str, row: Mapping[str, Any]) -> str:
    return json.dumps({"name": name, "row": dict(row)})


def _read(path: Path, head: str) -> dict[str, dict[str, Any]]:
    first, *lines = path.read_bytes().split(b"\n")
    if f'"format": "{_FORMAT}"'.encode() not in first:
        if not path.stat().st_size:
            return {}
        raise UserError("is a file of another kind.", where=path, remedy="Choose another name for the kept rows.")
    if first != head.encode():
        return {}
    rows = {}
    for number, line in enumerate(lines[:-1], start=2):  # what follows the last line's end is nothing, or half a line
        try:
            entry = json.loads(line)
            rows[str(entry["name"])] = dict(entry["row"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                "is damaged.", where=path, line=number, remedy="Remove the file and start again."
            ) from error
    return rows
