"""Successive halving: short distillations choose between architectures that cost formulas cannot tell apart.

"Non-stochastic Best Arm Identification and Hyperparameter Optimization" (Jamieson and Talwalkar, AISTATS 2016),
section 3: every candidate gets a little training, the better half gets twice as much, until one is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

C = TypeVar("C")


@dataclass(frozen=True)
class Trial:
    """One candidate's short training.

    Attributes:
        candidate: index in the given list.
        rung: round, from 0.
        examples: number of training examples.
        loss: on validation data; lower is better.
        accuracy: on validation data, 0 to 1.
    """

    candidate: int
    rung: int
    examples: int
    loss: float
    accuracy: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Halving(Generic[C]):
    """The winner, and every trial on the way."""

    winner: C
    trials: tuple[Trial, ...]


def successive_halving(candidates: list[C], first_examples: int, train: Callable[[int, int, int], Trial]) -> Halving[C]:
    """Find the best of ``candidates``.

    Args:
        candidates: at least one; a single candidate wins without a trial.
        first_examples: training examples of each candidate in the first round; doubled each round.
        train: ``(candidate's index, rung, examples) -> Trial``.
    """
    trials: list[Trial] = []
    alive, rung, examples = list(range(len(candidates))), 0, first_examples
    while len(alive) > 1:
        round_trials = [train(place, rung, examples) for place in alive]
        trials += round_trials
        ranked = sorted(round_trials, key=lambda trial: (trial.loss, trial.candidate))
        alive = [trial.candidate for trial in ranked[: len(alive) // 2]]
        rung, examples = rung + 1, examples * 2
    return Halving(candidates[alive[0]], tuple(trials))
