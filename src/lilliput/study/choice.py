"""From results to a Pareto front and a recipe: the points that none dominates, and the one to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lilliput.errors import UserError
from lilliput.evaluate.intervals import Estimate
from lilliput.search.pareto import pareto_front
from lilliput.study.budget import Budget
from lilliput.study.jobs import JobResult
from lilliput.study.quality import Quality, loss, quality_named

SAME_SIZE = 1.01
"""Sizes within this ratio count as equal."""

PREFERENCES: Mapping[str, str] = {
    "smallest": "the fewest bytes (of sizes within 1 %, the fastest; the best where speeds are no evidence)",
    "fastest": "the most tokens decoded in a second",
}
"""``--prefer`` -> what distinguishes the chosen point among the eligible ones."""


@dataclass(frozen=True)
class Rule:
    """How a point is chosen.

    Attributes:
        quality: name of the measure that decides.
        tolerance: how much worse than the reference the estimate may be, as a fraction (relative for perplexity,
            absolute for pass rates).
        prefer: a name in :data:`PREFERENCES`.
        budget: limits of size and speed.
    """

    quality: str = "perplexity"
    tolerance: float = 0.02
    prefer: str = "smallest"
    budget: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        quality_named(self.quality)
        if not 0 <= self.tolerance < 1:
            raise UserError(
                f"{self.tolerance!r} is out of range.", where="--tolerance", remedy="Choose from 0 to below 1."
            )
        if self.prefer not in PREFERENCES:
            raise UserError(
                f"there is no preference '{self.prefer}'.",
                where="--prefer",
                remedy=f"Choose one of: {', '.join(PREFERENCES)}.",
            )

    @property
    def words(self) -> str:
        """The rule in a sentence."""
        quality = quality_named(self.quality)
        return (
            f"{PREFERENCES[self.prefer]} of the points within the budget ({self.budget}) whose estimate is at most "
            f"{100 * self.tolerance:g} {quality.words} than the reference's"
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "rule": self.words,
            "quality": self.quality,
            "tolerance": self.tolerance,
            "prefer": self.prefer,
            "budget": self.budget.as_dict(),
        }


@dataclass(frozen=True)
class Rated:
    """A result, rated by the rule.

    Attributes:
        result: the measured result.
        quality: by the rule's measure; ``None``: not measured.
        loss: against the reference, a fraction; ``None``: unknown.
        objection: why it is not eligible; empty: it is.
        on_front: whether no result dominates it in bytes, quality and (where all have one) speed.
    """

    result: JobResult
    quality: Estimate | None
    loss: Estimate | None
    objection: str
    on_front: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, without those of the result."""
        return {
            "loss": None if self.loss is None else vars(self.loss),
            "objection": self.objection,
            "on_front": self.on_front,
        }


@dataclass(frozen=True)
class Choice:
    """All results, rated, and the chosen one.

    Attributes:
        rule: that results were rated by.
        reference: the result that others are compared with: the original where it was measured, else the best;
            ``None``: nothing was measured.
        rated: in the order of the results.
        objectives: of the Pareto front.
        chosen: the chosen result; ``None``: none is eligible.
    """

    rule: Rule
    reference: JobResult | None
    rated: tuple[Rated, ...]
    objectives: tuple[str, ...]
    chosen: Rated | None

    @property
    def nearest(self) -> Rated | None:
        """The best result within the budget; ``None``: there is none."""
        fitting = [one for one in self.rated if one.loss and not self.rule.budget.objection(*_taken(one.result))]
        return min(fitting, key=lambda one: one.loss.value if one.loss else 0.0, default=None)


def choose(results: Sequence[JobResult], rule: Rule) -> Choice:
    """Rate results, find the Pareto front, and choose by the rule."""
    quality = quality_named(rule.quality)
    measured = [(result, found) for result in results if (found := quality.estimate(result)) is not None]
    reference = _reference(measured, quality)
    timed = bool(measured) and all(result.tokens_per_s is not None for result, _ in measured)
    front = {measured[index][0].key for index in _front(measured, quality, timed)}
    rated = []
    for result in results:
        lost = None if reference is None else loss(quality, result, reference)
        rated.append(Rated(result, quality.estimate(result), lost, _objection(result, lost, rule), result.key in front))
    fitting = [one for one in rated if not one.objection]
    objectives = ("bytes", quality.title, *(("decode tokens/s",) if timed else ()))
    return Choice(rule, reference, tuple(rated), objectives, _best(fitting, rule.prefer))


def _reference(measured: Sequence[tuple[JobResult, Estimate]], quality: Quality) -> JobResult | None:
    """The original (float weights of the most bits, unquantized activations), else the best."""
    for name in ("fp32", "fp16"):
        for result, _ in measured:
            if result.point.weights == name and result.point.activations == "none":
                return result
    sign = -1 if quality.higher else 1
    return min(measured, key=lambda item: (sign * item[1].value, item[0].size), default=(None, None))[0]


def _front(measured: Sequence[tuple[JobResult, Estimate]], quality: Quality, timed: bool) -> list[int]:
    if not measured:
        return []
    costs = [[float(result.size), found.value * (-1 if quality.higher else 1)] for result, found in measured]
    speeds = [result.tokens_per_s or 0.0 if timed else 0.0 for result, _ in measured]
    return [int(index) for index in pareto_front(costs, speeds)]


def _objection(result: JobResult, lost: Estimate | None, rule: Rule) -> str:
    beyond = rule.budget.objection(*_taken(result))
    if beyond:
        return beyond
    if lost is None:
        return f"{rule.quality} is not measured"
    if lost.value > rule.tolerance:
        return f"{100 * lost.value:.1f} {quality_named(rule.quality).words}"
    return "its speed is not known" if rule.prefer == "fastest" and result.tokens_per_s is None else ""


def _taken(result: JobResult) -> tuple[int, float | None]:
    return result.size, result.tokens_per_s


def _best(fitting: Sequence[Rated], prefer: str) -> Rated | None:
    """The preferred result; sizes within a percent differ in their manifests' text, not in their weights."""
    if prefer == "smallest" and fitting:
        most = SAME_SIZE * min(one.result.size for one in fitting)
        fitting = [one for one in fitting if one.result.size <= most]

    def rank(one: Rated) -> tuple[float, float, int, str]:
        worse = 0.0 if one.loss is None else one.loss.value
        return -(one.result.tokens_per_s or 0.0), worse, one.result.size, one.result.point.label

    return min(fitting, key=rank, default=None)
