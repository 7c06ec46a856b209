"""Energy of a piece of work: measured by the processor's counters where they are readable, else estimated.

Measured: the package domains of Linux powercap (Intel's and AMD's RAPL). The counters cover the whole processor
package, including everything else that runs meanwhile, so measure on a quiet machine. They update about once a
millisecond, so measure seconds, not single calls. They wrap after about 260 kJ: a run of more than about four minutes
could wrap them twice unnoticed, and is estimated instead. Reading them needs permission, which many distributions give
only to root, and most virtual machines do not have them.

Estimated: the CPU time of this process times a stated power per busy core. The estimate ignores this processor's actual
power, memory, idle power and frequencies; it serves for ratios between two runs on one machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

POWERCAP = Path("/sys/class/powercap")

_MOST_WATTS = 1000.0  # no processor package draws more: within range / this, a counter wraps at most once


@dataclass(frozen=True)
class PowerModel:
    """Watts that one busy core draws, and the source of the figure."""

    watts_per_core: float
    source: str


GREEN_ALGORITHMS = PowerModel(
    12.0,
    "the default for an unknown processor of Lannelongue, Grealey and Inouye, "
    '"Green Algorithms: Quantifying the Carbon Footprint of Computation", Advanced Science 2021',
)


@dataclass(frozen=True)
class Energy:
    """The energy and time of a piece of work.

    Attributes:
        joules: energy.
        seconds: wall-clock time.
        cpu_seconds: user and system time of this process, over all its threads.
        kind: ``measured`` by hardware counters, or ``estimated``.
        method: the counters or the model used, in words, and what they leave out.
    """

    joules: float
    seconds: float
    cpu_seconds: float
    kind: Literal["measured", "estimated"]
    method: str


@dataclass(frozen=True)
class _Counter:
    """One package's energy counter in microjoules, which wraps around at ``wrap``."""

    folder: Path
    wrap: int

    def read(self) -> int:
        return int((self.folder / "energy_uj").read_text())

    def since(self, start: int) -> int:
        """Microjoules since the reading ``start``, provided that the counter wrapped at most once."""
        now = self.read()
        return now - start if now >= start else now - start + self.wrap


def measure(run: Callable[[], object], model: PowerModel = GREEN_ALGORITHMS, powercap: Path = POWERCAP) -> Energy:
    """Run ``run`` once and measure its energy.

    Args:
        run: the work; its exceptions propagate.
        model: the power of a busy core, where the energy has to be estimated.
        powercap: the folder of the power capping framework.
    """
    counters, obstacle = _package_counters(powercap)
    before = [counter.read() for counter in counters]
    cpu_start, start = time.process_time(), time.perf_counter()
    run()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    microjoules = sum(counter.since(reading) for counter, reading in zip(counters, before, strict=True))
    if any(seconds * _MOST_WATTS * 1e6 > counter.wrap for counter in counters):
        obstacle = f"the energy counters may have wrapped more than once in {seconds:.3g} s"
    elif counters and microjoules == 0:
        obstacle = "the energy counters stood still"
    if not obstacle:
        names = ", ".join(counter.folder.name for counter in counters)
        method = f"Linux powercap (RAPL) package counters {names}: the whole package, other programs included"
        return Energy(microjoules / 1e6, seconds, cpu_seconds, "measured", method)
    method = (
        f"{cpu_seconds:.3g} s of CPU time of this process x {model.watts_per_core:g} W per busy core ({model.source}); "
        f"memory and idle power left out; not measured, because {obstacle}"
    )
    return Energy(cpu_seconds * model.watts_per_core, seconds, cpu_seconds, "estimated", method)


def measure_calls(
    run: Callable[[int], object],
    n: int,
    seconds: float = 2.0,
    model: PowerModel = GREEN_ALGORITHMS,
    powercap: Path = POWERCAP,
) -> tuple[Energy, int]:
    """Call ``run(0) ... run(n - 1)`` in rounds for at least ``seconds`` of wall time, and measure their energy.

    Rounds are always completed, so that each example has the same weight.

    Returns:
        The energy of all calls, and their number.

    Raises:
        ValueError: ``n`` is not positive.
    """
    if n < 1:
        raise ValueError(f"nothing to measure: {n} examples")
    calls = 0

    def rounds() -> None:
        nonlocal calls
        end = time.perf_counter() + seconds
        while not calls or time.perf_counter() < end:
            for example in range(n):
                run(example)
            calls += n

    return measure(rounds, model, powercap), calls


def _package_counters(powercap: Path) -> tuple[list[_Counter], str]:
    """The counters of all packages and ``""``; or none and the reason: an incomplete set would give no total."""
    # The folder's entries are flat: 'intel-rapl:0' is a package or the whole platform, 'intel-rapl:0:0' a part of it,
    # and 'intel-rapl-mmio:0' the same package through another interface. (AMD's counters have the same names.)
    counters = []
    try:
        for folder in sorted(powercap.glob("intel-rapl:*")):
            if (folder / "name").read_text().startswith("package"):
                counter = _Counter(folder, int((folder / "max_energy_range_uj").read_text()))
                counter.read()
                counters.append(counter)
    except OSError as error:
        return [], f"the energy counters cannot be read ({error.strerror})"
    return counters, "" if counters else "this machine shows no energy counters"
