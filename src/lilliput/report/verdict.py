"""The main findings in plain sentences, each computed from the evidence, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.report import clean, look_up, percent, plural, scaled, signed, significant
from lilliput.report.conditions import cost_conflicts
from lilliput.report.given import Given, Run
from lilliput.report.pairs import Pair
from lilliput.report.reading import Result

NO_DIFFERENCE = "no difference that this sample can show"


@dataclass(frozen=True)
class Doing:
    """What a model does in a phase of a comparison, and the unit that energy is given per."""

    does: str
    unit: str


SPEEDS: Mapping[str, Doing] = {
    "decode": Doing("decodes", "A token written"),
    "natural": Doing("classifies the data's examples", "An example"),
    "fixed": Doing("classifies functions of one length", "A function"),
}
"""Phase -> its words; the verdict uses the first phase that was measured."""


def verdicts(given: Given, pairs: Sequence[Pair]) -> list[str]:
    """The verdict: one paragraph per model, then one per other pair of models that was compared."""
    told: set[tuple[str, str]] = set()
    paragraphs = []
    for name in [name for name in given.names if given.runs_of(name)]:
        own = [pair for pair in pairs if pair.other.name == name]
        alone = [run for run in given.runs_of(name) if all(run is not pair.other for pair in own)]
        said = [accuracy_sentence(pair) for pair in own]
        if name != given.reference or len(given.names) == 1:
            said += [alone_sentence(run) for run in alone]
        if own and given.reference is not None:
            told.add((given.reference, name))
            said += cost_sentences(given, own[0])
        paragraphs.append(" ".join(said))
    for comparison in given.comparisons:
        original = comparison.values["original"]
        for ratios in comparison.values["ratios"]:
            if (original, ratios["name"]) not in told:
                told.add((original, ratios["name"]))
                subject = f"{clean(ratios['name'])} beside {clean(original)}: it"
                paragraphs.append(" ".join(ratio_sentences(comparison, ratios, subject)))
    return [paragraph for paragraph in paragraphs if paragraph]


def accuracy_sentence(pair: Pair) -> str:
    """How many problems each solves, and whether the sample shows a difference."""
    name, reference, found = clean(pair.other.name), clean(pair.reference.name), pair.difference
    if found is None:
        why = "; ".join(pair.conflicts)
        return f"{alone_sentence(pair.other)} It is not compared with {reference}: {why}."
    left_out = f" Left out: {plural(pair.left_out, 'problem')} without a verdict for both." if pair.left_out else ""
    n, low, high = len(pair.problems), found.difference.low, found.difference.high
    if found.p_value is None:
        rates = [run.pass_at(found.k) for run in (pair.other, pair.reference)]
        ours, theirs = ("not known" if rate is None else f"{percent(rate[0])} %" for rate in rates)
        words = f"{signed(100 * found.difference.value)} points" if found.is_shown else NO_DIFFERENCE
        interval = f"{signed(100 * low)} to {signed(100 * high)} points"
        text = f"{name} reaches a pass@{found.k} of {ours} on {n:,} problems of {pair.other.benchmark}, {reference} "
        return f"{text}{theirs}: {words} (paired interval {interval}).{left_out}"
    before, after = pair.solved
    words = f"{abs(after - before)} {'more' if after > before else 'fewer'}" if found.is_shown else NO_DIFFERENCE
    interval = f"paired interval {_count(n * low)} to {_count(n * high)} problems"
    if not found.gained and not found.lost:
        words = "the same ones"
        interval = f"up to {percent(high)} % of such problems may still come out differently"
    text = f"{name} solves {after:,} of {n:,} problems of {pair.other.benchmark}, {reference} {before:,}: {words}"
    return f"{text} ({interval}).{left_out}"


def alone_sentence(run: Run) -> str:
    """A model's result on its own."""
    k = min(run.values["k"])
    rate, n = run.pass_at(k), len(run.counted)
    warning = (
        f" These figures are not to be trusted: {clean(run.values['warning'])}" if run.values.get("warning") else ""
    )
    if rate is None:
        return f"{clean(run.name)}: pass@{k} on {run.benchmark} is not known.{warning}"
    value, low, high = rate
    interval = f"pass@{k} {percent(value)} % [{percent(low)}, {percent(high)}]"
    if not run.is_single:
        return f"{clean(run.name)} reaches {interval} on {n:,} problems of {run.benchmark}.{warning}"
    return f"{clean(run.name)} solves {run.solved:,} of {n:,} problems of {run.benchmark} ({interval}).{warning}"


def cost_sentences(given: Given, pair: Pair) -> list[str]:
    """The other model's costs relative to the reference's: from a comparison of both, or else its size alone."""
    name, reference = pair.other.name, pair.reference.name
    found = [
        (comparison, ratios)
        for comparison in given.comparisons
        if comparison.values["original"] == reference
        for ratios in comparison.values["ratios"]
        if ratios["name"] == name
    ]
    if found:
        more = f"({len(found)} comparisons of the two are given; this is the first.)" if found[1:] else ""
        return [*ratio_sentences(*found[0], "It"), *([more] if more else [])]
    sizes = [given.bytes_of(one) for one in (reference, name)]
    said = []
    if sizes[0] is not None and sizes[1] is not None:
        said.append(f"It is {_size(sizes[0] / sizes[1])}: {scaled(sizes[1], 'B')} against {scaled(sizes[0], 'B')}.")
    if all(run.number("decode_tokens_per_s") is not None for run in (pair.other, pair.reference)):
        conflicts = cost_conflicts(pair.other, pair.reference)
        why = "were measured under different conditions (" + "; ".join(conflicts) + ")" if conflicts else ""
        why = why or "were measured in separate runs, without intervals,"
        said.append(f"Speed, memory and energy {why} and are not compared; 'lilliput compare' measures them in turn.")
    return said


def ratio_sentences(comparison: Result, ratios: Mapping[str, Any], subject: str) -> list[str]:
    """The ratios of one model in a comparison, refusals included; ``subject`` begins the first sentence."""
    original = clean(comparison.values["original"])
    phase = next((name for name in SPEEDS if isinstance(ratios.get(name), Mapping)), None)
    memory = f"takes {_less(ratios['peak_memory'], 'memory')} at its peak"
    if phase is None:
        return [f"{subject} is {_size(ratios['bytes'])} and {memory}."]
    words, speed, energy = SPEEDS[phase], ratios[phase].get("speed"), ratios[phase].get("energy")
    clauses = [f"is {_size(ratios['bytes'])}"]
    refused: dict[str, list[str]] = {}
    if speed is not None and speed["value"] is not None:
        clauses.append(f"{words.does} {with_ends(speed)} as fast")
    elif speed is not None:
        refused.setdefault(clean(speed["reason"]), []).append("speed")
    said = [f"{subject} {_listed([*clauses, memory])}."]
    if energy is not None and energy["value"] is not None:
        said.append(f"{words.unit} takes {less_with_ends(energy)} energy{_kind(comparison, ratios['name'], phase)}.")
    elif energy is not None:
        refused.setdefault(clean(energy["reason"]), []).append("energy")
    told = (f"{' and '.join(what)} to {original}" for what in refused.values())
    return [*said, *(f"No ratio of {what} is given: {reason}." for what, reason in zip(told, refused, strict=True))]


def _kind(comparison: Result, name: str, phase: str) -> str:
    """Whether energy was measured or estimated, in brackets."""
    models = [model for model in comparison.values["models"] if model["name"] == name]
    kind = look_up(models[0], "phases", phase, "energy", "kind") if models else None
    return "" if kind is None else f" ({clean(kind)})"


def with_ends(ratio: Mapping[str, Any]) -> str:
    """``6.9x [6.1, 7.7]``, with one more digit where its ends would look the same; ``6.9x`` without an interval."""
    if ratio["low"] is None:
        return f"{_two(ratio['value'])}x"
    ends = [ratio[name] for name in ("value", "low", "high")]
    value, low, high = map(_two, ends)
    if low == high:
        value, low, high = (f"{end:,.2f}" for end in ends)
    return f"{value}x [{low}, {high}]"


def less_with_ends(ratio: Mapping[str, Any]) -> str:
    """``5.1x [4.0, 6.0] less``; below 1, how much more."""
    if ratio["value"] >= 1:
        return f"{with_ends(ratio)} less"
    turned = {"value": "value", "low": "high", "high": "low"}
    inverse = {name: None if ratio[of] is None else 1 / ratio[of] for name, of in turned.items()}
    return f"{with_ends(inverse)} more"


def _size(ratio: float) -> str:
    if f"{max(ratio, 1 / ratio):.1f}" == "1.0":
        return "as large"
    return f"{_two(ratio)}x smaller" if ratio > 1 else f"{_two(1 / ratio)}x larger"


def _less(ratio: float, what: str) -> str:
    if f"{max(ratio, 1 / ratio):.1f}" == "1.0":
        return f"as much {what}"
    return f"{_two(ratio)}x less {what}" if ratio > 1 else f"{_two(1 / ratio)}x more {what}"


def _two(value: float) -> str:
    """One decimal below 10, none above; two significant digits below 0.95."""
    if value < 0.95:
        return significant(value, 2)
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.1f}"


def _listed(clauses: Sequence[str]) -> str:
    *first, last = clauses
    return f"{', '.join(first)} and {last}" if first else last


def _count(problems: float) -> str:
    return f"{round(problems):+d}".replace("-", "−")
