"""The report: one HTML page (``page``), its plots (``plots``), and the model card of an artifact (``card``).

Here stands what these three share: the evidence that is shown, and how a figure is written. A figure that is missing,
``null`` or not a number is ``None`` from here on, and is shown as not measured.
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
"""Key of a baseline in the JSON contract -> what it is, in words."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one model. Any key may be missing or null.

    Attributes:
        name: what the page calls the model.
        evaluation: the JSON object of ``lilliput evaluate --json``; scores are fractions, intervals 95 % ones.
        history: records of training, ``{"stage", "epoch", "loss"}`` and perhaps ``valid_accuracy`` and ``valid_f1``.
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
        """Both ends of the interval of ``metric``, if there are two."""
        ends = look_up(self.evaluation, "intervals", metric)
        if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2:
            return None
        low, high = map(as_number, ends)
        return None if low is None or high is None else (low, high)

    @property
    def total_bytes(self) -> float | None:
        """Bytes on disk, all parts."""
        total = self.number("bytes", "total")
        return as_number(look_up(self.inspect, "bytes", "total")) if total is None else total

    @property
    def settings(self) -> str:
        """What the latency was measured with, and of what, in words; empty where nothing is known."""
        counts = [(self.number("latency_ms", key), key) for key in ("threads", "tokens")]
        words = [plural(count, key.removesuffix("s")) for count, key in counts if count is not None]
        per = look_up(self.evaluation, "latency_ms", "per")
        return ", ".join([*words, *([] if per is None else [f"per {clean(per)}"])])


@dataclass(frozen=True)
class Baseline:
    """The scores of a model that is hardly one, as fractions."""

    title: str
    accuracy: float | None
    f1: float | None = None
    mcc: float | None = None
    fitted_on: str = ""
    undefined: tuple[str, ...] = ()


def baselines(evidence: Evidence) -> list[Baseline]:
    """The baselines an evaluation was set against; those with details first."""
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
    """Every evaluation's baselines, each once; where one scored differently, once a model and saying beside which."""
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
    """The same models, numbered where two share a name."""
    seen: Counter[str] = Counter()
    apart = []
    for evidence in evidences:
        seen[evidence.name] += 1
        count = seen[evidence.name]
        apart.append(replace(evidence, name=f"{evidence.name} ({count})") if count > 1 else evidence)
    return apart


def look_up(source: Any, *keys: str) -> Any:
    """``source[keys[0]][keys[1]]...``, or ``None`` where any of it is missing."""
    for key in keys:
        source = source.get(key) if isinstance(source, Mapping) else None
    return source


def undefined(scores: Any) -> tuple[str, ...]:
    """Measures that are 0 by convention alone, see :class:`~lilliput.evaluate.classification.ClassificationScores`."""
    names = look_up(scores, "undefined")
    return tuple(map(str, names)) if isinstance(names, list) else ()


def as_number(value: Any) -> float | None:
    """``value`` as a float where it is a finite number."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) if abs(value) < 1e300 else None


def clean(text: Any) -> str:
    """``str(text)`` on one line, without characters that no page or SVG may hold (controls, lone surrogates)."""
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
    """``value`` with the fitting prefix before its unit: ``2941312, "B"`` is ``2.94 MB``; bytes stay whole."""
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
