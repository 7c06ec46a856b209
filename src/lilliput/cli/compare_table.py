"""The output of ``lilliput compare`` on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import typer

from lilliput.cli.output import print_facts, print_table, print_text
from lilliput.units import show_bytes

MAIN: Mapping[str, tuple[str, str]] = {"generator": ("decode", "decodes"), "classifier": ("fixed", "is")}
"""Kind -> the phase that the verdict reports, and its verb."""

RATES: Mapping[str, str] = {
    "prefill": "prefill, tokens/s",
    "decode": "decode, tokens/s",
    "fixed": "{tokens} tokens each, functions/s",
    "natural": "natural length, examples/s",
}
"""Phase -> label of its rate."""

Figures = Mapping[str, Any]


def show(result: Figures) -> None:
    """Print a comparison, verdicts first."""
    for ratios in result["ratios"]:
        print_text(verdict(result["kind"], ratios))
    typer.echo("")
    models, others = result["models"], result["ratios"]
    print_table(
        ["", *(model["name"] for model in models), *(f"{other['name']} is" for other in others)], list(rows(result))
    )
    typer.echo("")
    print_facts(facts(result))


def verdict(kind: str, ratios: Figures) -> str:
    """One sentence on one compressed model."""
    phase, verb = MAIN[kind]
    speed = ratios[phase]["speed"]
    first = f"{ratios['name']} is {times(ratios['bytes'], 'smaller', 'larger')}"
    last = f"uses {times(ratios['peak_memory'], 'less', 'more')} memory"
    if speed["value"] is None:
        return f"{first} and {last}; its speed could not be compared ({speed['reason']})"
    return f"{first}, {verb} {as_fast(speed)} and {last}"


def rows(result: Figures) -> Iterator[list[str]]:
    """Table rows: a label, a figure per model and a ratio per compressed model."""
    models, others = result["models"], result["ratios"]

    def row(what: str, of: Callable[[Figures], str], ratio: Callable[[Figures], str] | None = None) -> list[str]:
        return [what, *(of(model) for model in models), *("" if ratio is None else ratio(other) for other in others)]

    yield row("runs in", lambda m: m["runs_in"])
    yield row("on disk", lambda m: show_bytes(m["bytes"]["total"]), lambda r: times(r["bytes"], "smaller", "larger"))
    yield row("peak memory", lambda m: mb(m["peak_memory_mb"]), lambda r: times(r["peak_memory"], "less", "more"))
    yield row("memory after the run", lambda m: mb(m["resident_mb"]))
    yield row("  of which private", lambda m: mb(m["private_mb"]))
    yield row("cold start, ms", lambda m: f"{m['cold_start_ms']['value']:,.0f}", lambda r: as_fast(r["cold_start"]))
    if "time_to_first_token_ms" in models[0]:
        yield row(
            "time to first token, ms",
            lambda m: f"{m['time_to_first_token_ms']['value']:,.1f}",
            lambda r: as_fast(r["time_to_first_token"]),
        )
    for name in models[0]["phases"]:
        yield from phase_rows(row, name, models[0]["phases"][name], result["settings"]["tokens"])
    if all("of_bandwidth" in model for model in models):
        yield row("decode, of read bandwidth", lambda m: percent(m["of_bandwidth"]))


def phase_rows(row: Callable[..., list[str]], name: str, phase: Figures, tokens: int) -> Iterator[list[str]]:
    """Table rows of one phase; ``phase`` holds the original's figures."""
    unit, call = phase["unit"], phase["latency_ms"]["per"].partition(",")[0]

    def of(key: Callable[[Figures], str]) -> Callable[[Figures], str]:
        return lambda model: key(model["phases"][name])

    def latency(found: Figures) -> str:
        return " / ".join(f"{found['latency_ms'][part]:,.2f}" for part in ("p50", "p95", "p99"))

    yield row(
        RATES[name].format(tokens=tokens),
        of(lambda found: f"{found['units_per_second']['value']:,.1f}"),
        lambda other: as_fast(other[name]["speed"]),
    )
    if name != "prefill":  # one prompt a round: too few for a 99th percentile
        yield row(f"  ms a {call}, p50 / p95 / p99", of(latency))
    yield row(
        f"  CPU ms a {unit}",
        of(lambda found: figure(1e3 * found["cpu_seconds_per_unit"]["value"])),
        lambda other: less(other[name]["cpu"]),
    )
    yield row(
        f"  mJ a {unit}, {phase['energy']['kind']}",
        of(lambda found: figure(1e3 * found["energy"]["joules_per_unit"]["value"])),
        lambda other: less(other[name]["energy"]),
    )
    yield row(f"  µg CO2e a {unit}", of(lambda found: figure(1e6 * found["grams_co2e_per_unit"]["value"])))
    yield row("  US dollars a million", of(lambda found: figure(found["usd_per_million_units"]["value"])))


def facts(result: Figures) -> dict[str, object]:
    """How it was measured, and what the figures are based on."""
    settings, noise, price = result["settings"], result["noise"], result["price"]
    phase = next(iter(result["models"][0]["phases"].values()))
    year = "" if price["year"] is None else f", {price['year']}"
    written = f", {settings['new_tokens']} written" if result["kind"] == "generator" else ""
    return {
        "measured": f"{settings['rounds']} rounds in turn, {settings['tokens']} tokens read{written}, "
        f"{settings['threads']} thread(s), {settings['starts']} cold starts",
        "brackets": "95 % intervals over rounds; cold starts are too few for one",
        "noise": f"reference varied by {100 * noise['spread']['product']:.0f} % (product) and "
        f"{100 * noise['spread']['read']:.0f} % (memory); no ratios above {100 * noise['most_spread']:.0f} %",
        "memory bandwidth": f"{noise['read_bytes_per_second']['value'] / 1e9:.1f} GB/s",
        "energy": phase["energy"]["method"],
        "carbon": f"{result['intensity']['grams_per_kwh']:g} g/kWh ({result['intensity']['region']})",
        "price": f"{price['usd_per_hour']:.3g} US dollars an hour of {price['threads']} thread(s): "
        f"{price['source']}{year}",
    } | {f"note {number}": note for number, note in enumerate(result["notes"], 1)}


def mb(value: float | None) -> str:
    """Megabytes, human-readable."""
    return "unknown" if value is None else show_bytes(value * 1e6)


def percent(found: Figures) -> str:
    """``86 %``, or ``too noisy``."""
    return "too noisy" if found["value"] is None else f"{100 * found['value']:.0f} %"


def figure(value: float) -> str:
    """Three significant digits, without an exponent where possible."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(ratio: float, above: str, below: str) -> str:
    """``3.1x smaller``, or ``1.3x larger``."""
    return f"{rounded((ratio,))[0]}x {above}" if ratio >= 1 else f"{rounded((1 / ratio,))[0]}x {below}"


def as_fast(found: Figures) -> str:
    """``6.9x [6.1, 7.7] as fast``, or the reason why it is unknown."""
    return str(found["reason"]) if found["value"] is None else f"{interval(found)} as fast"


def less(found: Figures) -> str:
    """``4.0x [3.8, 4.1] less``, ``1.2x [1.1, 1.3] more``, or the reason why it is unknown."""
    if found["value"] is None:
        return str(found["reason"])
    if found["value"] >= 1:
        return f"{interval(found)} less"
    turned = {"value": 1 / found["value"], "low": 1 / found["high"], "high": 1 / found["low"]}
    return f"{interval(turned)} more"


def interval(found: Figures) -> str:
    """``6.9x [6.1, 7.7]``, or ``6.9x`` if there are too few rounds for an interval."""
    if found["low"] is None:
        return f"{rounded((found['value'],))[0]}x"
    value, low, high = rounded((found["value"], found["low"], found["high"]))
    return f"{value}x [{low}, {high}]"


def rounded(values: Sequence[float]) -> list[str]:
    """Ratios with one decimal; with two if one could hide which side of 1 they are on."""
    digits = 1 if min(values) >= 2 else 2
    return [f"{value:.{digits}f}" for value in values]
