"""The result of a comparison: figures of each model, and ratios between the original and each other model."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from lilliput.evaluate import carbon, money, paired, resources
from lilliput.evaluate.energy import GREEN_ALGORITHMS
from lilliput.evaluate.intervals import Estimate
from lilliput.evaluate.paired import Ratio


@dataclass(frozen=True)
class Phase:
    """A kind of work that is measured in every round.

    Attributes:
        name: name of the work.
        unit: unit that its costs are given in.
        call: what one timed call is.
    """

    name: str
    unit: str
    call: str


PHASES: Mapping[str, tuple[Phase, ...]] = {
    "generator": (Phase("prefill", "token read", "prompt"), Phase("decode", "token written", "token")),
    "classifier": (Phase("fixed", "function", "function"), Phase("natural", "example", "example, tokenizing included")),
}


@dataclass(frozen=True)
class Turn:
    """What a model did in one round.

    Attributes:
        units: units of work done.
        times: seconds of each call.
        cpu_seconds: CPU time of the process, all threads together.
        joules: energy, measured or estimated.
        kind: ``measured`` or ``estimated``.
        method: how the energy was found, in words.
        first_token: in a prefill, seconds from the prompt's text to the first token's text.
    """

    units: int
    times: Sequence[float]
    cpu_seconds: float
    joules: float
    kind: str
    method: str
    first_token: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds per unit."""
        return sum(self.times) / self.units


@dataclass(frozen=True)
class Measured:
    """All that was measured of one model.

    Attributes:
        name: name of the model in this comparison.
        facts: facts that the model's process reported.
        starts: seconds of each cold start.
        turns: phase -> its turns, one per round.
        memory: memory at the end of the run in MB, and ``idle_cores``.
        peak_memory_mb: peak resident memory over the life of the process.
    """

    name: str
    facts: Mapping[str, Any]
    starts: Sequence[float]
    turns: Mapping[str, Sequence[Turn]]
    memory: Mapping[str, Any]
    peak_memory_mb: float


@dataclass(frozen=True)
class Reference:
    """The fixed reference work: seconds in each round, and bytes per second."""

    product: Sequence[float]
    read: Sequence[float]
    bytes_per_second: Sequence[float]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "product_seconds": _estimate(paired.median(self.product)),
            "read_seconds": _estimate(paired.median(self.read)),
            "read_bytes_per_second": _estimate(paired.median(self.bytes_per_second)),
            "spread": {"product": paired.spread(self.product), "read": paired.spread(self.read)},
            "spread_method": "interquartile range over median, of the rounds",
            "most_spread": paired.MOST_SPREAD,
            "widest_interval": paired.WIDEST,
            "most_idle_cores": paired.MOST_IDLE,
        }


@dataclass(frozen=True)
class Comparison:
    """The result; :meth:`as_dict` is the JSON contract of ``lilliput compare``."""

    kind: str
    models: Sequence[Measured]
    reference: Reference
    settings: Mapping[str, Any]
    price: money.Price
    intensity: carbon.Intensity
    machine: Mapping[str, Any]
    data: Mapping[str, Any] | None
    notes: Sequence[str]
    command: str

    @property
    def obstacle(self) -> str:
        """Why no ratio of times is given; empty if they are given."""
        idle = {model.name: model.memory["idle_cores"] for model in self.models}
        return paired.obstacle_of({"product": self.reference.product, "read": self.reference.read}, idle)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values. Sizes in bytes; MB are 10^6 bytes; ratios are the original's figure over the other's."""
        first, *others = self.models
        return {
            "kind": self.kind,
            "original": first.name,
            "models": [self._figures(model) for model in self.models],
            "ratios": [self._ratios(first, other) for other in others],
            "noise": {"too_noisy": bool(self.obstacle), "reason": self.obstacle or None, **self.reference.as_dict()},
            "settings": dict(self.settings),
            "price": dataclasses.asdict(self.price),
            "intensity": dataclasses.asdict(self.intensity),
            "data": self.data,
            "notes": list(self.notes),
            "machine": dict(self.machine),
            "command": self.command,
        }

    def _figures(self, model: Measured) -> dict[str, Any]:
        found = {
            "name": model.name,
            "runs_in": model.facts["runs_in"],
            **({"kernels": model.facts["kernels"]} if model.facts.get("kernels") else {}),
            "bytes": model.facts["bytes"],
            "cold_start_ms": {
                "value": 1e3 * statistics.median(model.starts),
                "starts": [1e3 * seconds for seconds in model.starts],
            },
            "peak_memory_mb": model.peak_memory_mb,
            "resident_mb": model.memory["resident_mb"],
            "private_mb": model.memory["private_mb"],
            "idle_cores": model.memory["idle_cores"],
            "phases": {name: self._phase(name, turns) for name, turns in model.turns.items()},
        }
        if "prefill" in model.turns:
            waits = [1e3 * (turn.first_token or 0.0) for turn in model.turns["prefill"]]
            found["time_to_first_token_ms"] = _estimate(paired.median(waits))
        read = model.facts["weight_bytes_per_token"]
        if read is not None:
            rates = [read / turn.seconds for turn in model.turns["decode"]]
            found["weight_bytes_per_token"] = read
            found["of_bandwidth"] = paired.ratio_of(rates, self.reference.bytes_per_second, self.obstacle).as_dict()
        return found

    def _phase(self, name: str, turns: Sequence[Turn]) -> dict[str, Any]:
        phase = next(one for one in PHASES[self.kind] if one.name == name)
        calls = resources.summarize(list(chain.from_iterable(turn.times for turn in turns)))
        seconds = paired.median([turn.seconds for turn in turns])
        energy, kind, method = _joules(turns)
        joules = paired.median(energy)
        return {
            "unit": phase.unit,
            "units": sum(turn.units for turn in turns),
            "seconds_per_unit": _estimate(seconds),
            "rounds": [turn.seconds for turn in turns],
            "units_per_second": _estimate(Estimate(1 / seconds.value, 1 / seconds.high, 1 / seconds.low, seconds.n)),
            "latency_ms": {
                "per": phase.call,
                "p50": calls.p50,
                "p95": calls.p95,
                "p99": calls.p99,
                "n": calls.n,
                "p50_interval": list(calls.p50_interval),
            },
            "cpu_seconds_per_unit": _estimate(paired.median(_cpu(turns))),
            "energy": {"joules_per_unit": _estimate(joules), "kind": kind, "method": method},
            "grams_co2e_per_unit": _scaled(joules, carbon.grams(1.0, self.intensity)),
            "usd_per_million_units": _scaled(seconds, self.price.usd(1e6)),
        }

    def _ratios(self, original: Measured, other: Measured) -> dict[str, Any]:
        def compared(of: Callable[[Measured], Sequence[float]]) -> dict[str, Any]:
            return paired.ratio_of(of(original), of(other), self.obstacle).as_dict()

        found: dict[str, Any] = {
            "name": other.name,
            "bytes": original.facts["bytes"]["total"] / other.facts["bytes"]["total"],
            "peak_memory": original.peak_memory_mb / other.peak_memory_mb,
            "cold_start": compared(lambda model: model.starts),
        }
        if "prefill" in original.turns:
            found["time_to_first_token"] = compared(
                lambda model: [turn.first_token or 0.0 for turn in model.turns["prefill"]]
            )
        for name in original.turns:
            found[name] = {
                "speed": compared(lambda model, name=name: [turn.seconds for turn in model.turns[name]]),  # type: ignore[misc]
                "cpu": compared(lambda model, name=name: _cpu(model.turns[name])),  # type: ignore[misc]
                "energy": self._energy_ratio(original.turns[name], other.turns[name]),
            }
        return found

    def _energy_ratio(self, original: Sequence[Turn], other: Sequence[Turn]) -> dict[str, Any]:
        (ours, kind, _), (theirs, other_kind, _) = _joules(original), _joules(other)
        if kind != other_kind:
            return Ratio(None, f"{kind} and {other_kind} energy cannot be compared").as_dict()
        return paired.ratio_of(ours, theirs, self.obstacle).as_dict()


def _cpu(turns: Sequence[Turn]) -> list[float]:
    return [turn.cpu_seconds / turn.units for turn in turns]


def _joules(turns: Sequence[Turn]) -> tuple[list[float], str, str]:
    """Joules per unit in each round, their kind and the method. If one is estimated, all are estimated."""
    if all(turn.kind == "measured" for turn in turns):
        return [turn.joules / turn.units for turn in turns], "measured", turns[0].method
    model = GREEN_ALGORITHMS
    reason = next(turn.method for turn in turns if turn.kind != "measured").rpartition("not measured, because ")[2]
    method = (
        f"CPU time of the model's process x {model.watts_per_core:g} W per busy core ({model.source}); memory and idle "
        f"power left out; not measured, because {reason}"
    )
    return [seconds * model.watts_per_core for seconds in _cpu(turns)], "estimated", method


def _estimate(found: Estimate) -> dict[str, Any]:
    return dataclasses.asdict(found)


def _scaled(found: Estimate, factor: float) -> dict[str, Any]:
    return _estimate(Estimate(found.value * factor, found.low * factor, found.high * factor, found.n))
