"""Whether two results were measured under the same conditions, and in words why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lilliput.data.lines import shown
from lilliput.report import clean, look_up
from lilliput.report.given import Run

ASKED: Mapping[str, str] = {
    "max_new_tokens": "longest completion in tokens",
    "temperature": "temperature",
    "repetition_penalty": "repetition penalty",
    "n": "completions per problem",
    "stop": "stop strings",
    "prompt": "kind of prompt",
    "strip": "trailing white space of prompts",
    "challenges": "challenge tests",
    "form": "form of completions",
}
"""Setting that affects accuracy -> its name in words."""

DRAWN: Mapping[str, str] = {"top_k": "top k", "top_p": "top p", "seed": "seed"}
"""Settings that matter only where completions are sampled, at a temperature above 0."""

LIMITS: Mapping[str, str] = {"seconds": "time limit of programs", "memory_mb": "memory limit of programs"}

HANDLING: Mapping[str, str] = {
    "postprocessing": "post-processing",
    "prompts": "how prompts are made",
    "program": "what is run",
}

MACHINE: Mapping[str, tuple[str, ...]] = {
    "processor": ("machine", "cpu"),
    "cores": ("machine", "cores"),
    "threads": ("settings", "threads"),
}
"""Condition that affects costs -> its path in a result."""

_LONGEST = 80


def accuracy_conflicts(run: Run, other: Run) -> list[str]:
    """Reasons not to compare two results' accuracies; empty: they are comparable. Machine and threads may differ."""
    checks: tuple[Callable[[Run, Run], list[str]], ...] = (_trust, _data, _settings, _handling)
    return [reason for check in checks for reason in check(run, other)]


def cost_conflicts(run: Run, other: Run) -> list[str]:
    """Reasons not to compare two results' costs; empty: they are comparable."""
    pairs = {name: (look_up(other.values, *keys), look_up(run.values, *keys)) for name, keys in MACHINE.items()}
    return [_differs(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1]]


def _trust(run: Run, other: Run) -> list[str]:
    return [
        f"the figures of {clean(one.name)} are not to be trusted" for one in (run, other) if one.values.get("warning")
    ]


def _data(run: Run, other: Run) -> list[str]:
    if None in (run.data, other.data):
        return ["it is not on record that their problems are the same"]
    if run.data != other.data:
        return ["their problems are from different files (SHA-256 differs)"]
    if run.problems.keys() != other.problems.keys():
        both = len(run.problems.keys() & other.problems.keys())
        return [
            f"they were given {len(other.problems):,} and {len(run.problems):,} problems, {both:,} of them the same"
        ]
    return []


def _settings(run: Run, other: Run) -> list[str]:
    ours, theirs = (_flat_settings(one) for one in (run, other))
    if ("max_new_tokens" in ours) != ("max_new_tokens" in theirs):
        made_elsewhere = other if "max_new_tokens" in ours else run
        return [f"how the completions of {clean(made_elsewhere.name)} were made is not on record"]
    drawn = any(one.get("temperature") != 0 for one in (ours, theirs))
    names = {**ASKED, **(DRAWN if drawn else {}), **LIMITS}
    return [
        _differs(words, theirs.get(name), ours.get(name))
        for name, words in names.items()
        if ours.get(name) != theirs.get(name)
    ]


def _flat_settings(run: Run) -> dict[str, Any]:
    """Settings, with the programs' limits merged in."""
    settings = run.values.get("settings") or {}
    programs = settings.get("programs")
    return {**settings, **(programs if isinstance(programs, Mapping) else {})}


def _handling(run: Run, other: Run) -> list[str]:
    return [
        f"their records differ on {words}"
        for name, words in HANDLING.items()
        if run.values.get(name) != other.values.get(name) and not _settings(run, other)
    ]


def _differs(words: str, *values: Any) -> str:
    texts = ["not recorded" if value is None else _short(value) for value in values]
    return f"{words}: {texts[0]} against {texts[1]}"


def _short(value: Any) -> str:
    text = ", ".join(shown(item) for item in value) if isinstance(value, list) else clean(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
