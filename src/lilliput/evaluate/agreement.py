"""Agreement between two classifiers, and calibration of a classifier's confidence.

A student distilled from a teacher should give the teacher's labels, above all where the teacher is confident; and its
probabilities, once scaled by a temperature, should match how often it is right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lilliput.errors import DataError
from lilliput.evaluate.intervals import Estimate, percentile_ends, wilson

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def label_agreement(first: ArrayLike, second: ArrayLike) -> Estimate:
    """The fraction of examples to which two classifiers give the same label; both of shape ``[n]``.

    Raises:
        DataError: no examples, or arrays of different lengths.
    """
    one, other = np.asarray(first), np.asarray(second)
    _check_lengths(len(one), len(other))
    return wilson(int((one == other).sum()), len(one))


def confident_agreement(reference: ArrayLike, predictions: ArrayLike, confidence: float = 0.9) -> Estimate | None:
    """Label agreement on the examples where the reference is confident.

    Args:
        reference: shape ``[n, C]``, the reference classifier's (the teacher's) probabilities.
        predictions: shape ``[n]``, the labels of the other.
        confidence: the least top probability that counts as confident.

    Returns:
        The agreement over the confident examples (``n`` of them); ``None`` where there are none.

    Raises:
        DataError: no examples, or arrays of different lengths.
    """
    probabilities, labels = _scored(reference, predictions)
    sure = probabilities.max(axis=1) >= confidence
    if not sure.any():
        return None
    return label_agreement(probabilities[sure].argmax(axis=1), labels[sure])


def calibration_error(
    probabilities: ArrayLike, labels: ArrayLike, bins: int = 15, resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Expected calibration error: the mean gap between confidence and accuracy over equal-width bins of confidence.

    ``sum over bins of |bin| / n * |accuracy(bin) - confidence(bin)|``, bin m being ``((m-1)/bins, m/bins]``.
    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3. The interval is the
    percentile bootstrap's over examples. Resampling increases the error of a well calibrated classifier, whose interval
    therefore lies above the value. If resamples do not vary, as with one example, see
    :func:`~lilliput.evaluate.intervals.percentile_ends`.

    Args:
        probabilities: shape ``[n, C]``.
        labels: shape ``[n]``, the true classes.
        bins: of equal width between 0 and 1.
        resamples: of the bootstrap.
        seed: of the resampling.

    Raises:
        DataError: no examples, or arrays of different lengths.
    """
    given, truth = _scored(probabilities, labels)
    confidence = given.max(axis=1)
    gap = confidence - (given.argmax(axis=1) == truth)
    edges = np.arange(1, bins) / bins
    place = np.searchsorted(edges, confidence, side="left")
    n = len(truth)

    def error(rows: Ints) -> float:
        return float(np.abs(np.bincount(place[rows], weights=gap[rows])).sum() / n)

    random = np.random.default_rng(seed)
    value = error(np.arange(n))
    low, high = percentile_ends(value, np.array([error(random.integers(n, size=n)) for _ in range(resamples)]), n)
    return Estimate(value, max(low, 0.0), min(high, 1.0), n)


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Probabilities ``[..., C]`` of ``logits / temperature``."""
    return np.exp(_log_softmax(np.asarray(logits, dtype=np.float64) / temperature))


def negative_log_likelihood(logits: ArrayLike, labels: ArrayLike, temperature: float = 1.0) -> float:
    """Mean over examples of ``-log softmax(logits / temperature)[label]``, in nats."""
    scores, truth = _scored(logits, labels)
    return float(-_log_softmax(scores / temperature)[np.arange(len(truth)), truth].mean())


def fit_temperature(logits: ArrayLike, labels: ArrayLike, low: float = 0.05, high: float = 20.0) -> float:
    """Find the temperature between ``low`` and ``high`` that minimizes the negative log likelihood of ``labels``.

    The loss is convex in the inverse temperature b; its derivative is the mean of ``E[z] - z_label``, with E over
    ``softmax(b z)``, and its zero is found by bisection. Where the loss is monotonic over the whole range, as for
    logits that are never wrong, the end of the range with the smaller loss is returned.
    Source: Guo et al., ICML 2017, section 4.2.

    Args:
        logits: shape ``[n, C]``.
        labels: shape ``[n]``, the true classes.
        low: smallest temperature considered.
        high: largest.

    Raises:
        DataError: no examples, or arrays of different lengths.
    """
    scores, truth = _scored(logits, labels)
    chosen = scores[np.arange(len(truth)), truth].mean()

    def slope(inverse: float) -> float:
        expected = (softmax(scores * inverse) * scores).sum(axis=1).mean()
        return float(expected - chosen)

    flat, steep = 1 / high, 1 / low
    if slope(flat) >= 0:
        return high
    if slope(steep) <= 0:
        return low
    while steep - flat > 1e-9 * steep:
        middle = (flat + steep) / 2
        if slope(middle) < 0:
            flat = middle
        else:
            steep = middle
    return 2 / (flat + steep)


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _scored(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, Ints]:
    """Both as arrays, ``[n, C]`` and ``[n]``."""
    values, classes = np.asarray(scores, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    _check_lengths(len(values), len(classes))
    return values, classes


def _check_lengths(first: int, second: int) -> None:
    if first != second:
        raise DataError(
            f"one side has {first} examples, the other {second}.", remedy="Compare two results on the same examples."
        )
    if first == 0:
        raise DataError("there are no examples to compare.", remedy="Give at least one example.")
