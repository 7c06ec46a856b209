"""Files written whole or not at all, and verified by hash."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lilliput.errors import UserError


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def explain_disk_errors(target: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write ``target`` into a :class:`UserError`."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full.",
            errno.EDQUOT: "the disk quota is used up.",
            errno.EACCES: "permission denied.",
            errno.EROFS: "the file system is read-only.",
            errno.ENOTDIR: "a part of this path is a file, not a folder.",
            errno.EFBIG: "the file grew beyond the limit on file sizes.",
        }
        if error.errno not in reasons:
            raise
        raise UserError(
            f"cannot write: {reasons[error.errno]}",
            where=target,
            remedy="Nothing was left half-written. Free the space or choose another place, then run the command again.",
        ) from error


@contextlib.contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success flush it to disk and rename it to ``target``."""
    with explain_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.chmod(0o644)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_text(target: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``target`` atomically."""
    with atomic_file(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write ``value`` as indented JSON to ``target`` atomically."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; on success it takes ``target``'s place, whole.

    A folder already at ``target`` is set aside while the new one moves in, and removed after; if the move fails it is
    put back.
    """
    with explain_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        aside = temporary.with_name(temporary.name + ".old")
        try:
            yield temporary
            temporary.chmod(0o755)
            if target.exists():
                target.rename(aside)
            try:
                temporary.rename(target)
            except OSError:
                if aside.exists():
                    aside.rename(target)
                raise
            shutil.rmtree(aside, ignore_errors=True)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
