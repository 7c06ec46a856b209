"""How closely a student follows its teacher, and how well either is calibrated.

Combines the measures of :mod:`~lilliput.evaluate.agreement`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lilliput.errors import DataError
from lilliput.evaluate.agreement import (
    calibration_error,
    confident_agreement,
    fit_temperature,
    label_agreement,
    negative_log_likelihood,
    softmax,
)
from lilliput.evaluate.intervals import Estimate

CONFIDENT = 0.9
"""Least probability at which a teacher counts as confident."""

BINS = 15
"""Number of equal-width bins of confidence, as in Guo et al. (2017)."""


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error before and after temperature scaling; both on the half not used for fitting.

    Attributes:
        temperature: fitted on one half of the labelled examples; above 1 where a classifier is overconfident.
        fitted_on: examples in that half.
        before: expected calibration error on the other half, 0 to 1.
        after: the same with logits divided by the temperature.
        nll_before: mean negative log likelihood on the other half, in nats.
        nll_after: the same with the temperature.
        bins: of confidence.
    """

    temperature: float
    fitted_on: int
    before: Estimate
    after: Estimate
    nll_before: float
    nll_after: float
    bins: int = BINS


@dataclass(frozen=True)
class Faithfulness:
    """A student compared with its teacher.

    Attributes:
        agreement: share of examples with the same label.
        confident: the same among examples where the teacher's probability is at least ``confidence``; ``None``: none.
        confidence: that probability.
        student: calibration of the student; ``None`` where fewer than two examples are labelled.
        teacher: of the teacher.
    """

    agreement: Estimate
    confident: Estimate | None
    confidence: float
    student: Calibration | None
    teacher: Calibration | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


def calibration(logits: ArrayLike, labels: ArrayLike, seed: int = 0) -> Calibration:
    """Fit a classifier's temperature on a random half of the examples and measure its calibration on the other half.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, sections 2 and 4.2.

    Args:
        logits: shape ``[n, C]``.
        labels: shape ``[n]``, the true classes.
        seed: of the halves.

    Raises:
        DataError: fewer than two examples, an example without a label, or arrays of different lengths.
    """
    scores, truth = np.asarray(logits, np.float64), np.asarray(labels, np.int64)
    if len(scores) != len(truth):
        raise DataError(
            f"there are {len(scores)} rows of logits and {len(truth)} labels.", remedy="Give one of each per example."
        )
    if len(truth) < 2 or (truth < 0).any():
        raise DataError("a temperature needs at least two examples, all labelled.", remedy="Leave out the others.")
    order = np.random.default_rng(seed).permutation(len(truth))
    fitted, held = order[: len(truth) // 2], order[len(truth) // 2 :]
    temperature = fit_temperature(scores[fitted], truth[fitted])
    return Calibration(
        temperature=temperature,
        fitted_on=len(fitted),
        before=calibration_error(softmax(scores[held]), truth[held], BINS, seed=seed),
        after=calibration_error(softmax(scores[held], temperature), truth[held], BINS, seed=seed),
        nll_before=negative_log_likelihood(scores[held], truth[held]),
        nll_after=negative_log_likelihood(scores[held], truth[held], temperature),
    )


def faithfulness(
    logits: ArrayLike, teacher: ArrayLike, labels: ArrayLike, confidence: float = CONFIDENT, seed: int = 0
) -> Faithfulness:
    """Compare a student's logits with its teacher's.

    Args:
        logits: shape ``[n, C]``, the student's.
        teacher: shape ``[n, C]``, the teacher's, columns in the same order.
        labels: shape ``[n]``, the true classes, ``-1`` where there is none.
        confidence: least probability at which the teacher counts as confident.
        seed: of the halves of :func:`calibration`.

    Raises:
        DataError: no examples, or arrays of different lengths.
    """
    ours, theirs, truth = np.asarray(logits, np.float64), np.asarray(teacher, np.float64), np.asarray(labels, np.int64)
    agreement = label_agreement(theirs.argmax(axis=1), ours.argmax(axis=1))
    known = np.flatnonzero(truth >= 0)
    enough = len(known) >= 2
    return Faithfulness(
        agreement=agreement,
        confident=confident_agreement(softmax(theirs), ours.argmax(axis=1), confidence),
        confidence=confidence,
        student=calibration(ours[known], truth[known], seed) if enough else None,
        teacher=calibration(theirs[known], truth[known], seed) if enough else None,
    )
