"""A student's linear model: one weight per n-gram, or one per n-gram and class, fitted to convergence.

Logistic regression on the labels, the teacher's probabilities, or both, with an L2 penalty (ridge: le Cessie and van
Houwelingen 1992). The loss is convex, so L-BFGS finds its minimum whatever the seed. Near-twins
(:mod:`lilliput.distill.twins`) add a pairwise loss: which of two functions has which label, judged by what differs
between them, as in a matched case-control study (conditional logistic regression, Breslow et al. 1978) and RankNet
(Burges et al. 2005).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lilliput.distill.convex import minimize
from lilliput.distill.lesson import Lesson
from lilliput.distill.losses import DistillationMix, hard_loss, soft_loss
from lilliput.distill.student import Student
from lilliput.distill.twins import near_twins
from lilliput.encoder import linear_width
from lilliput.grams import Grams, Kinds, parsed_as
from lilliput.progress import Progress
from lilliput.training import History

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Linear:
    """Settings of a linear model.

    Attributes:
        order: length of the longest n-gram in tokens; all shorter ones count too.
        bits: the table has ``2 ** bits`` rows, which n-grams share when their hashes collide.
        l2: half of this times the squared weights is added to the sum of the losses.
        twins: two functions with different labels are twins if they share this fraction of their n-grams (Jaccard
            index); 0: no twins.
    """

    order: int = 2
    bits: int = 18
    l2: float = 0.1
    twins: float = 0.7

    def __post_init__(self) -> None:
        Grams(self.order, self.bits, 1)
        if not 0 < self.l2 < float("inf"):
            raise ValueError(f"'l2' must be above 0, not {self.l2!r}")
        if not (self.twins == 0 or 0.1 <= self.twins <= 1):
            raise ValueError(f"'twins' must be 0.1 to 1, or 0 for none, not {self.twins!r}")

    @classmethod
    def parsed(cls, text: str) -> Linear:
        """Parse ``order=2,bits=18,l2=0.1,twins=0.7``; these are also the defaults of omitted settings.

        Raises:
            UserError: the text is something else.
        """
        kinds: Kinds = {"order": int, "bits": int, "l2": float, "twins": float}
        return parsed_as(cls, text, kinds, "linear model", "--linear", "order=2,bits=18")

    def grams(self, classes: int) -> Grams:
        """The model's table."""
        return Grams(self.order, self.bits, linear_width(classes), "root")


def fit_linear(
    student: Student,
    lesson: Lesson,
    mix: DistillationMix,
    linear: Linear,
    *,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Progress | None = None,
) -> History:
    """Fit the linear model of ``student`` in place; if it has a network, the logits of both are averaged from then on.

    Averaging the logits of two different models of one task does better than either (Perrone and Cooper 1993). Fitting
    the network's residuals instead would fit to outputs that are right only on its training data.

    Args:
        student: its config has the table of :meth:`Linear.grams`; its network is not run.
        lesson: training data; its examples are single functions.
        mix: weights of the losses; ``hidden`` is not used.
        linear: the settings.
        checkpoint: file to save progress to; the same call resumes from it.
        fingerprint: identifies everything that determines the result and is not among the arguments.
        progress: shown while working.

    Returns:
        ``epoch``, 1; ``loss``, including the penalty; and ``seconds``.
    """
    progress, began = progress or Progress(), time.monotonic()
    rows = student_rows(student, lesson)
    pairs = _twins(rows, lesson.dataset.labels, linear.twins, progress)
    config, labels, outputs = student.config, torch.from_numpy(lesson.dataset.labels), student.outputs.double()
    table = torch.zeros(student.weight("linear.weight").shape, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(config.classes, dtype=torch.float64, requires_grad=True)
    bags = _Bags(rows, len(table))
    soft = None if lesson.logits is None or mix.soft == 0 else torch.from_numpy(lesson.logits)

    def loss() -> Tensor:
        logits = bags.sums(table) @ outputs.T + bias
        mean = mix.hard * hard_loss(logits, labels)
        if soft is not None:
            mean = mean + mix.soft * soft_loss(logits, soft, mix.temperature)
        if len(pairs):
            mean = mean + twin_loss(logits, labels, pairs).sum() / len(labels)
        return mean + linear.l2 / 2 / len(labels) * table.square().sum()

    identity = f"{fingerprint}|{mix}|{linear}|{config}"
    last = minimize([table, bias], loss, checkpoint, identity, progress)
    with torch.no_grad():
        share = 0.5 if config.network else 1.0
        student.weight("linear.weight").copy_(share * table)
        student.weight("linear.bias").copy_(share * bias)
        for name in ("head.out.weight", "head.out.bias") if config.network else ():
            student.weight(name).mul_(1 - share)
    return {"epoch": 1, "loss": last, "seconds": time.monotonic() - began}


def student_rows(student: Student, lesson: Lesson) -> list[Ints]:
    """The table rows that each example's function looks up, shorter n-grams first."""
    hashes = student.hashes["linear"].numpy().astype(np.int64)
    found = []
    for ids in (lesson.tokens.ids[function] for function in lesson.dataset.members[:, 0].tolist()):
        keys = hashes[0, ids]
        lengths = [np.unique(keys)]
        for place in range(1, len(hashes)):
            keys = keys[:-1] ^ hashes[place, ids[place:]]
            lengths.append(np.unique(keys))
        found.append(np.concatenate(lengths))
    return found


def twin_loss(logits: Tensor, labels: Tensor, pairs: Ints) -> Tensor:
    """``-log`` of the probability that two functions have their own labels rather than each other's.

    Args:
        logits: ``[n, classes]``.
        labels: ``[n]``.
        pairs: ``[pairs, 2]`` rows of ``logits`` and ``labels``.

    Returns:
        ``[pairs]``; independent of what the functions have in common, including the bias.
    """
    first, second = torch.from_numpy(pairs).unbind(1)
    own, other = labels[first], labels[second]

    def leaning(rows: Tensor) -> Tensor:
        return logits[rows, own] - logits[rows, other]

    return functional.softplus(leaning(second) - leaning(first))


def _twins(rows: Sequence[Ints], labels: Ints, least: float, progress: Progress) -> Ints:
    if not least:
        return np.zeros((0, 2), np.int64)
    with progress.track("looking for near-twins", len(rows)) as advance:
        pairs = near_twins([np.unique(held) for held in rows], labels, least, advance)
    progress.note(f"{len(pairs):,} pairs of near-twins with different labels")
    return pairs


class _Bags:
    """Bags of table rows, of which only sums are needed.

    Written with numpy: torch's embedding bag takes 20 times as long for the gradient of narrow tables (ad-hoc run).
    """

    def __init__(self, rows: Sequence[Ints], height: int) -> None:
        self.counts = np.array([len(held) for held in rows])
        self.flat, self.height = np.concatenate(rows), height
        self.starts = np.cumsum(self.counts) - self.counts
        self.weights = np.repeat(self.counts**-0.5, self.counts)

    def sums(self, table: Tensor) -> Tensor:
        """The sum of each bag's rows divided by the root of their number, ``[bags, width]``."""
        summed = _Sums.apply(table, self)  # type: ignore[no-untyped-call]
        assert isinstance(summed, Tensor)
        return summed


class _Sums(torch.autograd.Function):
    """:meth:`_Bags.sums`, with its gradient."""

    @staticmethod
    def forward(context: Any, table: Tensor, bags: _Bags) -> Tensor:
        context.bags = bags
        columns = table.detach().numpy().T
        sums = [np.add.reduceat(column[bags.flat] * bags.weights, bags.starts) for column in columns]
        return torch.from_numpy(np.stack(sums, 1))

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        bags, (gradient,) = context.bags, gradients
        columns = [np.repeat(column, bags.counts) * bags.weights for column in gradient.numpy().T]
        return torch.from_numpy(np.stack([np.bincount(bags.flat, c, bags.height) for c in columns], 1)), None
