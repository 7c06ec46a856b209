"""Folders and files that one process at a time works in."""

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
"""Folder -> the descriptor that keeps other processes out."""


def claim(folder: Path) -> None:
    """Keep the runs of other processes out of ``folder``, or of a file, until :func:`release`, or the end of this one.

    Where the file system or the system knows no such locks, nothing is kept out.

    Raises:
        UserError: another run is at work there.
    """
    release(folder)
    if fcntl is None:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    if not _locked(descriptor):
        os.close(descriptor)
        raise UserError(
            "another run is at work there.", where=folder, remedy="Wait for its end, or write to another place."
        )
    _CLAIMED[folder.absolute()] = descriptor


def release(folder: Path) -> None:
    """Let the runs of other processes into a folder that was claimed, or was not."""
    descriptor = _CLAIMED.pop(folder.absolute(), None)
    if descriptor is not None:
        os.close(descriptor)


@contextlib.contextmanager
def in_turn(folder: Path, seconds: float, words: str) -> Iterator[None]:
    """Work that only one process at a time should do in ``folder``; the others wait, ``seconds`` at most.

    A process that ended keeps nobody waiting. Where the file system or the system knows no such locks, nobody waits.

    Args:
        folder: which must be there.
        seconds: after which the work is done beside the other's.
        words: said on standard error before waiting.
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
"""How often one who waits looks."""


def _locked(descriptor: int) -> bool:
    """Whether nobody else holds it now, or nobody can."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # there are no locks
        return True
    return True
