"""Atomic writes, hashes, and checked JSON."""

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
"""Deepest nesting of JSON: far more than any file of this package has, far less than Python's stack takes."""

_TOO_DEEP = f"nested more than {DEEPEST} levels deep"

_NEW, _OLD = ".lilliput-new", ".lilliput-old"
"""Suffixes of folders being written, and of old folders set aside."""

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EEXIST: "a part of this path is a file, not a folder",  # from making the parent folder
    errno.EFBIG: "the file grew beyond the limit on file sizes",
}
"""Messages that are clearer than the operating system's own."""

_REMEDIES = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Free the space or choose another place")


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_json(path: Path, strict: bool = False) -> Any:
    """Read the JSON value in an untrusted file.

    Raises:
        OSError: the file cannot be read.
        ValueError: as for :func:`parse_json`, or the file is not UTF-8.
    """
    return parse_json(path.read_text(encoding="utf-8"), strict)


def parse_json(text: str, strict: bool = False) -> Any:
    """Parse untrusted JSON.

    Args:
        text: what to parse.
        strict: also reject NaN and infinity, which many programs write though JSON does not have them, and duplicate
            names in an object, which readers resolve differently.

    Raises:
        ValueError: the text is not JSON, is nested deeper than :data:`DEEPEST`, or has strings that UTF-8 cannot
            encode.
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
                item.encode()  # a lone surrogate, which JSON can escape, would fail when printed
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
    """Turn the operating system's errors on writing ``target`` into a :class:`UserError`."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # raised by a library, not the operating system
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

    A link is followed, and its target replaced. A device or pipe, such as ``/dev/null``, cannot be replaced: it is
    yielded itself, and written directly.

    Raises:
        UserError: ``target`` cannot be written, or names an open file (:func:`refuse_open`).
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
        temporary.touch(exist_ok=False)  # with the user's default permissions
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
    """Reject a path that leads to a process's open file, as ``/dev/stdout`` does when redirected to a file.

    Raises:
        UserError: ``target`` is such a path, or cannot be accessed.
    """
    place = target
    with explain_disk_errors(target):
        while target.is_file() and place.is_symlink():
            place = place.parent.resolve() / place.name
            if _DESCRIPTOR.fullmatch(str(place)):
                raise UserError(
                    "leads to a file that is open, which cannot be replaced.",
                    where=target,
                    remedy="Name the file itself; results are printed with --json.",
                )
            place = place.parent / place.readlink()


def write_text(target: Path, text: str) -> None:
    """Write ``text`` (UTF-8; lone surrogates become question marks) to ``target`` atomically."""
    with atomic_file(target) as temporary:
        temporary.write_bytes(text.encode("utf-8", "replace"))


def write_json(target: Path, value: Any) -> None:
    """Write ``value`` as indented JSON to ``target`` atomically."""
    write_text(target, json_text(value) + "\n")


def json_text(value: Any) -> str:
    """``value`` as indented JSON that UTF-8 can encode, even if a model or server returned lone surrogates."""
    return json.dumps(value, indent=2, ensure_ascii=False).encode("utf-8", "replace").decode()


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside ``target``; on success rename it to ``target``.

    The old ``target`` is renamed first and removed afterwards; if the second rename fails, it is put back. Between the
    two renames nothing is at ``target``: a run killed at that moment leaves the old folder beside it as
    ``.NAME.XXXXXXXX.lilliput-old``. The next run removes what killed runs left: half-written folders at its start, old
    folders only once the new one is in place. A link is followed, and its target replaced.
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
    """The folder for facts about this machine: ``~/.cache/lilliput`` unless an environment variable names another.

    Raises:
        UserError: there is no home folder, as in a container whose user has no account.
    """
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(home) if home else Path.home() / ".cache") / "lilliput"
    except RuntimeError as error:
        raise UserError("there is no home folder.", remedy=f"Name a folder with {CACHE_VARIABLE}.") from error


def work_folder(target: Path) -> Path:
    """The folder where a run that will write ``target`` keeps its intermediate results."""
    return target.parent / f".{target.name}.work"


def require_place(target: Path) -> None:
    """Check, before the work starts, that a folder can be written to ``target``; nothing is created.

    Raises:
        UserError: a parent is a file or not writable, or :func:`work_folder` is a link or a file.
    """
    with explain_disk_errors(target):
        place = followed(target)
        above = next((folder for folder in place.parents if folder.exists()), place)
        with tempfile.TemporaryFile(dir=above):
            pass
        _require_free(work_folder(place))


def begin_work(folder: Path) -> bool:
    """Make and claim a :func:`work_folder`; return whether it already existed.

    Raises:
        UserError: another run uses the folder, it is a link or a file, or it cannot be made.
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
            "a run keeps its work in this folder, but it is a link or a file.",
            where=work,
            remedy="Remove it, or choose another --out.",
        )


def empty(folder: Path) -> None:
    """Remove the contents of ``folder``."""
    for path in folder.iterdir():
        _remove(path)


def followed(target: Path) -> Path:
    """``target`` with links resolved.

    Raises:
        OSError: the links form a loop.
    """
    try:
        return target.resolve()
    except RuntimeError as error:  # raised for a loop by Python before 3.13
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error


def _remove_leftovers(target: Path, suffix: str) -> None:
    """Remove what :func:`atomic_folder` left beside ``target`` with this suffix, and nothing else."""
    made = re.compile(re.escape(f".{target.name}.") + r"[a-z0-9_]{8}" + re.escape(suffix))
    with contextlib.suppress(OSError):  # a parent that is writable but cannot be listed: the leftovers stay
        for path in target.parent.iterdir():
            if made.fullmatch(path.name):
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
