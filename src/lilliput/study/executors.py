"""Executors of a study's jobs: local processes, or a Dask or Ray cluster, behind the same two methods.

Jobs do not depend on the executor. To support another engine, write a class with these methods and add it to
:data:`EXECUTORS`.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from lilliput.children import python_module
from lilliput.errors import MissingExtra, UserError, refuse_unused, require_whole
from lilliput.extras import require

J = TypeVar("J")
R = TypeVar("R")

SHOWN = 2000
"""Characters read from the end of a failed worker's standard error."""

CONNECT_S = 20
"""Timeout for connecting to a cluster, in seconds."""


@dataclass(frozen=True)
class Failed:
    """A job without a result.

    Attributes:
        problem: why, in a line or two.
    """

    problem: str


class Executor(Protocol):
    """Runs jobs.

    Attributes:
        concurrent: jobs that run at the same time.
    """

    concurrent: int

    def map(self, function: Callable[[J], R], jobs: Sequence[J]) -> Generator[tuple[int, R | Failed], None, None]:
        """Run ``function`` on each job and yield job index and result in order of completion.

        Args:
            function: defined at module level, so that another process can import it.
            jobs: picklable values.
        """

    def close(self) -> None:
        """Stop everything that was started; running jobs are cancelled."""


class LocalProcesses:
    """Run every job in a fresh Python process: no memory carries over, and a process killed for lack of memory is only
    a failed job.

    A process ends when its parent does, however the parent ended, so that no job of an earlier study is still running.

    Args:
        workers: maximum number of concurrent processes.
    """

    def __init__(self, workers: int = 1) -> None:
        self.concurrent = require_whole(workers, 1, "--workers")
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def map(self, function: Callable[[J], R], jobs: Sequence[J]) -> Generator[tuple[int, R | Failed], None, None]:
        """See :class:`Executor`."""
        pool, self._closed = ThreadPoolExecutor(self.concurrent), False
        try:
            waiting = {pool.submit(self._run, function, job): place for place, job in enumerate(jobs)}
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            self._kill()
            pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        """See :class:`Executor`."""
        self._kill()

    def _kill(self) -> None:
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()

    def _run(self, function: Callable[[J], R], job: J) -> R | Failed:
        with tempfile.TemporaryFile() as errors:
            with self._lock:
                if self._closed:
                    return Failed("it was cancelled before it started")
                process = subprocess.Popen(
                    python_module("lilliput.study.worker"),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                )
                self._running.add(process)
            assert process.stdin is not None and process.stdout is not None
            try:
                request = pickle.dumps((function, job))
                try:
                    process.stdin.write(pickle.dumps((sys.path, len(request))) + request)
                    process.stdin.flush()  # stays open: closing it would tell the worker that its parent is gone
                    answer = process.stdout.read()
                except BrokenPipeError:
                    answer = b""
                code = process.wait()
            finally:
                process.kill()
                process.wait()
                with self._lock:
                    self._running.discard(process)
                process.stdout.close()
                _close(process.stdin)
            if code == 0 and answer:
                found: R | Failed = pickle.loads(answer)
                return found
            errors.seek(0)
            said = errors.read().decode("utf-8", "replace")[-SHOWN:].strip().splitlines()
            return Failed(_ended(code) + (f": {said[-1]}" if said else ""))


class DaskCluster:
    """Run jobs on a Dask cluster, which reschedules the jobs of lost workers.

    Checkpoint, data and the study's folder must have the same paths on all of its machines.

    Args:
        address: of a scheduler, ``tcp://host:8786``; ``None``: start one on this machine.
        workers: number of workers to start with it, each a process with one thread.

    Raises:
        MissingExtra: Dask is not installed.
        UserError: there is no scheduler at that address.
    """

    def __init__(self, address: str | None = None, workers: int = 1) -> None:
        self._dask = require("distributed")
        self._cluster = None
        try:
            if address is None:
                self._cluster = self._dask.LocalCluster(
                    n_workers=require_whole(workers, 1, "--workers"),
                    threads_per_worker=1,
                    dashboard_address=None,
                    memory_limit=0,
                )
            self._client = self._dask.Client(address if self._cluster is None else self._cluster, timeout=CONNECT_S)
        except (OSError, ValueError) as error:
            raise UserError(
                f"no scheduler answers ({' '.join(str(error).split())}).",
                where="--address",
                remedy="Start one with 'dask scheduler', and workers with 'dask worker ADDRESS'.",
            ) from error
        self.concurrent = sum(self._client.nthreads().values())
        if not self.concurrent:
            self.close()
            raise UserError(
                "the scheduler has no workers.", where="--address", remedy="Start some with 'dask worker ADDRESS'."
            )

    def map(self, function: Callable[[J], R], jobs: Sequence[J]) -> Generator[tuple[int, R | Failed], None, None]:
        """See :class:`Executor`."""
        futures = self._client.map(function, list(jobs), pure=False)
        places = {future.key: place for place, future in enumerate(futures)}
        try:
            for future in self._dask.as_completed(futures):
                if future.status == "finished":
                    yield places[future.key], future.result()
                else:
                    error = future.exception() if future.status == "error" else None
                    yield places[future.key], Failed(problem_of(error) if error else "the cluster cancelled or lost it")
                future.release()
        finally:
            self._client.cancel(futures)

    def close(self) -> None:
        """See :class:`Executor`."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


class RayCluster:
    """Run jobs on a Ray cluster, each in a worker that ends with it; a job whose worker is lost fails.

    Checkpoint, data and the study's folder must have the same paths on all of its machines. Ray's usage statistics are
    disabled, which a cluster started here would otherwise send.

    Args:
        address: of a cluster, ``host:6379`` or ``ray://host:10001``; ``None``: start one on this machine.
        workers: number of workers to start with it.

    Raises:
        MissingExtra: Ray is not installed.
        UserError: there is no cluster at that address.
    """

    def __init__(self, address: str | None = None, workers: int = 1) -> None:
        self._ray = _imported_ray()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        how: dict[str, Any] = {"address": address, "_redis_connect_timeout": CONNECT_S}
        if address is None:
            path = os.pathsep.join(filter(None, sys.path))  # workers import what this process can
            how = {"address": "local", "num_cpus": require_whole(workers, 1, "--workers"), "include_dashboard": False}
            how |= {"runtime_env": {"env_vars": {"PYTHONPATH": path}}}
        try:
            self._ray.init(log_to_driver=False, logging_level="error", **how)
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(
                f"no cluster answers ({_last_line(error)}).",
                where="--address",
                remedy="Start one with 'ray start --head', and join it with 'ray start --address HOST:6379'.",
            ) from error
        self.concurrent = int(self._ray.cluster_resources().get("CPU", 0))

    def map(self, function: Callable[[J], R], jobs: Sequence[J]) -> Generator[tuple[int, R | Failed], None, None]:
        """See :class:`Executor`."""
        run = self._ray.remote(num_cpus=1, max_calls=1, max_retries=0)(_told)
        places = {run.remote(function, job): place for place, job in enumerate(jobs)}
        left = list(places)
        try:
            while left:
                (done,), left = self._ray.wait(left)
                try:
                    yield places[done], self._ray.get(done)
                except self._ray.exceptions.RayError as error:
                    yield places[done], Failed(f"{type(error).__name__}: {_last_line(error)}")
        finally:
            for waiting in left:
                self._ray.cancel(waiting, force=True)

    def close(self) -> None:
        """See :class:`Executor`."""
        self._ray.shutdown()


def _imported_ray() -> Any:
    """Import Ray, which is in no extra of this package: few need it, and it is 79 MB."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtra(
            f"this needs the package 'ray', which is not installed ({error}).", remedy="Run: pip install ray"
        ) from error


def _told(function: Callable[[J], R], job: J) -> R | Failed:
    """Run a job in a Ray worker and return errors as values, since Ray's own wrapping would hide their messages."""
    try:
        return function(job)
    except Exception as error:  # returned to the study, which records it
        return Failed(problem_of(error))


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def problem_of(error: BaseException) -> str:
    """An error in one line: the message of a ``UserError``; for any other, its type and message."""
    said = " ".join(str(error).split())
    return said if isinstance(error, UserError) else f"{type(error).__name__}: {said}" if said else type(error).__name__


EXECUTORS: Mapping[str, Callable[[int, str | None], Any]] = {
    "local": lambda workers, address: LocalProcesses(workers),
    "dask": lambda workers, address: DaskCluster(address, workers),
    "ray": lambda workers, address: RayCluster(address, workers),
}
"""``--executor`` -> its factory, called with the number of workers and an address."""


def open_executor(name: str, workers: int = 1, address: str | None = None) -> Executor:
    """The executor called ``name``.

    Raises:
        UserError: there is none, or an option does not apply to it.
    """
    if name not in EXECUTORS:
        raise UserError(
            f"unknown value '{name}'.", where="--executor", remedy=f"Choose one of: {', '.join(EXECUTORS)}."
        )
    if address is not None and name == "local":
        raise UserError("is only for a cluster.", where="--address", remedy="Add --executor dask or ray, or omit it.")
    words = "has no effect on a cluster that is already running: all of its workers are used"
    refuse_unused({"--workers": (workers != 1 and address is not None, words)})
    found: Executor = EXECUTORS[name](workers, address)
    return found


def _ended(code: int) -> str:
    if code < 0:
        memory = " (out of memory, perhaps)" if code == -9 else ""
        return f"its process was ended by signal {-code}{memory}"
    return f"its process ended with exit code {code}"


def _close(stream: Any) -> None:
    """Close a pipe that may be broken."""
    try:
        stream.close()
    except BrokenPipeError:
        return
