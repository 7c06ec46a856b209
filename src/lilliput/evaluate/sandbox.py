"""Run untrusted Python programs: code written by models, with the tests that judge it.

Each program runs in a fresh process with Python's standard library and nothing else. These guarantees always hold:

- the program ends after the given seconds of wall-clock time: its process and its process group are killed, and on
  Linux all other processes that it started;
- nothing is inherited: none of the caller's environment variables (except ``LD_LIBRARY_PATH``) and no open files.
  Standard input is empty, standard output is discarded, the last kilobytes of standard error are kept, and the working
  folder is removed afterwards;
- each of its processes has limits: memory (address space; Linux only), CPU time, size of a file written, open files,
  no core dump; on Linux also the number of processes, unless it runs as root;
- it passes only by reaching its end, which is signalled by a random token of this run, written to a pipe after the
  program's last statement. ``sys.exit(0)``, ``os._exit(0)`` or output that looks like success do not pass.

These hold where the kernel allows it, as Linux does for most users (:func:`protections` reports what holds here):

- the program has no network, not even the loopback interface, and sees no processes but its own, all of which end with
  it;
- it sees only the files of the system's programs and libraries and of Python, read-only, and an empty folder in memory
  (64 MB). No home folder, data set or other disk can be read, written or deleted;
- if the caller is root, it runs as a user that owns nothing; it cannot gain privileges.

Not covered: flaws in the kernel (there is no system call filter, and no virtual machine), hardware side channels, and
the load on the machine: up to 32 processes may each take the memory granted to one. Nor is the token safe from a
program that searches its own interpreter for it: a pass is evidence about code written to solve a problem, not about
code written to defeat this file. Without the second list (in many containers, on macOS), the program can do anything to
the user's files, processes and network that the user can.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from lilliput.errors import UserError, require_whole
from lilliput.evaluate.resources import usable_cores
from lilliput.progress import Progress

Outcome = Literal["passed", "failed", "exited", "timeout", "memory", "crashed"]

LEAST_MEMORY_MB = 64
"""An interpreter takes some 40 MB of address space before its program starts."""

MOST_SECONDS, MOST_MEMORY_MB = 86_400, 2**20
"""A day, and a terabyte: far larger values are mistakes, and overflow the system's own clocks and limits."""

START_SECONDS = 20.0
"""Time that a loaded machine may take to set up and tear down a sandbox, on top of the program's own time."""

KEPT_BYTES = 4096
"""Bytes kept from the end of standard error."""

DETAIL_CHARACTERS = 200

_KEPT_VARIABLES = ("LD_LIBRARY_PATH",)
"""Where Python's own libraries are, on machines where it would not start otherwise."""

_LAUNCHER = Path(__file__).with_name("sandbox_launcher.py")
_RUNNER = Path(__file__).with_name("sandbox_runner.py")

_OF_EXIT_CODE: dict[str, Outcome] = {"101": "failed", "102": "exited", "103": "memory"}
"""The runner's exit codes."""


@dataclass(frozen=True)
class Verdict:
    """How a program ended.

    Attributes:
        passed: whether it reached its end.
        outcome: ``passed``; ``failed`` (an exception); ``exited`` (before its end); ``timeout``; ``memory``
            (``MemoryError``); ``crashed`` (killed by a signal).
        detail: the last line it wrote to standard error, shortened; or how it ended.
    """

    passed: bool
    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class Protections:
    """The protections that hold on this machine, beyond those that always hold.

    Attributes:
        network: the program has no network.
        processes: it sees only its own processes, and all of them end with it.
        files: it sees only the system's and Python's files, read-only.
        other_user: it runs as a user that owns nothing (possible only for root).
        process_limit: its number of processes is limited.
        memory_limit: the memory of its processes is limited.
        refused: why the kernel did not grant more; empty where it granted all.
    """

    network: bool
    processes: bool
    files: bool
    other_user: bool
    process_limit: bool
    memory_limit: bool
    refused: str


class _Refused(Exception):
    """The kernel refuses a layer."""


def require_limits(seconds: float, memory_mb: int) -> None:
    """Check limits; see :func:`run`.

    Raises:
        UserError: a limit is out of range.
    """
    if not 0 < seconds <= MOST_SECONDS:
        raise UserError(f"must be above 0 and at most {MOST_SECONDS:,}; it is {seconds!r}.", where="--seconds")
    if not LEAST_MEMORY_MB <= memory_mb <= MOST_MEMORY_MB:
        least, most = f"{LEAST_MEMORY_MB:,}", f"{MOST_MEMORY_MB:,}"
        raise UserError(f"must be from {least} to {most}; it is {memory_mb!r}.", where="--memory")


def run(program: str, *, seconds: float = 10.0, memory_mb: int = 1024) -> Verdict:
    """Execute ``program`` as ``python program.py`` would, for at most ``seconds``.

    Args:
        program: Python source.
        seconds: of wall-clock time.
        memory_mb: address space of each process, MB (2^20 bytes).

    Raises:
        UserError: no program can be run here, or a limit is out of range.
    """
    require_limits(seconds, memory_mb)
    layers, _ = _layers()
    try:
        return _run(program, seconds, memory_mb, layers)
    except _Refused as error:
        raise UserError(
            f"the sandbox could not be set up again: {error}.", remedy="Run fewer programs in parallel."
        ) from error


def run_many(
    programs: Sequence[str],
    workers: int | None = None,
    progress: Progress | None = None,
    *,
    seconds: float = 10.0,
    memory_mb: int = 1024,
) -> list[Verdict]:
    """Run ``programs`` in parallel; verdicts are in the same order.

    Args:
        programs: see :func:`run`.
        workers: programs run in parallel; ``None``: one per core. With more, slow programs time out.
        progress: shown while working.
        seconds, memory_mb: of each program; see :func:`run`.

    Raises:
        UserError: as :func:`run`, or ``workers`` is not positive.
    """
    count = usable_cores() if workers is None else require_whole(workers, 1, "workers")
    _layers()  # probed once, not by every worker
    verdicts = []
    pool = ThreadPoolExecutor(count)
    try:
        waiting = [pool.submit(run, program, seconds=seconds, memory_mb=memory_mb) for program in programs]
        with (progress or Progress()).track("running programs", len(programs)) as advance:
            for future in waiting:
                verdicts.append(future.result())
                advance()
    finally:
        pool.shutdown(cancel_futures=True)
    return verdicts


def protections() -> Protections:
    """Return the protections that hold here, found by running an empty program.

    Raises:
        UserError: no program can be run.
    """
    layers, refused = _layers()
    isolated, other_user = "namespaces" in layers, "other-user" in layers
    linux = sys.platform == "linux"
    limited = linux and (other_user or os.geteuid() != 0)
    return Protections(isolated, isolated, isolated, other_user, limited, linux, refused)


@functools.cache
def _layers() -> tuple[str, str]:
    """The largest set of layers with which a program runs here, and why there are not more."""
    if sys.platform == "win32":
        raise UserError("programs cannot be run on Windows.", remedy="Run this in WSL, on Linux or on macOS.")
    offers = ["namespaces", ""] if sys.platform == "linux" else [""]
    if os.geteuid() == 0:
        offers = [",".join(filter(None, (offer, user))) for offer in offers for user in ("other-user", "")]
    refusals: list[str] = []
    for layers in offers:
        try:
            verdict = _run("", START_SECONDS, 1024, layers)
        except _Refused as error:
            refusals.append(str(error))
            continue
        if verdict.passed:
            return layers, "; ".join(dict.fromkeys(refusals))
        refusals.append(verdict.detail)
    raise UserError(f"no program can be run: {refusals[-1]}.", remedy=f"See that {sys.executable} runs by itself.")


def _run(program: str, seconds: float, memory_mb: int, layers: str) -> Verdict:
    token = secrets.token_hex(16).encode()
    with (
        tempfile.TemporaryDirectory(prefix="lilliput-sandbox-", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as source,
    ):
        # "surrogatepass" encodes a lone surrogate as bytes that the runner rejects, as Python would.
        source.write(token + b"\n" + program.encode("utf-8", "surrogatepass"))
        source.seek(0)
        told, end = os.pipe()
        with os.fdopen(told, "rb", buffering=0) as told_end:
            try:
                process = _launch(layers, folder, seconds, memory_mb, end, source)
            finally:
                os.close(end)
            report, errors = _wait(process, seconds + START_SECONDS)
            os.set_blocking(told, False)
            reached_end = told_end.read(len(token)) == token
    return _verdict(report, reached_end, errors, seconds)


def _launch(
    layers: str, folder: str, seconds: float, memory_mb: int, end: int, source: IO[bytes]
) -> subprocess.Popen[bytes]:
    settings = [layers, folder, str(seconds), str(memory_mb), str(end), _RUNNER.read_text(encoding="utf-8")]
    python = Path(sys.executable).resolve()  # not a virtual environment's, which the sandbox does not need
    return subprocess.Popen(
        [str(python), "-I", "-S", "-B", str(_LAUNCHER), *settings],
        stdin=source,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
        cwd=folder,
        pass_fds=(end,),
        start_new_session=True,
    )


def _wait(process: subprocess.Popen[bytes], seconds: float) -> tuple[str, bytes]:
    """The launcher's report (empty if there is none) and the end of standard error; its process group is killed."""
    assert process.stdout is not None and process.stderr is not None
    last = time.monotonic() + seconds
    report = errors = b""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stderr, selectors.EVENT_READ)
            selector.register(process.stdout, selectors.EVENT_READ)
            reporting = True
            while reporting and (left := last - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    part = os.read(key.fd, 1 << 16)
                    if key.fileobj is process.stderr:
                        errors = (errors + part)[-KEPT_BYTES:]
                    else:
                        report, reporting = report + part, bool(part)
                    if not part:
                        selector.unregister(key.fileobj)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with process.stdout, process.stderr as rest, contextlib.suppress(BlockingIOError):
            os.set_blocking(rest.fileno(), False)
            errors = (errors + os.read(rest.fileno(), 1 << 16))[-KEPT_BYTES:]  # at most what a pipe holds
    return report.decode("ascii", "replace"), errors


def _verdict(report: str, reached_end: bool, errors: bytes, seconds: float) -> Verdict:
    kind, _, value = report.partition(" ")
    said = _last_line(errors)
    if kind == "refused":
        raise _Refused(value)
    if kind == "timeout" or (kind == "signal" and int(value) == signal.SIGXCPU):
        return Verdict(False, "timeout", f"no end within {seconds:g} s")
    if kind == "signal":
        return Verdict(False, "crashed", said or signal.strsignal(int(value)) or f"signal {value}")
    if kind != "exit":
        return Verdict(False, "crashed", said or "its sandbox ended with it")
    if value == "0" and reached_end:
        return Verdict(True, "passed", said)
    outcome = _OF_EXIT_CODE.get(value, "exited")
    if outcome == "memory":  # the program may have had too little memory to print the error
        return Verdict(False, outcome, "MemoryError")
    return Verdict(False, outcome, said or f"left before its end with exit code {value}")


def _last_line(errors: bytes) -> str:
    """The last non-blank line, made printable and shortened."""
    lines = [line.strip() for line in errors.decode("utf-8", "replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in last)
    return shown if len(shown) <= DETAIL_CHARACTERS else shown[: DETAIL_CHARACTERS - 3] + "..."
