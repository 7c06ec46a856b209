"""Turn judged completions into pass@k, failure counts, and a record of each problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lilliput.errors import DataError, UserError
from lilliput.evaluate.intervals import Estimate
from lilliput.evaluate.judging import FAILURES, Judgement
from lilliput.evaluate.passk import Tries, mean_pass_at_k

MOST_LOST = 0.05
"""Share of problems without a verdict above which a result is not to be trusted."""


@dataclass(frozen=True)
class Attempt:
    """One completion, judged.

    Attributes:
        task_id: id of its problem.
        judgement: its outcome.
        record: further facts about it.
    """

    task_id: str
    judgement: Judgement
    record: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"outcome": self.judgement.outcome, "detail": self.judgement.detail, **self.record}


@dataclass(frozen=True)
class Tally:
    """Summary of a set of attempts.

    Attributes:
        n: problems with a verdict on at least one completion, on which pass@1 is based.
        pass_at: k -> estimate over the problems with k judged completions; ``None``: there are none.
        left_out: every requested k with too few completions.
        failures: completions that did not pass, by outcome.
        attempts: task_id -> its attempts, in the order of the problems.
    """

    n: int
    pass_at: Mapping[int, Estimate | None]
    left_out: tuple[int, ...]
    failures: Mapping[str, int]
    attempts: Mapping[str, Sequence[Attempt]]

    @property
    def lost(self) -> int:
        """Number of problems with a completion that the sandbox or an endpoint gave no verdict on."""
        return sum(any(one.judgement.outcome == "runner" for one in tries) for tries in self.attempts.values())

    @property
    def warning(self) -> str:
        """Why the figures are not to be trusted; empty if they are."""
        if self.lost <= MOST_LOST * len(self.attempts):
            return ""
        details = [one.judgement.detail for tries in self.attempts.values() for one in tries]
        outcomes = [one.judgement.outcome for tries in self.attempts.values() for one in tries]
        first = next(detail for detail, outcome in zip(details, outcomes, strict=True) if outcome == "runner")
        return (
            f"{self.lost} of {len(self.attempts)} problems failed because of the runner, not the model "
            f"(the first: {first}); the figures are based on the other completions and are not to be trusted."
        )

    def as_dict(self) -> dict[str, Any]:
        """The part of a result common to ``score`` and ``evaluate``; fractions, not percent."""
        counts = [len(tries) for tries in self.attempts.values()]
        found = self.pass_at.items()
        notes = [
            f"pass@{k} is not estimated: some problems have fewer than {k} completions" for k in sorted(self.left_out)
        ]
        return {
            **({"warning": self.warning} if self.warning else {}),
            "n": self.n,
            **{f"pass@{k}": None if rate is None else rate.value for k, rate in found},
            "k": list(self.pass_at),
            "completions": {
                "total": sum(counts),
                "fewest": min(counts),
                "most": max(counts),
                "judged": sum(counts) - self.failures["runner"],
            },
            "failures": dict(self.failures),
            "intervals": {f"pass@{k}": None if rate is None else [rate.low, rate.high] for k, rate in found},
            "sample_sizes": {f"pass@{k}": 0 if rate is None else rate.n for k, rate in found},
            "notes": notes,
        }

    def records(self) -> list[dict[str, Any]]:
        """The outcome of each problem."""
        return [
            {
                "task_id": name,
                "n": len(tries),
                "passed": sum(one.judgement.passed for one in tries),
                "completions": [one.as_dict() for one in tries],
            }
            for name, tries in self.attempts.items()
        ]


USUAL = (1, 10)
"""Default values of k for pass@k; 10 only if there are enough completions."""


def tally(attempts: Mapping[str, Sequence[Attempt]], ks: Sequence[int] | None) -> Tally:
    """Summarize attempts.

    Args:
        attempts: task_id -> attempts, at least one.
        ks: values of k; those above the fewest completions of a problem are left out. ``None``: the defaults.

    Raises:
        DataError: there are no problems, or too few completions for any k.
    """
    fitting, left_out = fitting_ks(ks, [len(tries) for tries in attempts.values()])
    tries = []
    for one in attempts.values():
        judged = [item for item in one if item.judgement.outcome != "runner"]
        if judged:
            tries.append(Tries(len(judged), sum(item.judgement.passed for item in judged)))
    rates = {}
    for k in fitting:
        enough = [item for item in tries if item.n >= k]  # all, unless the runner lost some
        rates[k] = mean_pass_at_k(enough, k) if enough else None
    outcomes = [item.judgement.outcome for one in attempts.values() for item in one]
    failures: dict[str, int] = {name: outcomes.count(name) for name in FAILURES}
    return Tally(len(tries), rates, left_out, failures, dict(attempts))


def fitting_ks(ks: Sequence[int] | None, counts: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split ``ks`` into those with enough completions and those with too few.

    Args:
        ks: see :func:`tally`.
        counts: completions of each problem.

    Raises:
        DataError: there are no problems, or too few completions for any k.
    """
    if not counts:
        raise DataError("there are no problems to score.", remedy="Give one at least.")
    fewest = min(counts)
    ks = [k for k in USUAL if k <= fewest] if ks is None else ks
    fitting = tuple(k for k in ks if k <= fewest)
    if not fitting:
        raise DataError(
            f"a problem has only {fewest} completion(s): too few for pass@{min(ks)}.",
            where="--k",
            remedy=f"Choose a k of at most {fewest}, or give more completions.",
        )
    return fitting, tuple(k for k in ks if k > fewest)


def parsed_ks(text: str | None) -> tuple[int, ...] | None:
    """``"1,10"`` as numbers, sorted; ``None`` stays.

    Raises:
        UserError: they are not numbers, or below 1.
    """
    if text is None:
        return None
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        ks = []
    return checked_ks(ks, text)


def checked_ks(ks: Sequence[int] | None, shown: object = None) -> tuple[int, ...] | None:
    """``ks``, sorted; ``None`` stays.

    Raises:
        UserError: the list is empty, or a value is not a positive whole number.
    """
    if ks is None:
        return None
    if not ks or not all(type(k) is int and k >= 1 for k in ks):
        raise UserError(
            f"{ks if shown is None else shown!r} is not a list of positive whole numbers.",
            where="--k",
            remedy="Give for example --k 1,10.",
        )
    return tuple(sorted(set(ks)))
