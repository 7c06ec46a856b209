"""Baselines without a neural model: the scores that a small model has to beat to be worth its bytes.

There are three: the most frequent class; logistic regression on TF-IDF of code tokens; for pairs, the overlap of their
token sets. Each is fitted on the training data if given; otherwise on the data itself, the last two by 5-fold
cross-validation, so that no example is predicted by a model fitted on its own label. ``fitted_on`` says which.

Cost, one thread: about 10 s for 21,854 C functions (44 MB); about 6 s and 0.8 GB for 90,102 pairs over 7,302 Java
functions. Nothing is subsampled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lilliput.data.dataset import Dataset
from lilliput.errors import DataError
from lilliput.evaluate.classification import ClassificationScores, score
from lilliput.extras import require

TOKEN = r"[^\W\d]\w*|\d[\w.]*|[^\w\s]"
"""A code token: an identifier or keyword, a number, or one character of an operator."""

FOLDS = 5

Ints = NDArray[np.int64]
Predictor = Callable[[Any, Ints, Any], Ints]
"""``(features of the training rows, their labels, features of the test rows) -> predicted classes``."""


@dataclass(frozen=True)
class _Baseline:
    """An unfitted baseline: a feature extractor (one row per example), and a predictor fitted on the features."""

    name: str
    features: Callable[[Dataset], Any]
    predict: Predictor


@dataclass(frozen=True)
class BaselineScores:
    """A baseline's predictions and their scores.

    Attributes:
        name: in words.
        fitted_on: what its parameters were fitted on, in words.
        predictions: shape ``[n]``, class indices.
        scores: of the predictions.
    """

    name: str
    fitted_on: str
    predictions: Ints
    scores: ClassificationScores


def majority(
    train_labels: ArrayLike | None, labels: ArrayLike, classes: int = 2, positive: int | None = None
) -> BaselineScores:
    """Predict the most frequent class of ``train_labels`` (of ``labels`` themselves where there are none).

    Args:
        train_labels: shape ``[m]``, class indices; -1 (unlabelled) is skipped.
        labels: shape ``[n]``, the class indices to predict.
        classes: how many classes there are.
        positive: the positive class of F1; ``None``: macro average.

    Raises:
        DataError: there is no label to count.
    """
    truth = np.asarray(labels, dtype=np.int64)
    counted = truth if train_labels is None else np.asarray(train_labels, dtype=np.int64)
    counted = counted[counted >= 0]
    if counted.size == 0:
        raise DataError("there are no labels to count.", remedy="Give labelled examples.")
    guess = np.full(truth.shape, np.bincount(counted, minlength=classes).argmax(), dtype=np.int64)
    fitted_on = "the labels of the data itself" if train_labels is None else _training(counted)
    return BaselineScores("majority class", fitted_on, guess, score(truth, guess, classes, positive))


def token_logistic(train: Dataset | None, data: Dataset, positive: int | None = None) -> BaselineScores:
    """Logistic regression (L2, C=1) on TF-IDF of code tokens.

    A function's vector is its TF-IDF of single tokens, of unit length. A pair's vector concatenates ``|a - b|`` and
    ``min(a, b)``, elementwise, so that the order within a pair does not matter. The vocabulary and its document
    frequencies come from the training functions; in cross-validation, from all functions (labels are not used). A
    function that several pairs share may then occur in both the training and the test fold.

    Raises:
        DataError: the two data sets do not match, an example has no label, or no function has a token.
        MissingExtra: scikit-learn is not installed.
    """
    weighting = require("sklearn.feature_extraction.text")
    linear = require("sklearn.linear_model")
    sparse = require("scipy.sparse")
    train = _checked(train, data)
    texts = (data if train is None else train).texts
    _check_tokens(texts)
    vectorizer = weighting.TfidfVectorizer(token_pattern=TOKEN, lowercase=False).fit(texts)

    def features(of: Dataset) -> Any:
        vectors = vectorizer.transform(of.texts)
        if of.arity == 1:
            return vectors[of.members[:, 0]]
        first, second = vectors[of.members[:, 0]], vectors[of.members[:, 1]]
        return sparse.hstack([abs(first - second), first.minimum(second)], format="csr")

    def predictor(known: Any, labels: Ints, unknown: Any) -> Ints:
        model = linear.LogisticRegression(C=1.0, max_iter=1000).fit(known, labels)
        return np.asarray(model.predict(unknown), dtype=np.int64)

    return _fitted(_Baseline("logistic regression on TF-IDF of tokens", features, predictor), train, data, positive)


def token_overlap(train: Dataset | None, data: Dataset, positive: int = 1) -> BaselineScores:
    """For pairs: call them alike where the Jaccard index of their token sets reaches a threshold.

    The threshold is the one of highest accuracy on the training pairs. ``positive`` is the class of pairs that are
    alike. Two functions without a token have an index of 0.

    Raises:
        DataError: the data are not pairs of two classes, or the two data sets do not match, or an example has no label.
        MissingExtra: scikit-learn is not installed.
    """
    if data.arity != 2 or len(data.label_names) != 2:
        raise DataError(
            f"token overlap is for pairs of two classes; this data has {data.arity} function(s) per example "
            f"and {len(data.label_names)} classes.",
            remedy="Use the other baselines.",
        )
    counting = require("sklearn.feature_extraction.text")
    train = _checked(train, data)

    def features(of: Dataset) -> NDArray[np.float64]:
        _check_tokens(of.texts)
        sets = counting.CountVectorizer(token_pattern=TOKEN, lowercase=False, binary=True, dtype=np.float64)
        present = sets.fit_transform(of.texts)
        first, second = of.members.T
        shared = np.asarray(present[first].multiply(present[second]).sum(axis=1)).ravel()
        sizes = np.asarray(present.sum(axis=1)).ravel()
        return np.asarray(shared / np.maximum(sizes[first] + sizes[second] - shared, 1.0))

    def predictor(known: NDArray[np.float64], labels: Ints, unknown: NDArray[np.float64]) -> Ints:
        alike = unknown >= best_threshold(known, labels == positive)
        return np.where(alike, positive, 1 - positive).astype(np.int64)

    return _fitted(_Baseline("overlap of token sets (Jaccard)", features, predictor), train, data, positive)


def best_threshold(values: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """The threshold ``t`` for which ``values >= t`` agrees most often with ``truth``, both shape ``[n]``.

    It is one of the values, or ``inf`` where ``False`` for all is best.
    """
    order = np.argsort(values, kind="stable")
    ranked, hits = values[order], truth[order]
    # Correct when the first k ranked values fall below the threshold: the negatives among them, the positives after.
    correct = np.concatenate([[0], np.cumsum(~hits)]) + hits.sum() - np.concatenate([[0], np.cumsum(hits)])
    cuts = np.concatenate([ranked, [np.inf]])
    possible = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])  # equal values cannot be separated
    return float(cuts[np.where(possible, correct, -1).argmax()])


def _fitted(baseline: _Baseline, train: Dataset | None, data: Dataset, positive: int | None) -> BaselineScores:
    """Fit on ``train`` and predict ``data``, or cross-validate on ``data`` where there is no ``train``."""
    if train is None:
        guess = _cross_validated(baseline.features(data), data.labels, baseline.predict)
        fitted_on = f"the data itself, {FOLDS}-fold cross-validated"
    else:
        guess = _predict(baseline.predict, baseline.features(train), train.labels, baseline.features(data))
        fitted_on = _training(train.labels)
    scores = score(data.labels, guess, len(data.label_names), positive)
    return BaselineScores(baseline.name, fitted_on, guess, scores)


def _cross_validated(features: Any, labels: Ints, predictor: Predictor) -> Ints:
    """Predict each example's class by a model fitted on the other folds; folds are stratified by class."""
    if len(labels) < 2:
        raise DataError("cross-validation needs at least two examples.", remedy="Give training data.")
    shuffled = np.random.default_rng(0).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[by_class] = np.arange(len(labels)) % FOLDS
    guess = np.empty(len(labels), dtype=np.int64)
    for held_out in np.unique(fold):
        known, unknown = np.flatnonzero(fold != held_out), np.flatnonzero(fold == held_out)
        guess[unknown] = _predict(predictor, features[known], labels[known], features[unknown])
    return guess


def _predict(predictor: Predictor, known: Any, labels: Ints, unknown: Any) -> Ints:
    """Predict by ``predictor``; where training data has a single class, which cannot be fitted, predict that class."""
    seen = np.unique(labels)
    if len(seen) == 1:
        return np.full(unknown.shape[0], seen[0], dtype=np.int64)
    return predictor(known, labels, unknown)


def _checked(train: Dataset | None, data: Dataset) -> Dataset | None:
    """Check that ``data`` can be scored and is of the task of ``train``; return the labelled examples of ``train``."""
    unlabelled = np.flatnonzero(data.labels < 0)
    if unlabelled.size:
        raise DataError(
            f"example {unlabelled[0]} has no label, so no prediction of it can be scored.",
            remedy="Leave out the examples without a label.",
            where=", ".join(data.sources) or None,
        )
    if train is None:
        return None
    if (train.arity, train.label_names) != (data.arity, data.label_names):
        raise DataError(
            f"the training data has {train.arity} function(s) per example and the classes "
            f"{list(train.label_names)}, the data to predict {data.arity} and {list(data.label_names)}.",
            remedy="Give training data of the same task.",
            where=", ".join(train.sources) or None,
        )
    labelled = np.flatnonzero(train.labels >= 0)
    if labelled.size == 0:
        raise DataError(
            "no example of the training data has a label.",
            remedy="Give labelled training data, or none: then the baseline is cross-validated on the data itself.",
            where=", ".join(train.sources) or None,
        )
    return train if labelled.size == len(train) else train.subset(labelled)


def _check_tokens(texts: tuple[str, ...]) -> None:
    if not any(re.search(TOKEN, text) for text in texts):
        raise DataError("no function of the data has a token.", remedy="Check that the text field holds source code.")


def _training(labels: Ints) -> str:
    return f"the training data, {len(labels)} examples"
