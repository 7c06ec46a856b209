"""What runs the jobs of a study: processes of this machine, or a cluster of Dask or Ray, behind the same two methods.

Jobs know nothing of it. To run them on another engine, write a class with these methods and put it in
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
"""Characters of what a broken worker last said that are looked at."""

CONNECT_S = 20
"""Seconds within which a cluster's scheduler must answer."""


@dataclass(frozen=True)
class Failed:
    """A job that gave no result.

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
        """Run ``function`` on each; results with their jobs' places, in the order in which they come.

        Args:
            function: of a module, so that another process can import it.
            jobs: what can be pickled.
        """

    def close(self) -> None:
        """End what was started; jobs that run are given up."""


class LocalProcesses:
    """Every job in a fresh Python process of its own: none leaves memory to the next, and one that is killed for
    memory is a failed job, and no more.

    A process ends when its parent does, however that ended, so that the next study finds nothing still at work.

    Args:
        workers: processes at the same time.
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
                    return Failed("it was given up before it began")
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
                    process.stdin.flush()  # and it stays open: its end tells the worker that nobody waits any more
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
    """Jobs on a cluster of Dask, which finds workers anew where some are lost.

    Checkpoint, data and the study's folder must be at the same places on all of its machines.

    Args:
        address: of a scheduler, ``tcp://host:8786``; ``None``: one is started here.
        workers: that are started with it, each a process with one thread.

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
                    yield places[future.key], Failed(problem_of(error) if error else "the cluster gave it up")
                future.release()
        finally:
            self._client.cancel(futures)

    def close(self) -> None:
        """See :class:`Executor`."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


class RayCluster:
    """Jobs on a cluster of Ray, each in a worker that ends with it; one whose worker is lost is a failed job.

    Checkpoint, data and the study's folder must be at the same places on all of its machines. Nothing is reported to
    Ray's makers, as a cluster that is started here otherwise would.

    Args:
        address: of a cluster, ``host:6379`` or ``ray://host:10001``; ``None``: one is started here.
        workers: that are started with it.

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
    """Ray, which no extra of this package brings: few need it, and it is 79 MB."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtra(
            f"this needs the package 'ray', which is not installed ({error}).", remedy="Run: pip install ray"
        ) from error


def _told(function: Callable[[J], R], job: J) -> R | Failed:
    """What came of a job, as a worker of Ray tells it: its own wrapping of errors would hide what they say."""
    try:
        return function(job)
    except Exception as error:  # told to the study, which records it
        return Failed(problem_of(error))


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def problem_of(error: BaseException) -> str:
    """An error in a line: what it says where it is meant for people, and its kind before it where it is not."""
    said = " ".join(str(error).split())
    return said if isinstance(error, UserError) else f"{type(error).__name__}: {said}" if said else type(error).__name__


EXECUTORS: Mapping[str, Callable[[int, str | None], Any]] = {
    "local": lambda workers, address: LocalProcesses(workers),
    "dask": lambda workers, address: DaskCluster(address, workers),
    "ray": lambda workers, address: RayCluster(address, workers),
}
"""``--executor`` -> what makes it, of workers and an address."""


def open_executor(name: str, workers: int = 1, address: str | None = None) -> Executor:
    """The executor called ``name``.

    Raises:
        UserError: there is none, or an option is not for it.
    """
    if name not in EXECUTORS:
        raise UserError(
            f"there is none called '{name}'.", where="--executor", remedy=f"Choose one of: {', '.join(EXECUTORS)}."
        )
    if address is not None and name == "local":
        raise UserError("is of a cluster.", where="--address", remedy="Add --executor dask or ray, or leave it out.")
    words = "says nothing to a cluster that is there already: all of its workers are used"
    refuse_unused({"--workers": (workers != 1 and address is not None, words)})
    found: Executor = EXECUTORS[name](workers, address)
    return found


def _ended(code: int) -> str:
    if code < 0:
        memory = " (for memory, perhaps)" if code == -9 else ""
        return f"its process was ended by signal {-code}{memory}"
    return f"its process ended with exit code {code}"


def _close(stream: Any) -> None:
    """Close a pipe that may be broken."""
    try:
        stream.close()
    except BrokenPipeError:
        return
