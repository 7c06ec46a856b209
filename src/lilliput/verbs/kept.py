"""Results of a long run kept in a file as they are found, so that an interrupted run can resume."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import json
import os
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.artifact import MANIFEST, Artifact
from lilliput.data.lines import UTF8_BOM
from lilliput.errors import UserError
from lilliput.files import explain_disk_errors, refuse_open, sha256_of
from lilliput.kernels.build import kernels
from lilliput.locks import claim, release
from lilliput.shipped import is_model_folder
from lilliput.version import VERSION

ENDING = ".kept.jsonl"

Inputs = Sequence["str | Path | Sequence[str | Path] | None"]
"""What a command reads: paths, lists of paths, names that are not paths; ``None``: not given."""


def key_of(*what: Any) -> str:
    """A key for what is computed from exactly these values (plain JSON)."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def artifact_key(artifact: Artifact) -> str:
    """A key for an artifact's outputs: its manifest has the hash of every other file."""
    versions = VERSION, importlib.metadata.version("openvino")
    return key_of("artifact", sha256_of(artifact.path / MANIFEST), *versions, kernels().library is not None)


def beside(out: Path | None, result: str, inputs: Inputs = ()) -> tuple[Path | None, Path | None]:
    """The path of the result, and the path beside it where intermediate findings are kept.

    Args:
        out: a file that ends in ``.json``, or a folder; a pipe or a device, beside which nothing is kept; ``None``:
            nothing is written.
        result: name of the result's file in a folder.
        inputs: files that neither path may be.

    Raises:
        UserError: the path cannot be written, or is an input.
    """
    if out is None:
        return None, None
    refuse_open(out)
    if out.exists() and not out.is_file() and not out.is_dir():
        return out, None
    file = out if out.suffix == ".json" and not out.is_dir() else out / result
    kept = file.with_name(file.stem + ENDING)
    for target in (file, kept):
        refuse_inputs(target, inputs)
    refuse_unwritable(file)
    return file, kept


def refuse_inputs(target: Path, inputs: Inputs) -> None:
    """Refuse to write to a file that the command reads.

    Raises:
        UserError: ``target`` is one of ``inputs``, under any name.
    """
    for given in inputs:
        for one in given if isinstance(given, Sequence) and not isinstance(given, str) else (given,):
            if one is not None and (_are_one(target, one) or _is_part_of(target, one)):
                raise UserError(
                    f"{target} is a file that this command reads.",
                    where="--out",
                    remedy="Name another file: the result would overwrite it.",
                )


def _are_one(file: Path, other: str | Path) -> bool:
    try:
        return file.is_file() and file.samefile(other)
    except (OSError, ValueError):  # the other does not exist, or its name is not a path
        return False


def _is_part_of(file: Path, model: str | Path) -> bool:
    """Whether ``file`` is in a model's folder or one of its subfolders."""
    try:
        return file.is_file() and Path(model).resolve() in file.resolve().parents and is_model_folder(Path(model))
    except (OSError, ValueError, RuntimeError):
        return False


def refuse_unwritable(target: Path) -> None:
    """Refuse a path that cannot be written to, before the work whose result is to go there.

    Raises:
        UserError: it is a folder, its parent cannot be made or written to, or it names an open file.
    """
    refuse_open(target)
    with explain_disk_errors(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.exists() and not target.is_file():
            return  # such as a pipe or /dev/null, beside which nothing is written
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass


class Kept:
    """Findings by key, as JSON Lines; each is written as soon as it is known.

    The file is a cache, not a result: it does not record whether it is complete, truncated lines are skipped, and it
    may be deleted at any time. While this object lives, a lock keeps other processes out.

    Args:
        path: the file; ``None``: findings are forgotten at the end.

    Raises:
        UserError: the file cannot be written, or another run holds it.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.found: dict[str, Any] = {}
        if path is None:
            return
        with explain_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.open("a").close()
            claim(path)
            weakref.finalize(self, release, path.absolute())
            content = path.read_bytes().removeprefix(UTF8_BOM)
        for line in content.decode("utf-8", "replace").splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        try:
            record = json.loads(line)
            self.found[record["key"]] = record["found"]
        except (ValueError, RecursionError, KeyError, TypeError):
            return

    def remember(self, key: str, found: Mapping[str, Any]) -> None:
        """Keep a finding in memory, for this run only."""
        self.found[key] = dict(found)

    def add(self, key: str, found: Mapping[str, Any]) -> None:
        """Keep a finding in the file.

        Raises:
            UserError: the file cannot be written.
        """
        self.remember(key, found)
        if self.path is None:
            return
        with explain_disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                start = "\n" if stream.tell() else ""  # ends a truncated line
                stream.write(start + json.dumps({"key": key, "found": self.found[key]}))


class KeptRows:
    """Finished rows of one measurement, by name, in a file that may keep others.

    Args:
        path: the file; ``None``: rows are forgotten at the end.
        key: everything a row depends on (artifact, data, settings), as JSON values; rows of other keys are ignored.
    """

    def __init__(self, path: str | Path | None, key: Mapping[str, Any]) -> None:
        self._kept, self._key = Kept(None if path is None else Path(path)), key

    def __contains__(self, name: str) -> bool:
        return key_of(self._key, name) in self._kept.found

    def __getitem__(self, name: str) -> Any:
        return self._kept.found[key_of(self._key, name)]

    def add(self, name: str, row: Mapping[str, Any]) -> None:
        """Keep a finished row."""
        self._kept.add(key_of(self._key, name), row)
