"""Progress with time left: for a terminal, for a log, or silent.

A long function takes a ``Progress`` and calls :meth:`Progress.track` around its loop. On a terminal this draws a bar;
in a log it prints a line now and then; by default it is silent, so that the Python API never prints unasked.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


def clock(seconds: float) -> str:
    """``minutes:seconds``, or ``hours:minutes:seconds`` from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Progress:
    """Silent progress, the default of every function of the Python API."""

    def note(self, text: str) -> None:
        """Report a finished step or a fact worth a line."""

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Callable[..., None]]:
        """Track a loop of ``total`` steps; yields ``advance(steps=1, note="")``, which moves it forward."""
        yield lambda steps=1, note="": None


class LogProgress(Progress):
    """Lines on ``stream``: at most one every ``every`` seconds of a loop, and one at its end."""

    def __init__(self, stream: TextIO | None = None, every: float = 15.0) -> None:
        self.stream = stream or sys.stderr
        self.every = every

    def note(self, text: str) -> None:
        """Print a line."""
        print(text, file=self.stream, flush=True)

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Callable[..., None]]:
        """Print lines with the time elapsed and the time left."""
        start = last = time.monotonic()
        done = 0

        def advance(steps: int = 1, note: str = "") -> None:
            nonlocal done, last
            done += steps
            now = time.monotonic()
            if now - last >= self.every and (done or note):
                left = f", {clock((now - start) * max(total - done, 0) / done)} left" if done else ""
                tail = f"  {note}" if note else ""
                self.note(f"  {what}: {done}/{total}, {clock(now - start)} gone{left}{tail}")
                last = now

        yield advance
        self.note(f"  {what}: done in {clock(time.monotonic() - start)}")


class TerminalProgress(Progress):
    """A bar with time left, on a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console

        self.console = Console(file=stream or sys.stderr)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self.console.print(text, highlight=False, markup=False)

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Callable[..., None]]:
        """Draw a bar with the time left."""
        from rich import progress as bars

        columns = (
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(bar_width=28),
            bars.MofNCompleteColumn(),
            bars.TimeElapsedColumn(),
            bars.TextColumn("left"),
            bars.TimeRemainingColumn(),
            bars.TextColumn("{task.fields[note]}", markup=False),
        )
        with bars.Progress(*columns, console=self.console) as display:
            task = display.add_task(what, total=total, note="")

            def advance(steps: int = 1, note: str = "") -> None:
                display.update(task, advance=steps)
                if note:
                    display.update(task, note=note)

            yield advance


def for_stream(stream: TextIO | None = None) -> Progress:
    """Bars if ``stream`` (standard error by default) is a terminal, lines otherwise."""
    target = stream or sys.stderr
    if target is None:  # the process was started without standard error
        return Progress()
    return TerminalProgress(target) if target.isatty() else LogProgress(target)
