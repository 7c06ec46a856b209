"""The report: one HTML page (``page``), its plots (``plots``), and the model card of an artifact (``card``).

This module holds what these three share: the evidence and the formatting of figures. A figure that is missing, ``null``
or not a finite number becomes ``None`` here and is shown as not measured.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

PREFIXES = {-3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T"}
"""Power of 1000 -> prefix of a unit. A megabyte is a million bytes, as disks count them."""

BASELINE_TITLES = {
    "majority": "majority class",
    "token_logistic": "logistic regression on TF-IDF of tokens",
    "token_overlap": "overlap of token sets (Jaccard)",
}
"""Key of a baseline in the JSON contract -> its description."""


@dataclass(frozen=True)
class Evidence:
    """What is known about one model. Any key may be missing or null.

    Attributes:
        name: the model's name on the page.
        evaluation: the JSON object of ``lilliput evaluate --json``; scores are fractions, intervals are at 95 %.
        history: training records, ``{"stage", "epoch", "loss"}`` and optionally ``valid_accuracy`` and ``valid_f1``.
        inspect: ``{"architecture", "provenance", "bytes"}`` and further facts about the model.
    """

    name: str
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    inspect: Mapping[str, Any] | None = None

    def number(self, *keys: str) -> float | None:
        """The finite number at ``evaluation[keys[0]][keys[1]]...``, if there is one."""
        return as_number(look_up(self.evaluation, *keys))

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The interval of ``metric``, if it has both ends."""
        ends = look_up(self.evaluation, "intervals", metric)
        if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2:
            return None
        low, high = map(as_number, ends)
        return None if low is None or high is None else (low, high)

    @property
    def total_bytes(self) -> float | None:
        """Total bytes on disk."""
        total = self.number("bytes", "total")
        return as_number(look_up(self.inspect, "bytes", "total")) if total is None else total

    @property
    def settings(self) -> str:
        """The conditions of the latency measurement in words; empty where unknown."""
        counts = [(self.number("latency_ms", key), key) for key in ("threads", "tokens")]
        words = [plural(count, key.removesuffix("s")) for count, key in counts if count is not None]
        per = look_up(self.evaluation, "latency_ms", "per")
        return ", ".join([*words, *([] if per is None else [f"per {clean(per)}"])])


@dataclass(frozen=True)
class Baseline:
    """The scores of a baseline, as fractions."""

    title: str
    accuracy: float | None
    f1: float | None = None
    mcc: float | None = None
    fitted_on: str = ""
    undefined: tuple[str, ...] = ()


def baselines(evidence: Evidence) -> list[Baseline]:
    """The baselines of an evaluation, with details where it has them."""
    table = look_up(evidence.evaluation, "baselines")
    entries = dict(table) if isinstance(table, Mapping) else {}
    details = entries.pop("details", None)
    found: dict[str, Baseline] = {}
    for name, scores in {**entries, **(details if isinstance(details, Mapping) else {})}.items():
        title = BASELINE_TITLES.get(name, clean(name))
        if isinstance(scores, Mapping):
            accuracy, f1, mcc = (as_number(scores.get(key)) for key in ("accuracy", "f1", "mcc"))
            found[title] = Baseline(title, accuracy, f1, mcc, clean(scores.get("fitted_on") or ""), undefined(scores))
        elif (accuracy := as_number(scores)) is not None:
            found[title] = Baseline(title, accuracy)
    return list(found.values())


def distinct_baselines(evidences: Sequence[Evidence]) -> list[Baseline]:
    """The baselines of all evaluations, each once; one whose scores differ appears once per model, with its name."""
    found = [(evidence.name, baseline) for evidence in evidences for baseline in baselines(evidence)]
    titles = Counter(title for title, *_ in {(baseline.title, baseline) for _, baseline in found})
    return list(
        dict.fromkeys(
            replace(baseline, title=f"{baseline.title}, on the data of {clean(name)}")
            if titles[baseline.title] > 1
            else baseline
            for name, baseline in found
        )
    )


def named_apart(evidences: Sequence[Evidence]) -> list[Evidence]:
    """The same models, with numbers appended to duplicate names."""
    seen: Counter[str] = Counter()
    apart = []
    for evidence in evidences:
        seen[evidence.name] += 1
        count = seen[evidence.name]
        apart.append(replace(evidence, name=f"{evidence.name} ({count})") if count > 1 else evidence)
    return apart


def look_up(source: Any, *keys: str) -> Any:
    """``source[keys[0]][keys[1]]...``, or ``None`` where a key is missing."""
    for key in keys:
        source = source.get(key) if isinstance(source, Mapping) else None
    return source


def undefined(scores: Any) -> tuple[str, ...]:
    """Measures that are 0 only by convention; see :class:`~lilliput.evaluate.classification.ClassificationScores`."""
    names = look_up(scores, "undefined")
    return tuple(map(str, names)) if isinstance(names, list) else ()


def as_number(value: Any) -> float | None:
    """``value`` as a float; ``None`` unless it is a finite number."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if abs(value) < 1e300 else None


def clean(text: Any) -> str:
    """``str(text)`` on one line; characters that HTML and SVG forbid (controls, lone surrogates) are replaced."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in str(text)).strip()


def signed(value: float) -> str:
    """``+1.2`` and ``−0.6``."""
    return f"{value:+.1f}".replace("-", "−")


def significant(value: float, digits: int = 3) -> str:
    """``value`` to ``digits`` significant digits, never in scientific notation, thousands separated."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    return f"{rounded:,.{max(digits - 1 - math.floor(math.log10(abs(rounded))), 0)}f}"


def scaled(value: float, unit: str, digits: int = 3) -> str:
    """``value`` with the fitting SI prefix before its unit: ``2941312, "B"`` is ``2.94 MB``; bytes stay whole."""
    if value == 0 or (unit == "B" and abs(value) < 1000):
        return f"{value:g} {unit}"
    rounded = float(f"{value:.{digits - 1}e}")
    power = min(max(math.floor(math.log10(abs(rounded)) / 3), min(PREFIXES)), max(PREFIXES))
    return f"{significant(rounded / 1000.0**power, digits)} {PREFIXES[power]}{unit}"


def percent(fraction: float) -> str:
    """A fraction as percent: ``0.961`` is ``96.1``."""
    return f"{100 * fraction:.1f}"


def plural(count: float, noun: str) -> str:
    """``1 thread``, ``2 threads``, ``1,200 examples``."""
    return f"{count:,.10g} {noun}{'' if count == 1 else 's'}"
