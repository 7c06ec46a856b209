"""Files written whole or not at all, and verified by hash."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.locks import claim

DEEPEST = 100
"""Levels that JSON may be nested: far more than any file of ours, far fewer than Python's stack takes."""

_TOO_DEEP = f"nested more than {DEEPEST} levels deep"

_NEW, _OLD = ".lilliput-new", ".lilliput-old"
"""Ends of the names of folders under way, and of those set aside."""

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EEXIST: "a part of this path is a file, not a folder",  # what making the folder above it is told
    errno.EFBIG: "the file grew beyond the limit on file sizes",
}
"""Where the operating system's own words do not say it best."""

_REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Free the space or choose another place")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(path: Path, strict: bool = False) -> Any:
    """The JSON value in a file, which may come from a stranger.

    Raises:
        OSError: it cannot be read.
        ValueError: as :func:`parse_json`, or it is not UTF-8.
    """
    return parse_json(path.read_text(encoding="utf-8"), strict)


def parse_json(text: str, strict: bool = False) -> Any:
    """A JSON value in text, which may come from a stranger.

    Args:
        text: what to parse.
        strict: whether NaN and infinity, which many write and JSON does not have, are refused, and a name that an
            object has twice, of which each reader takes another.

    Raises:
        ValueError: it is not JSON, is nested deeper than :data:`DEEPEST`, or holds text that is no UTF-8.
    """
    try:
        hooks: dict[str, Any] = {"parse_constant": _refuse_constant, "object_pairs_hook": _once_each} if strict else {}
        value = json.loads(text, **hooks)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    level = [value]
    for _ in range(DEEPEST + 1):
        for item in level:
            if isinstance(item, str):
                item.encode()  # half a surrogate pair, which JSON may escape, would fail when it is shown
        level = [part for item in level for part in _parts(item)]
        if not level:
            return value
    raise ValueError(_TOO_DEEP)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which JSON does not have")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = Counter(name for name, _ in pairs)
        raise ValueError(f"it has '{names.most_common(1)[0][0]}' twice")
    return found


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return (*value, *value.values())
    return value if isinstance(value, list) else ()


@contextlib.contextmanager
def explain_disk_errors(target: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write ``target`` into a :class:`UserError`."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # a library's own complaint, not the operating system's
            raise
        raise UserError(
            f"cannot write: {_REASONS.get(error.errno, os.strerror(error.errno).lower())}.",
            where=target,
            remedy=f"Nothing was left half-written. {_REMEDIES.get(error.errno, 'Choose another place')}, "
            "then run the command again.",
        ) from error


@contextlib.contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success flush it to disk and rename it to ``target``.

    A link is followed: what it names is replaced. What is neither file nor folder, such as ``/dev/null`` or a pipe,
    cannot be: it is yielded itself, and written as it comes.

    Raises:
        UserError: it cannot be written, or is a name of an open file (:func:`refuse_open`).
    """
    refuse_open(target)
    with explain_disk_errors(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if target.exists() and not target.is_file():
            yield target
            return
        target = followed(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        temporary.touch(exist_ok=False)  # with the permissions that the user's new files have
        try:
            yield temporary
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


_DESCRIPTOR = re.compile(r"/proc/\d+/(task/\d+/)?fd/\d+")


def refuse_open(target: Path) -> None:
    """Refuse a name that some process has for a file it opened, as ``/dev/stdout`` is where a shell writes to a file.

    Raises:
        UserError: it is one, or nothing can be written there.
    """
    place = target
    with explain_disk_errors(target):
        while target.is_file() and place.is_symlink():
            place = place.parent.resolve() / place.name
            if _DESCRIPTOR.fullmatch(str(place)):
                raise UserError(
                    "is a name of a file that is open, which cannot be replaced.",
                    where=target,
                    remedy="Name the file itself; results are printed with --json.",
                )
            place = place.parent / place.readlink()


def write_text(target: Path, text: str) -> None:
    """Write ``text`` (UTF-8; half a surrogate pair as a question mark) to ``target`` atomically."""
    with atomic_file(target) as temporary:
        temporary.write_bytes(text.encode("utf-8", "replace"))


def write_json(target: Path, value: Any) -> None:
    """Write ``value`` as indented JSON to ``target`` atomically."""
    write_text(target, json_text(value) + "\n")


def json_text(value: Any) -> str:
    """``value`` as indented JSON that can be written as UTF-8: a model or a server may answer with anything."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode()


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; on success it takes ``target``'s place, whole.

    What was at ``target`` is set aside while the new folder moves in, and removed after; if the move fails it is put
    back. Between the two renames there is nothing at ``target``: a run killed at that very moment leaves the old one
    beside it as ``.NAME.XXXXXXXX.lilliput-old``. What killed runs left is removed by the next one: half-written folders
    at its start, old ones only once the new one is in place. A link is followed: what it names is replaced.
    """
    with explain_disk_errors(target):
        target = followed(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(target, _NEW)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_NEW, dir=target.parent))
        aside = temporary.with_name(temporary.name.removesuffix(_NEW) + _OLD)
        try:
            yield temporary
            temporary.chmod(0o755)
            if target.exists():
                target.rename(aside)
            try:
                temporary.rename(target)
            except BaseException:
                if aside.exists():
                    aside.rename(target)
                raise
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _remove_leftovers(target, _OLD)


CACHE_VARIABLE = "LILLIPUT_CACHE"
"""Environment variable that names the cache folder."""


def cache_folder() -> Path:
    """Where what was found out about this machine is kept: ``~/.cache/lilliput`` where no variable says otherwise.

    Raises:
        UserError: there is no home folder, as in a container with a user that nobody knows.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".cache") / "lilliput"
    except RuntimeError as error:
        raise UserError("there is no home folder.", remedy=f"Name a folder with {CACHE_VARIABLE}.") from error


def work_folder(target: Path) -> Path:
    """Where the work that will write ``target`` keeps what it found so far."""
    return target.parent / f".{target.name}.work"


def require_place(target: Path) -> None:
    """Refuse a place that no folder can be written to, before the work whose result is to stand there; nothing is made.

    Raises:
        UserError: a folder above it is a file or cannot be written to, or a link or a file is where its work goes.
    """
    with explain_disk_errors(target):
        place = followed(target)
        above = next((folder for folder in place.parents if folder.exists()), place)
        with tempfile.TemporaryFile(dir=above):
            pass
        _require_free(work_folder(place))


def begin_work(folder: Path) -> bool:
    """Make a folder of :func:`work_folder`, and claim it; whether it was there.

    Raises:
        UserError: another run is at work there, something else is, or the folder cannot be made.
    """
    with explain_disk_errors(folder):
        _require_free(folder)
        begun = folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        claim(folder)
    return begun


def _require_free(work: Path) -> None:
    if work.is_symlink() or (work.exists() and not work.is_dir()):
        raise UserError(
            "a run keeps its work there, but it is a link or a file.",
            where=work,
            remedy="Remove it, or choose another --out.",
        )


def empty(folder: Path) -> None:
    """Remove what is in ``folder``."""
    for path in folder.iterdir():
        _remove(path)


def followed(target: Path) -> Path:
    """``target`` with links followed.

    Raises:
        OSError: they go round in a circle.
    """
    try:
        return target.resolve()
    except RuntimeError as error:  # what Python before 3.13 says of a circle
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error


def _remove_leftovers(target: Path, suffix: str) -> None:
    """Remove what :func:`atomic_folder` made beside ``target`` under names that end so, and nothing else."""
    made = re.compile(re.escape(f".{target.name}.") + r"[a-z0-9_]{8}" + re.escape(suffix))
    with contextlib.suppress(OSError):  # a parent that may be written but not listed: untidy, no more
        for path in target.parent.iterdir():
            if made.fullmatch(path.name):
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
