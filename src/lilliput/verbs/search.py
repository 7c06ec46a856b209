"""``search``: find the architecture to train within a budget of bytes and milliseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real

from lilliput.data_flow import MOST_NODES
from lilliput.errors import UserError, refuse_unused, require_whole
from lilliput.progress import Progress
from lilliput.search import (
    DEFAULT_OBJECTIVE,
    DEFAULT_SPACE,
    OBJECTIVES,
    PaperProblem,
    Problem,
    SearchProblem,
    SearchResult,
    SearchSpace,
    StudentShape,
    exact_search,
    genetic_search,
)
from lilliput.search.cost import TokenizerBytes
from lilliput.verbs.latency import flow_ms, grams_ms, latency_model

METHODS = {
    "exact": lambda problem, seed: exact_search(problem),
    "genetic": lambda problem, seed: genetic_search(problem, seed=seed),
}
"""``--method`` -> search."""

DEFAULT_LATENCY_MS = 3.0
"""Default latency limit on one thread at 400 tokens: about 1/200 of CodeBERT's."""

DEFAULT_PRECISIONS = ("int8",)

DEFAULT_TOKENS = 400


def search(
    size: int,
    latency_ms: float | None = DEFAULT_LATENCY_MS,
    *,
    precisions: str | Sequence[str] = DEFAULT_PRECISIONS,
    method: str = "exact",
    objective: str = DEFAULT_OBJECTIVE,
    paper: bool = False,
    tokens: int = DEFAULT_TOKENS,
    arity: int = 1,
    classes: int = 2,
    data_flow: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
) -> SearchResult:
    """Find the best architecture whose artifact takes at most ``size`` bytes and ``latency_ms`` milliseconds.

    Args:
        size: bytes of the whole artifact, tokenizer and manifest included (``paper``: of the fp32 weights, a target).
        latency_ms: latency limit on one thread, batch 1, from the model calibrated on this machine; ``None``: no limit.
        precisions: one or more allowed weight formats.
        method: ``exact`` scores every architecture; ``genetic`` is the paper's algorithm.
        objective: what to maximize; a name in :data:`lilliput.search.OBJECTIVES`.
        paper: use the paper's space, fitness and fp32 bytes. Options that the paper does not have (latency, precisions,
            tokens, pairs, data flow) are refused with it.
        tokens: input length for latency and FLOPs.
        arity: functions per example, 1 or 2.
        classes: output logits.
        data_flow: maximum number of data-flow nodes that the layers see besides the tokens. The latency includes what
            they add to a pass, but not the time to find them, which depends on the functions (``shrink`` includes it).
        seed: seed of the genetic algorithm only.
        progress: shown during the calibration.

    Raises:
        UserError: an argument is out of range.
        BudgetError: nothing fits; the message says how small or how fast the space can get.
    """
    if method not in METHODS:
        raise UserError(f"no method '{method}'.", where="--method", remedy=f"Choose one of: {', '.join(METHODS)}.")
    if arity not in (1, 2):
        raise UserError(f"{arity!r} is not an arity.", where="arity", remedy="Give 1, or 2 for pairs of functions.")
    require_whole(classes, 2, "classes")
    refuse_unused({"--seed": (method == "exact" and seed != 0, "goes with --method genetic")})
    precisions = (precisions,) if isinstance(precisions, str) else tuple(precisions)
    problem: Problem
    if paper:
        given = {
            "--latency": latency_ms not in (None, DEFAULT_LATENCY_MS),  # the paper has no limit
            "--precision": precisions != DEFAULT_PRECISIONS,
            "--objective": objective != DEFAULT_OBJECTIVE,
            "--tokens": tokens != DEFAULT_TOKENS,
            "--pairs": arity != 1,
            "classes": classes != 2,
            "--data-flow": data_flow != 0,
        }
        refuse_unused({option: (is_given, "does not go with --paper") for option, is_given in given.items()})
        problem = PaperProblem(_positive(size, "--size", "bytes") / 1e6)
        problem.require_reachable()
    else:
        if type(data_flow) is not int or not 0 <= data_flow <= MOST_NODES:
            raise UserError(
                f"{data_flow!r} is not a number of nodes.", where="--data-flow", remedy=f"Give 0 to {MOST_NODES}."
            )
        shape = StudentShape(classes=classes, arity=arity, nodes=data_flow)
        problem = search_problem(size, latency_ms, precisions, objective, shape, tokens=tokens, progress=progress)
    return METHODS[method](problem, seed)


def search_problem(
    size: int,
    latency_ms: float | None,
    precisions: Sequence[str],
    objective: str,
    shape: StudentShape,
    *,
    tokens: int = DEFAULT_TOKENS,
    tokenizer_bytes: TokenizerBytes | None = None,
    space: SearchSpace = DEFAULT_SPACE,
    reading_ms: float = 0.0,
    progress: Progress | None = None,
) -> SearchProblem:
    """The search problem with this machine's latency models, which are measured now if not cached.

    Args:
        size: bytes of the whole artifact.
        latency_ms: latency limit on one thread; ``None``: no limit.
        precisions: names in :data:`~lilliput.formats.precision.PRECISIONS`.
        objective: name in :data:`OBJECTIVES`.
        shape: shape of the task: classes, functions per example, inputs besides tokens.
        tokens: input length for the latency.
        tokenizer_bytes: size of a tokenizer by its vocabulary; ``None``: an estimate.
        space: architectures to search.
        reading_ms: time to prepare a function's input beyond tokenizing it; it counts towards the latency.
        progress: shown while measuring.

    Raises:
        UserError: an argument is out of range.
        BudgetError: nothing fits ``size``.
    """
    if not precisions:
        raise UserError("no precision is allowed.", where="--precision", remedy="Give one at least, such as int8.")
    if latency_ms is not None:
        latency_ms = _positive(latency_ms, "--latency", "milliseconds")
    unmeasured = SearchProblem(
        budget_bytes=int(_positive(size, "--size", "bytes")),
        space=space,
        precisions=tuple(precisions),
        objective=objective,
        shape=shape,
        tokens=tokens,
        tokenizer_bytes=tokenizer_bytes,
    )
    if latency_ms is None:
        return unmeasured
    exact_search(unmeasured)  # fail on an impossible budget before half a minute of measuring
    models = {precision: latency_model(precision, progress=progress) for precision in precisions}
    for grams in filter(None, (shape.grams, shape.linear)):
        models = {name: model.plus(grams_ms(grams, name, tokens)) for name, model in models.items()}
    if shape.nodes:
        models = {name: model.plus(flow_ms(shape.nodes, name, tokens) + reading_ms) for name, model in models.items()}
    return SearchProblem(**{**vars(unmeasured), "max_ms": latency_ms, "latency": models})


def _positive(value: float, where: str, unit: str) -> float:
    """``value``, which must be a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
        raise UserError(f"{value!r} is not a valid number of {unit}.", where=where, remedy="Give a number above 0.")
    return value


__all__ = ["DEFAULT_LATENCY_MS", "METHODS", "OBJECTIVES", "search", "search_problem"]
