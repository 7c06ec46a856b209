"""Progress of jobs: each writes a log into its work folder, wherever it runs, and the study shows the newest line."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lilliput.progress import LogProgress, Progress
from lilliput.study.jobs import Job

LOG = "progress.log"
"""Name of the log in a job's work folder."""

EVERY_S = 5.0
"""Seconds between two lines in a job's log, and between two polls of the logs."""


@contextlib.contextmanager
def said_by(job: Job) -> Iterator[Progress]:
    """The progress object that a job reports to."""
    path = _log(job)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as stream:
        yield LogProgress(stream, EVERY_S)


@contextlib.contextmanager
def shown(jobs: Sequence[Job], advance: Callable[..., None], every: float = EVERY_S) -> Iterator[Callable[..., None]]:
    """Within this context, show the newest log line of all jobs as the note of the loop over them.

    Args:
        jobs: the running jobs, on any machine.
        advance: advances the loop, from :meth:`~lilliput.progress.Progress.track`.
        every: seconds between two polls.

    Yields:
        A thread-safe replacement for ``advance``.
    """
    lock, over = threading.Lock(), threading.Event()
    seen = {job.key: _written(job) for job in jobs}  # a killed run may have left logs

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
    """When a job last wrote to its log, in nanoseconds; 0: never, or it is done."""
    try:
        return _log(job).stat().st_mtime_ns
    except OSError:
        return 0


def _last_line(job: Job) -> str:
    try:
        lines = _log(job).read_text("utf-8", "replace").split("\n")[:-1]  # an unterminated line is incomplete
    except OSError:
        return ""
    return lines[-1].strip() if lines else ""
