"""Search problems: objective, limits and result, behind one interface.

:class:`SearchProblem` has hard limits on bytes on disk and milliseconds. :class:`PaperProblem` is the paper's, with a
soft target in fp32 megabytes. The exhaustive and the genetic search accept either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from lilliput.errors import BudgetError, UserError
from lilliput.formats.precision import PRECISIONS
from lilliput.search.cost import (
    StudentShape,
    TokenizerBytes,
    artifact_bytes,
    flops,
    paper_fitness,
    paper_flops,
    paper_parameters,
    parameters,
)
from lilliput.search.latency import LatencyModel
from lilliput.search.space import (
    DEFAULT_SPACE,
    PAPER_SPACE,
    Architecture,
    Architectures,
    Count,
    FloatArray,
    SearchSpace,
    Sizes,
)

DEFAULT_OBJECTIVE = "parameters"
"""The default objective. Under a latency limit all good architectures take about as long, so most compute means the
smallest vocabulary, which learns worse (``benchmarks/results/shrink-vulnerability.json``: in trials of equal length,
vocabularies of 1,000 came last); most weights means that the bytes are used."""


def _empty_space() -> BudgetError:
    remedy = "Allow a value of each size, heads that divide a hidden size, and an intermediate size within its limit."
    return BudgetError("the search space is empty.", remedy=remedy)


@dataclass(frozen=True)
class SearchResult:
    """An architecture that a search chose.

    Attributes:
        architecture: its sizes.
        precision: how its weights are stored.
        bytes: predicted size on disk of the whole artifact (``PaperProblem``: of the fp32 weights).
        gflops: 10^9 FLOPs of one forward pass (``PaperProblem``: by the paper's count).
        fitness: the value that was maximized.
        latency_ms: predicted milliseconds of one forward pass; ``None`` without a latency model.
        seconds: time the search took.
        method: ``exact`` or ``genetic``.
    """

    architecture: Architecture
    precision: str
    bytes: int
    gflops: float
    fitness: float
    latency_ms: float | None
    seconds: float
    method: str

    def as_dict(self) -> dict[str, Any]:
        """Field name -> plain JSON value, in the order of the JSON contract."""
        return asdict(self)


@dataclass(frozen=True)
class Evaluation:
    """Scores of architectures: arrays that broadcast to the architectures' shape.

    Attributes:
        objective: to be maximized.
        excess: how far limits (including the space's) are exceeded, relative to each limit; 0 where all are met.
    """

    objective: FloatArray
    excess: FloatArray


class Problem(Protocol):
    """The interface of a search problem."""

    @property
    def space(self) -> SearchSpace:
        """Where to search."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """The precisions to choose from."""

    def evaluate(self, sizes: Architectures, precision: str) -> Evaluation:
        """Objective and excess of ``sizes`` stored at ``precision``."""

    def result(self, architecture: Architecture, precision: str, seconds: float, method: str) -> SearchResult:
        """The result for an architecture, with its costs."""

    def infeasible(self) -> BudgetError:
        """Why nothing in the space meets the limits."""


@dataclass(frozen=True)
class SearchProblem:
    """Search for the best student within a budget.

    Attributes:
        budget_bytes: maximum bytes on disk of the whole artifact.
        space: where to search.
        precisions: how weights may be stored. No objective accounts for rounding errors, so of several the smallest
            wins; search one at a time to compare them by distillation.
        objective: a name in :data:`OBJECTIVES`.
        shape: classes, arity and positions of the student.
        tokens: input length for FLOPs and milliseconds, excluding data-flow nodes.
        max_ms: maximum milliseconds of one forward pass; needs a latency model for each of ``precisions``.
        latency: precision -> latency model.
        tokenizer_bytes: measured sizes of tokenizers by vocabulary; estimated by default.

    Raises:
        UserError: an unknown name, an input longer than the position table, or ``max_ms`` without a latency model.
    """

    budget_bytes: int
    space: SearchSpace = DEFAULT_SPACE
    precisions: tuple[str, ...] = ("int8",)
    objective: str = DEFAULT_OBJECTIVE
    shape: StudentShape = field(default_factory=StudentShape)
    tokens: int = 400
    max_ms: float | None = None
    latency: Mapping[str, LatencyModel] = field(default_factory=dict)
    tokenizer_bytes: TokenizerBytes | None = None

    def __post_init__(self) -> None:
        _require_known("objective", self.objective, OBJECTIVES)
        for precision in self.precisions:
            _require_known("precision", precision, PRECISIONS)
            if self.max_ms is not None and precision not in self.latency:
                raise UserError(
                    f"a limit of {self.max_ms:g} ms needs a latency model for {precision}.",
                    where="max_ms",
                    remedy="Calibrate one on this machine, or leave the limit out.",
                )
        if not min(1, self.shape.positions) <= self.tokens <= self.shape.positions:
            raise UserError(
                f"{self.tokens} is not between 1 and the student's {self.shape.positions} positions.",
                where="--tokens",
                remedy=f"Choose at most {self.shape.positions}.",
            )

    @property
    def places(self) -> int:
        """Positions that the layers compute on: tokens and data-flow nodes."""
        return self.tokens + self.shape.nodes

    def bytes(self, sizes: Sizes[Count], precision: str) -> Count:
        """Bytes on disk of the artifact."""
        return artifact_bytes(sizes, precision, self.shape, self.tokenizer_bytes)

    def evaluate(self, sizes: Architectures, precision: str) -> Evaluation:
        """The chosen objective, and the excess over the limits in bytes and milliseconds."""
        excess = np.maximum(self.bytes(sizes, precision) / max(self.budget_bytes, 1) - 1, 0)
        excess = excess + self.space.excess(sizes)
        if self.max_ms is not None:
            excess = excess + np.maximum(self.latency[precision].predict(sizes, self.places) / self.max_ms - 1, 0)
        return Evaluation(OBJECTIVES[self.objective](sizes, self, precision), excess)

    def result(self, architecture: Architecture, precision: str, seconds: float, method: str) -> SearchResult:
        """``architecture`` with its bytes on disk, FLOPs, value of the objective and predicted milliseconds."""
        model = self.latency.get(precision)
        return SearchResult(
            architecture=architecture,
            precision=precision,
            bytes=self.bytes(architecture, precision),
            gflops=1e-9 * flops(architecture, self.tokens, self.shape),
            fitness=OBJECTIVES[self.objective](Architectures.of([architecture]), self, precision).item(),
            latency_ms=None if model is None else model.predict(architecture, self.places),
            seconds=seconds,
            method=method,
        )

    def infeasible(self) -> BudgetError:
        """An error that names the smallest artifact if none fits the bytes, else the fastest of those that fit."""
        if not len(self.space):
            return _empty_space()
        smallest = min(_extremes(self, lambda sizes, precision: np.asarray(self.bytes(sizes, precision), float)))
        size, architecture, precision = smallest
        if not np.isfinite(size):
            return _empty_space()
        if size > self.budget_bytes or self.max_ms is None:
            return BudgetError(
                f"nothing fits {self.budget_bytes:,} bytes: the smallest possible artifact takes {size:,.0f} bytes "
                f"({architecture}, {precision}).",
                remedy="Raise the budget, or allow a smaller precision.",
            )
        milliseconds, architecture, precision = min(_extremes(self, self._milliseconds_within_bytes))
        return BudgetError(
            f"nothing within {self.budget_bytes:,} bytes runs in {self.max_ms:g} ms at {self.tokens} tokens: the "
            f"fastest possible takes {milliseconds:.3g} ms ({architecture}, {precision}).",
            remedy="Raise the limit in milliseconds, or shorten the input.",
        )

    def _milliseconds_within_bytes(self, sizes: Architectures, precision: str) -> FloatArray:
        fits = self.bytes(sizes, precision) <= self.budget_bytes
        milliseconds: FloatArray = np.where(fits, self.latency[precision].predict(sizes, self.places), np.inf)
        return milliseconds


@dataclass(frozen=True)
class PaperProblem:
    """The paper's search: its fitness, around a soft target of ``megabytes`` (10^6 bytes, fp32), over its space."""

    megabytes: float
    space: SearchSpace = PAPER_SPACE
    precisions: tuple[str, ...] = ("fp32",)

    def evaluate(self, sizes: Architectures, precision: str) -> Evaluation:
        """The paper's fitness; there are no limits."""
        return Evaluation(paper_fitness(sizes, self.megabytes), np.zeros(()))

    def result(self, architecture: Architecture, precision: str, seconds: float, method: str) -> SearchResult:
        """``architecture`` with the paper's bytes, GFLOPs and fitness."""
        return SearchResult(
            architecture=architecture,
            precision=precision,
            bytes=4 * paper_parameters(architecture),
            gflops=1e-9 * paper_flops(architecture),
            fitness=paper_fitness(architecture, self.megabytes),
            latency_ms=None,
            seconds=seconds,
            method=method,
        )

    def infeasible(self) -> BudgetError:
        """With a soft target, only an empty space is infeasible."""
        return _empty_space()

    def require_reachable(self) -> None:
        """Refuse a target smaller than every architecture of the space.

        Raises:
            BudgetError: the message names the smallest architecture.
        """
        size, architecture, _ = min(
            _extremes(self, lambda sizes, _: np.asarray(4 * paper_parameters(sizes), np.float64))
        )
        if size > 1e6 * self.megabytes:
            raise BudgetError(
                f"nothing in the paper's space fits {1e6 * self.megabytes:,.0f} bytes: the smallest takes {size:,.0f} "
                f"bytes ({architecture}, fp32).",
                remedy="Raise the target.",
            )


def _extremes(
    problem: Problem, cost: Callable[[Architectures, str], FloatArray]
) -> list[tuple[float, Architecture, str]]:
    """The minimum ``cost`` for each precision and number of layers, with its architecture.

    Architectures excluded by the space's own limit have infinite cost.
    """
    found = []
    for precision in problem.precisions:
        for mesh in problem.space.meshes():
            allowed = problem.space.excess(mesh) == 0
            costs = np.broadcast_to(np.where(allowed, cost(mesh, precision), np.inf), mesh.shape)
            found.append((float(costs.min()), mesh.at(int(costs.argmin())), precision))
    return found


Objective = Callable[[Architectures, SearchProblem, str], FloatArray]
"""``(architectures, problem, precision) -> values to maximize``."""


def _gflops(sizes: Architectures, problem: SearchProblem, precision: str) -> FloatArray:
    """GFLOPs of a forward pass, the paper's proxy for capacity, without operations that inference skips."""
    return np.asarray(1e-9 * flops(sizes, problem.tokens, problem.shape), np.float64)


def _parameters(sizes: Architectures, problem: SearchProblem, precision: str) -> FloatArray:
    """Number of weights."""
    return np.asarray(parameters(sizes, problem.shape), np.float64)


def _fitness(sizes: Architectures, problem: SearchProblem, precision: str) -> FloatArray:
    """The paper's fitness, with the artifact's bytes instead of 4 bytes per parameter."""
    missing = 1e-6 * np.abs(problem.bytes(sizes, precision) - problem.budget_bytes)
    return np.asarray(1e-9 * paper_flops(sizes) - missing, np.float64)


OBJECTIVES: Mapping[str, Objective] = {"gflops": _gflops, "parameters": _parameters, "fitness": _fitness}
"""Objective name -> function."""


def _require_known(what: str, name: str, table: Mapping[str, object]) -> None:
    if name not in table:
        raise UserError(
            f"there is no {what} '{name}'.", where=f"--{what}", remedy=f"Choose one of: {', '.join(table)}."
        )
