"""Locks that let one process at a time work in a folder or file."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from lilliput.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_CLAIMED: dict[Path, int] = {}
"""Folder -> the descriptor that holds its lock."""


def claim(folder: Path) -> None:
    """Lock ``folder`` (or a file) against runs in other processes until :func:`release` or the end of this process.

    Does nothing where the operating system or the file system has no such locks.

    Raises:
        UserError: another run holds the lock.
    """
    release(folder)
    if fcntl is None:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    if not _locked(descriptor):
        os.close(descriptor)
        raise UserError(
            "another run is at work there.", where=folder, remedy="Wait for it to end, or write to another place."
        )
    _CLAIMED[folder.absolute()] = descriptor


def release(folder: Path) -> None:
    """Unlock a folder for other processes; does nothing if it was not claimed."""
    descriptor = _CLAIMED.pop(folder.absolute(), None)
    if descriptor is not None:
        os.close(descriptor)


@contextlib.contextmanager
def in_turn(folder: Path, seconds: float, words: str) -> Iterator[None]:
    """Run a block that one process at a time should do in ``folder``; other processes wait at most ``seconds``.

    The lock ends with the process that holds it. Where the operating system or the file system has no such locks,
    processes do not wait.

    Args:
        folder: an existing folder.
        seconds: longest wait; the block then runs without the lock.
        words: message printed to standard error before waiting.
    """
    if fcntl is None:
        yield
        return
    descriptor, end = os.open(folder, os.O_RDONLY), time.monotonic() + seconds
    try:
        if not _locked(descriptor):
            print(words, file=sys.stderr, flush=True)
            while not _locked(descriptor) and time.monotonic() < end:
                time.sleep(_LOOK_S)
        yield
    finally:
        os.close(descriptor)


_LOOK_S = 0.1
"""Interval at which a waiting process retries."""


def _locked(descriptor: int) -> bool:
    """Try to take the lock; also true where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the file system has no locks
        return True
    return True
