"""Scores of a classifier: accuracy, precision, recall, F1, MCC and the confusion matrix, with 95 % intervals.

Accuracy is a proportion and has Wilson's interval, which does not collapse where every example is right (as the
bootstrap's would, since no resample has an error); F1 and MCC have percentile bootstrap intervals. If resamples hardly
vary, as with one example, those would collapse to a point, which claims certainty: the F1 of a class then has the
interval of :func:`f1_interval`, and MCC and macro averages have none.

Where a denominator is zero, precision, recall and F1 of a class are 0, and MCC is 0 (as when all predictions, or all
labels, are one class). Macro averages run over the classes that occur among the labels or the predictions. These are
scikit-learn's conventions with ``zero_division=0``. Measures that are 0 only by convention are listed in
:attr:`ClassificationScores.undefined` and shown as undefined.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lilliput.errors import DataError
from lilliput.evaluate.intervals import wilson

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CELLS_AT_ONCE = 4_000_000  # bounds a batch of resampled matrices to 32 MB


@dataclass(frozen=True)
class ClassificationScores:
    """How well predictions match labels.

    Attributes:
        n: examples scored.
        accuracy: fraction of equal labels, 0 to 1.
        f1: of the positive class, or the macro average, 0 to 1.
        precision: likewise.
        recall: likewise.
        mcc: Matthews correlation coefficient, -1 to 1 (its multi-class form for more than two classes).
        confusion: shape ``[C, C]``: how many examples of class ``row`` were predicted as class ``column``.
        intervals: ``accuracy``, ``f1`` and ``mcc`` -> the 95 % interval ``(low, high)``; ``None`` if resamples hardly
            vary, so that nothing tells how much other examples would.
        undefined: those of ``f1``, ``precision``, ``recall`` and ``mcc`` whose denominator is zero and which are 0 by
            convention; macro averages are never among them.
    """

    n: int
    accuracy: float
    f1: float
    precision: float
    recall: float
    mcc: float
    confusion: Ints
    intervals: Mapping[str, tuple[float, float] | None]
    undefined: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the confusion matrix."""
        names = ("n", "accuracy", "f1", "precision", "recall", "mcc")
        intervals = {name: None if pair is None else list(pair) for name, pair in self.intervals.items()}
        scores = {name: getattr(self, name) for name in names}
        return {**scores, "intervals": intervals, "undefined": list(self.undefined)}


def score(
    labels: ArrayLike,
    predictions: ArrayLike,
    classes: int,
    positive: int | None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> ClassificationScores:
    """Score ``predictions`` against ``labels``.

    Args:
        labels: shape ``[n]``, class indices.
        predictions: shape ``[n]``, class indices.
        classes: how many classes there are, C.
        positive: the positive class of precision, recall and F1; ``None``: their macro average.
        resamples: bootstrap resamples over examples, for F1 and MCC.
        seed: of the resampling.

    Raises:
        DataError: no examples, arrays of different lengths, or an index outside ``0 .. C-1``.
    """
    confusion = confusion_matrix(labels, predictions, classes)
    measures = _measures(confusion[np.newaxis], positive)
    resampled = [_measures(batch, positive) for batch in _bootstrap(confusion, resamples, seed)]

    def interval(name: str) -> tuple[float, float] | None:
        low, high = np.quantile(np.concatenate([batch[name] for batch in resampled]), (0.025, 0.975))
        if low < high:
            return float(low), float(high)
        return f1_interval(confusion, positive) if name == "f1" and positive is not None else None

    n = int(confusion.sum())
    accuracy = wilson(int(np.trace(confusion)), n)
    return ClassificationScores(
        n=n,
        confusion=confusion,
        intervals={"accuracy": (accuracy.low, accuracy.high), "f1": interval("f1"), "mcc": interval("mcc")},
        undefined=_undefined(confusion, positive),
        **{name: float(values[0]) for name, values in measures.items()},
    )


def f1_interval(confusion: Ints, positive: int) -> tuple[float, float] | None:
    """The 95 % interval of a class's F1 from that of a proportion, which has a width even if F1 is 0 or 1.

    Of the examples that are of the class by label or by prediction, J are so by both: a proportion, with Wilson's
    interval; and F1 is 2 J / (1 + J), which rises with J.

    Args:
        confusion: ``[C, C]``.
        positive: the class.

    Returns:
        Both ends; ``None``: there is no such example, so that F1 is undefined.
    """
    hits = int(confusion[positive, positive])
    either = int(confusion[positive].sum() + confusion[:, positive].sum()) - hits
    if either == 0:
        return None
    share = wilson(hits, either)
    return 2 * share.low / (1 + share.low), 2 * share.high / (1 + share.high)


def _undefined(confusion: Ints, positive: int | None) -> tuple[str, ...]:
    """Measures whose denominator is zero for a confusion matrix ``[C, C]``."""
    actual, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    empty = {"mcc": max(actual.max(), predicted.max()) == confusion.sum()}
    if positive is not None:
        empty |= {"precision": predicted[positive] == 0, "recall": actual[positive] == 0}
        empty["f1"] = empty["precision"] and empty["recall"]
    return tuple(name for name in ("f1", "precision", "recall", "mcc") if empty.get(name))


def confusion_matrix(labels: ArrayLike, predictions: ArrayLike, classes: int) -> Ints:
    """Count, shape ``[C, C]``, how many examples of class ``row`` were predicted as class ``column``."""
    truth, guess = np.asarray(labels), np.asarray(predictions)
    if truth.shape != guess.shape or truth.ndim != 1:
        raise DataError(
            f"there are labels of shape {list(truth.shape)} and predictions of shape {list(guess.shape)}.",
            remedy="Give one label and one prediction per example.",
        )
    if truth.size == 0:
        raise DataError("there are no examples to score.", remedy="Give at least one labelled example.")
    for name, values in (("label", truth), ("prediction", guess)):
        outside = np.flatnonzero((values < 0) | (values >= classes))
        if outside.size:
            raise DataError(
                f"example {outside[0]} has the {name} {values[outside[0]]}, outside 0 .. {classes - 1}.",
                remedy="Only labelled examples can be scored: leave out those without a label (-1).",
            )
    cells = truth.astype(np.int64) * classes + guess.astype(np.int64)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def _bootstrap(confusion: Ints, resamples: int, seed: int) -> Iterator[Ints]:
    """Yield batches ``[r, C, C]`` of confusion matrices of ``resamples`` bootstrap samples.

    Drawing n examples with replacement and counting them per cell is one multinomial draw over the cells, so no
    individual example is drawn (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 6).
    """
    random = np.random.default_rng(seed)
    occupied = np.flatnonzero(confusion)
    counts = confusion.ravel()[occupied]
    n = int(counts.sum())
    batch = max(1, _CELLS_AT_ONCE // confusion.size)
    for start in range(0, resamples, batch):
        size = min(batch, resamples - start)
        matrices = np.zeros((size, confusion.size), dtype=np.int64)
        matrices[:, occupied] = random.multinomial(n, counts / n, size=size)
        yield matrices.reshape(size, *confusion.shape)


def _measures(confusions: Ints, positive: int | None) -> dict[str, Floats]:
    """Measure name -> shape ``[r]``, over confusion matrices ``[r, C, C]``."""
    matrices = confusions.astype(np.float64)
    hits = np.diagonal(matrices, axis1=1, axis2=2)  # [r, C]
    actual, predicted = matrices.sum(axis=2), matrices.sum(axis=1)
    total = actual.sum(axis=1)

    def over_classes(values: Floats) -> Floats:
        """The positive class's column, or the mean over the classes that occur."""
        if positive is not None:
            return values[:, positive]
        occurs = actual + predicted > 0
        return np.asarray(np.where(occurs, values, 0.0).sum(axis=1) / occurs.sum(axis=1))

    return {
        "accuracy": hits.sum(axis=1) / total,
        "f1": over_classes(_ratio(2 * hits, actual + predicted)),
        "precision": over_classes(_ratio(hits, predicted)),
        "recall": over_classes(_ratio(hits, actual)),
        "mcc": _mcc(hits.sum(axis=1), total, actual, predicted),
    }


def _mcc(correct: Floats, total: Floats, actual: Floats, predicted: Floats) -> Floats:
    """Multi-class Matthews correlation; for two classes, the usual coefficient.

    Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004.
    """
    covariance = correct * total - (actual * predicted).sum(axis=1)
    spread = (total**2 - (predicted**2).sum(axis=1)) * (total**2 - (actual**2).sum(axis=1))
    return _ratio(covariance, np.sqrt(spread))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Elementwise quotient, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
