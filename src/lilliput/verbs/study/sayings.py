"""What jobs say while they work: each writes its progress into its work folder, wherever it runs, and the study shows
the newest line of all.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lilliput.progress import LogProgress, Progress
from lilliput.study.jobs import Job

LOG = "progress.log"
"""In a job's work folder."""

EVERY_S = 5.0
"""Seconds between two lines of a job's loop, and between two looks at them."""


@contextlib.contextmanager
def said_by(job: Job) -> Iterator[Progress]:
    """What a job is to say its progress to."""
    path = _log(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        yield LogProgress(stream, EVERY_S)


@contextlib.contextmanager
def shown(jobs: Sequence[Job], advance: Callable[..., None], every: float = EVERY_S) -> Iterator[Callable[..., None]]:
    """While this lasts, the newest line of all jobs is the note of a loop over them.

    Args:
        jobs: that are run meanwhile, by anybody.
        advance: of the loop, as :meth:`~lilliput.progress.Progress.track` yields it.
        every: seconds between two looks.

    Yields:
        What to advance the loop with instead, so that one thread at a time does.
    """
    lock, over = threading.Lock(), threading.Event()
    seen = {job.key: _written(job) for job in jobs}  # a killed run may have left some

    def locked(steps: int = 1, note: str = "") -> None:
        with lock:
            advance(steps, note)

    def watch() -> None:
        while not over.wait(every):
            spoke = [(when, job) for job in jobs if (when := _written(job)) > seen[job.key]]
            if spoke:
                job = max(spoke, key=lambda one: one[0])[1]
                if line := _last_line(job):
                    locked(0, f"{job.point.label}: {line}")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield locked
    finally:
        over.set()
        watcher.join()


def _log(job: Job) -> Path:
    return Path(job.work) / LOG


def _written(job: Job) -> int:
    """When a job last said something, in nanoseconds; 0: never, or it is done."""
    try:
        return _log(job).stat().st_mtime_ns
    except OSError:
        return 0


def _last_line(job: Job) -> str:
    try:
        lines = _log(job).read_text("utf-8", "replace").split("\n")[:-1]  # what has no end yet is half a line
    except OSError:
        return ""
    return lines[-1].strip() if lines else ""
