"""A model in a process of its own, which answers questions one by one and whose peak memory is read when it exits.

The process is ``python -m lilliput.verbs.compare.child REQUEST.json``. Questions are JSON objects, one per line, on its
standard input; answers are JSON values, one per line, on its standard output. It exits when its standard input is
closed, and so whenever this process exits, for whatever reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from lilliput.children import python_module
from lilliput.errors import UserError
from lilliput.evaluate.resources import outcome, watched

MODULE = "lilliput.verbs.compare.child"

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Environment variables that set the number of threads of linear-algebra libraries."""

NO_ACCELERATOR = {"CUDA_VISIBLE_DEVICES": ""}
"""All models run on the CPU: otherwise the original could use hardware that its artifact cannot."""


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Delay Ctrl-C to the end of the block, so that no process is started without being tracked."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield  # Ctrl-C is not delivered here in any case
        return
    held: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            before(*held[0])


def start(
    stack: contextlib.ExitStack, name: str, request: Mapping[str, Any], threads: int, folder: Path
) -> MeasuredProcess:
    """A :class:`MeasuredProcess` that ends with ``stack``."""
    with interrupts_held():
        return stack.enter_context(MeasuredProcess(name, request, threads, folder))


class MeasuredProcess:
    """A running process; a context manager that leaves no process behind. :func:`start` enters it safely.

    Args:
        name: name of the model, for messages.
        request: what the child opens; see :mod:`~lilliput.verbs.compare.child`.
        threads: processor threads.
        folder: folder for temporary files.
    """

    def __init__(self, name: str, request: Mapping[str, Any], threads: int, folder: Path) -> None:
        self.name = name
        handle, file = tempfile.mkstemp(suffix=".json", dir=folder)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(request, stream)
        self._said = (folder / Path(file).with_suffix(".log")).open("w+", encoding="utf-8", errors="replace")
        read_end, write_end = os.pipe()
        self._told = os.fdopen(read_end)
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads)) | NO_ACCELERATOR
        try:
            self.process = subprocess.Popen(
                watched(python_module(MODULE, file), write_end),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                pass_fds=(write_end,),
                text=True,
                encoding="utf-8",
                env=environment,
                start_new_session=True,  # Ctrl-C goes to this process, which then ends the child
            )
        finally:
            os.close(write_end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._told, self._said):
            with contextlib.suppress(BrokenPipeError):  # an unread question
                if stream is not None:
                    stream.close()

    def answer(self) -> Any:
        """Wait for the next answer and return it.

        Raises:
            UserError: the process refused the question, with its reason; or it exited.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.endswith("\n"):
            raise self._ended()
        found = json.loads(line)
        refusal = found.get("refusal")
        if refusal is not None:
            where = refusal["where"] or self.name
            where = where if self.name in where else f"{self.name} ({where})"
            raise UserError(refusal["problem"], where=where, remedy=refusal["remedy"])
        return found

    def ask(self, do: str, **details: Any) -> Any:
        """Ask a question and return the answer.

        Raises:
            UserError: see :meth:`answer`.
        """
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **details}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        return self.answer()

    def first_answer(self) -> tuple[float, Any]:
        """Seconds from the start of the process to its first answer, and that answer."""
        found = self.answer()
        return time.monotonic() - found["started"], found

    def end(self) -> float:
        """Let the process exit, and return its peak resident memory in MB (10^6 bytes).

        Raises:
            UserError: it failed.
        """
        assert self.process.stdin is not None
        self.process.stdin.close()
        maximum, code = outcome(self._told.read())
        if code:
            raise self._failure(code)
        return maximum

    def _ended(self) -> UserError:
        """The error for an unexpected exit."""
        return self._failure(outcome(self._told.read())[1])

    def _failure(self, code: int) -> UserError:
        self._said.seek(0)
        last = (self._said.read().strip().splitlines() or ["no output"])[-1][:300]
        how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
        remedy = (
            "It may have run out of memory: all models are in memory at the same time."
            if code == -signal.SIGKILL
            else "Run the model by itself to see why."
        )
        return UserError(f"its process {how}; its last output: {last.rstrip('.')}.", where=self.name, remedy=remedy)
