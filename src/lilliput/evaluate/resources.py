"""Latency and memory of a model on this machine, and a description of the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from lilliput.errors import UserError

PACKAGES = ("numpy", "openvino", "tokenizers", "torch", "transformers", "onnxruntime")


@dataclass(frozen=True)
class Latency:
    """Time of single calls, in milliseconds.

    Attributes:
        p50: median.
        p95: 95th percentile.
        p99: 99th percentile.
        n: calls timed.
        p50_interval: 95 % interval of the median.
    """

    p50: float
    p95: float
    p99: float
    n: int
    p50_interval: tuple[float, float]


def latency(
    run: Callable[[int], object], n: int, *, warmup: int = 10, calls: int = 200, seconds: float = 20.0
) -> Latency:
    """Time single calls ``run(0), run(1), ... run(n - 1), run(0), ...``.

    The interval of the median lies between two order statistics (binomial, normal approximation): it assumes no
    distribution, but does assume that the calls are independent.

    Args:
        run: called with the index of an example.
        n: number of examples to cycle through.
        warmup: untimed calls at the start.
        calls: maximum number of timed calls.
        seconds: time after which no further call starts; at least one is timed.

    Raises:
        ValueError: ``n`` or ``calls`` is not positive.
    """
    if n < 1 or calls < 1:
        raise ValueError(f"nothing to time: {n} examples, {calls} calls")
    for i in range(warmup):
        run(i % n)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < calls and (not times or time.perf_counter() < end):
        example = len(times) % n
        start = time.perf_counter()
        run(example)
        times.append(time.perf_counter() - start)
    return summarize(times)


def summarize(times: Sequence[float]) -> Latency:
    """The percentiles of call times in seconds (linear interpolation), as milliseconds."""
    ranked = np.sort(np.asarray(times, dtype=np.float64)) * 1e3
    p50, p95, p99 = (float(value) for value in np.percentile(ranked, (50, 95, 99)))
    n = len(ranked)
    reach = 1.96 * np.sqrt(n) / 2
    low, high = max(int(np.floor(n / 2 - reach)), 0), min(int(np.ceil(n / 2 + reach)), n - 1)
    return Latency(p50, p95, p99, n, (float(ranked[low]), float(ranked[high])))


STARTED = "LILLIPUT_STARTED"
"""Environment variable that tells a program under :func:`watched` when it was started, by :func:`time.monotonic`."""

_LAUNCHER = f"""
import os, sys, time
report = int(sys.argv[1])
os.set_inheritable(report, False)
os.environ["{STARTED}"] = repr(time.monotonic())
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
os.write(report, f"{{usage.ru_maxrss}} {{os.waitstatus_to_exitcode(status)}}".encode())
"""
"""Starts a program, waits for it, and reports its peak memory and its exit code (minus the signal's number).

It is needed because a child inherits its parent's high-water mark when it starts: a program started by a large process
would seem as large. The launcher itself takes about 8 MB, which is therefore the least that can be measured.
"""


def watched(argv: Sequence[str], report: int) -> list[str]:
    """The command that runs ``argv`` and, when it has ended, writes a report to the file descriptor ``report``.

    :func:`outcome` parses the report. ``argv`` gets the standard streams.

    Raises:
        UserError: the system is Windows, which does not count memory this way.
    """
    if not hasattr(os, "wait4"):
        raise UserError("peak memory cannot be measured on Windows.", remedy="Measure it on Linux or macOS.")
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(report), *argv]


def outcome(told: str) -> tuple[float, int]:
    """Parse a report: peak resident memory in MB (10^6 bytes), and the exit code (minus a signal's number)."""
    maximum, code = (told or "0 1").split()
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    return int(maximum) * unit / 1e6, int(code)


def peak_memory(argv: Sequence[str]) -> float:
    """Run the program ``argv`` and return its peak resident memory in MB (10^6 bytes).

    Resident memory is what the kernel counts for the process itself (``ru_maxrss`` of ``wait4``): it includes mapped
    files that were touched, but not the process's own children. Values below about 8 MB cannot be measured.

    Raises:
        UserError: the program fails, or the system is Windows, which does not count memory this way.
    """
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as report:
        try:
            done = subprocess.run(
                watched(argv, write_end),
                pass_fds=(write_end,),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.close(write_end)
        maximum, code = outcome(report.read())
    if code:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing."]
        raise UserError(
            f"the program measured for memory failed with exit code {code}: {last[0]}",
            remedy=f"Run it by itself to see why: {shlex.join(argv)}",
        )
    return maximum


def tried_peak_memory(argv: Sequence[str], note: Callable[[str], object]) -> float | None:
    """:func:`peak_memory`, or ``None`` where it fails; ``note`` gets the reason, and no other result is lost."""
    try:
        return peak_memory(argv)
    except UserError as error:
        note(f"peak memory was not measured: {error.problem}")
        return None


def cpu_name() -> str:
    """The processor's name according to the system, or else its architecture."""
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor()])[0] or platform.machine()


def usable_cores() -> int:
    """Logical cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, object]:
    """Describe the machine of a measurement, without host or user name.

    Keys: ``cpu``, ``cores`` (usable, logical), ``python``, ``platform`` (system and architecture), ``date`` (UTC, ISO
    8601), ``packages`` (name -> installed version of those that affect a measurement, found without importing them),
    and ``kernels`` where a generator was run: the instruction set of its matrix products, or why the engine's kernels
    were used.
    """
    from lilliput.kernels.build import in_use

    kernels = in_use()
    return {
        **({} if kernels is None else {"kernels": kernels}),
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "python": platform.python_version(),
        "platform": f"{platform.system()}-{platform.machine()}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "packages": {name: version for name in PACKAGES if (version := _installed(name))},
    }


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
