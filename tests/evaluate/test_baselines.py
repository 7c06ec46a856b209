"""Baselines on synthetic code whose answer is known, and on Devign if available."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.data.dataset import Dataset
from lilliput.errors import DataError
from lilliput.evaluate.baselines import TOKEN, best_threshold, majority, token_logistic, token_overlap

pytest.importorskip("sklearn", reason="needs scikit-learn (extra evaluate)")

SHARED = Path(os.environ.get("LILLIPUT_SHARED", Path(__file__).parents[3] / "shared"))


def functions(n, seed=0, classes=2):
    """Functions of random names, in which a single call gives away the class."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    calls = ("strcpy", "memmove", "snprintf")
    texts = tuple(
        f"int f{i}(char *a) {{ x{random.integers(20)} = {random.integers(9)}; {calls[label]}(a); return 0; }}"
        for i, label in enumerate(labels)
    )
    return Dataset(texts, np.arange(n)[:, None], labels, tuple(f"class {c}" for c in range(classes)))


def pairs(n, seed=0):
    """Pairs of functions over random tokens; clones share five of six tokens."""
    random = np.random.default_rng(seed)
    texts, labels = [], np.arange(n) % 2
    for label in labels:
        first = random.integers(1000, size=6)
        second = np.where(np.arange(6) < 5, first, 0) if label else random.integers(1000, size=6)
        texts += [" ".join(f"t{token}" for token in tokens) for tokens in (first, second)]
    return Dataset(tuple(texts), np.arange(2 * n).reshape(n, 2), labels, ("different", "clone"))


def test_majority_is_that_of_the_training_data_if_given():
    ours = majority([1, 1, 0, -1, -1, -1], [0, 0, 0, 1], classes=2, positive=1)
    assert ours.predictions.tolist() == [1, 1, 1, 1]
    assert ours.scores.accuracy == 0.25
    assert ours.fitted_on == "the training data, 3 examples"
    own = majority(None, [0, 0, 0, 1], classes=2, positive=1)
    assert own.scores.accuracy == 0.75
    assert own.fitted_on == "the labels of the data itself"


def test_rejects_a_majority_without_labels():
    with pytest.raises(DataError, match="no labels to count"):
        majority([-1, -1], [0, 1])


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_regression_finds_the_telltale_call(classes):
    train, data = functions(120, seed=1, classes=classes), functions(30, seed=2, classes=classes)
    fitted = token_logistic(train, data)
    assert fitted.scores.accuracy == 1.0
    assert fitted.fitted_on == "the training data, 120 examples"
    crossed = token_logistic(None, train)
    assert crossed.scores.accuracy > 0.95
    assert crossed.fitted_on == "the data itself, 5-fold cross-validated"
    assert crossed.scores.n == len(crossed.predictions) == 120


def test_logistic_regression_matches_scikit_learn():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    random = np.random.default_rng(3)
    train, data = functions(80, seed=1), functions(40, seed=2)
    noisy = Dataset(train.texts, train.members, random.integers(0, 2, 80), train.label_names)
    reference = make_pipeline(TfidfVectorizer(token_pattern=TOKEN, lowercase=False), LogisticRegression())
    reference.fit(noisy.texts, noisy.labels)
    assert np.array_equal(token_logistic(noisy, data).predictions, reference.predict(data.texts))


def test_cross_validation_never_sees_the_label_it_predicts():
    """Pure noise can be memorized but not predicted: the cross-validated accuracy must stay near one half."""
    random = np.random.default_rng(0)
    data = functions(400)
    noise = Dataset(data.texts, data.members, random.integers(0, 2, 400), data.label_names)
    assert 0.4 < token_logistic(None, noise).scores.accuracy < 0.6
    assert token_logistic(noise, noise).scores.accuracy > 0.7


def test_logistic_regression_ignores_the_order_of_a_pair():
    train, data = pairs(200, seed=1), pairs(60, seed=2)
    straight = token_logistic(train, data, positive=1)
    swapped = Dataset(data.texts, data.members[:, ::-1], data.labels, data.label_names)
    assert straight.scores.accuracy > 0.9
    assert np.array_equal(straight.predictions, token_logistic(train, swapped, positive=1).predictions)


def test_unlabelled_training_examples_are_ignored():
    train, data = functions(60, seed=1), functions(20, seed=2)
    labels = train.labels.copy()
    labels[40:] = -1
    partly = Dataset(train.texts, train.members, labels, train.label_names)
    ours = token_logistic(partly, data)
    assert ours.fitted_on == "the training data, 40 examples"
    assert np.array_equal(ours.predictions, token_logistic(train.subset(np.arange(40)), data).predictions)


def test_training_on_one_class_predicts_that_class():
    train = functions(20).subset(np.arange(1, 20, 2))
    assert set(token_logistic(train, functions(10)).predictions) == {1}
    assert token_logistic(None, functions(2)).scores.n == 2


def test_token_overlap_separates_pairs_that_share_their_tokens():
    train, data = pairs(100, seed=1), pairs(50, seed=2)
    ours = token_overlap(train, data)
    assert ours.scores.accuracy == 1.0
    assert token_overlap(None, data).scores.accuracy == 1.0


def test_token_overlap_is_the_jaccard_index_of_token_sets():
    texts = ("a b c", "a b d", "b b b a", "x y", "")
    members = np.array([[0, 1], [0, 2], [0, 3], [1, 4], [0, 0]])  # Jaccard indices 2/4, 2/3, 0, 0, 1
    data = Dataset(texts, members, np.array([0, 1, 0, 0, 1]), ("different", "clone"))
    assert token_overlap(data, data).predictions.tolist() == [0, 1, 0, 0, 1]
    stricter = Dataset(texts, members, np.array([0, 0, 0, 0, 1]), ("different", "clone"))
    assert token_overlap(stricter, data).predictions.tolist() == [0, 0, 0, 0, 1]
    looser = Dataset(texts, members, np.array([1, 1, 0, 0, 1]), ("different", "clone"))
    assert token_overlap(looser, data).predictions.tolist() == [1, 1, 0, 0, 1]


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]), st.booleans()), min_size=1, max_size=30))
def test_best_threshold_is_optimal(drawn):
    values, truth = np.array([v for v, _ in drawn]), np.array([t for _, t in drawn])

    def correct(threshold):
        return int(((values >= threshold) == truth).sum())

    assert correct(best_threshold(values, truth)) == max(correct(t) for t in (*values, np.inf))


def test_rejects_data_that_do_not_fit():
    data = functions(10)
    with pytest.raises(DataError, match="token overlap is for pairs of two classes"):
        token_overlap(None, data)
    with pytest.raises(DataError, match=r"has 2 function\(s\).*the same task"):
        token_logistic(pairs(10), data)
    with pytest.raises(DataError, match="no example of the training data has a label"):
        token_logistic(Dataset(data.texts, data.members, np.full(10, -1), data.label_names), data)
    with pytest.raises(DataError, match="example 3 has no label"):
        token_logistic(None, Dataset(data.texts, data.members, np.array([0, 1, 0, -1] + [1] * 6), data.label_names))
    with pytest.raises(DataError, match="no function of the data has a token"):
        token_logistic(None, Dataset((" ", "\n"), np.array([[0], [1]]), np.array([0, 1]), data.label_names))
    with pytest.raises(DataError, match="needs at least two examples"):
        token_logistic(None, data.subset(np.array([0])))


@pytest.mark.skipif(not (SHARED / "data/devign/valid.jsonl.gz").exists(), reason="needs the shared Devign data")
def test_tokens_beat_the_majority_on_devign():
    with gzip.open(SHARED / "data/devign/valid.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    texts, labels = tuple(row["func"] for row in rows), np.array([row["target"] for row in rows])
    data = Dataset(texts, np.arange(len(rows))[:, None], labels, ("clean", "vulnerable"))
    constant, tokens = majority(None, labels, 2, 1), token_logistic(None, data, positive=1)
    assert constant.scores.accuracy == pytest.approx(0.5655, abs=1e-4)
    # Fitted on the training split, the accuracy is 63.9 %; a fold of the 2,732 has an eighth of its examples.
    assert tokens.scores.accuracy > constant.scores.accuracy + 0.01
