"""Scores against scikit-learn, bootstrap intervals against resampled examples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.errors import DataError
from lilliput.evaluate import classification
from lilliput.evaluate.classification import confusion_matrix, f1_interval, score
from lilliput.evaluate.intervals import wilson

metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn (extra evaluate)")

EXACT = 1e-12


def reference(labels, predictions, positive):
    average = {"average": "macro"} if positive is None else {"average": None, "labels": [positive]}
    by_class = {
        name: np.mean(function(labels, predictions, zero_division=0, **average))
        for name, function in (
            ("f1", metrics.f1_score),
            ("precision", metrics.precision_score),
            ("recall", metrics.recall_score),
        )
    }
    return by_class | {
        "accuracy": metrics.accuracy_score(labels, predictions),
        "mcc": metrics.matthews_corrcoef(labels, predictions),
    }


@st.composite
def labelled(draw):
    classes = draw(st.integers(2, 5))
    n = draw(st.integers(1, 60))
    values = st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)
    positive = draw(st.none() | st.integers(0, classes - 1))
    return classes, draw(values), draw(values), positive


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore:A single label was found")
@given(labelled())
def test_every_score_matches_scikit_learn(case):
    classes, labels, predictions, positive = case
    ours = score(labels, predictions, classes, positive, resamples=2)
    for name, expected in reference(labels, predictions, positive).items():
        assert getattr(ours, name) == pytest.approx(expected, abs=EXACT), name
    assert np.array_equal(ours.confusion, metrics.confusion_matrix(labels, predictions, labels=range(classes)))
    assert ours.n == len(labels)


def test_large_counts_do_not_overflow():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 300_000)
    predictions = np.where(random.random(300_000) < 0.8, labels, 1 - labels)
    ours = score(labels, predictions, 2, 1, resamples=10)
    assert ours.mcc == pytest.approx(metrics.matthews_corrcoef(labels, predictions), abs=EXACT)


@given(labelled())
def test_intervals_are_ordered_and_within_the_scores_range(case):
    classes, labels, predictions, positive = case
    ours = score(labels, predictions, classes, positive, resamples=50)
    for name, lowest in (("accuracy", 0.0), ("f1", 0.0), ("mcc", -1.0)):
        if ours.intervals[name] is None:
            continue
        low, high = ours.intervals[name]
        assert low < high
        assert lowest - EXACT <= low <= high <= 1.0 + EXACT


@pytest.mark.parametrize("positive", [1, None])
def test_intervals_match_resampled_examples(positive):
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 400)
    predictions = np.where(random.random(400) < 0.7, labels, random.integers(0, 3, 400))
    ours = score(labels, predictions, 3, positive, resamples=20_000)

    drawn = []
    for _ in range(1500):
        rows = random.integers(400, size=400)
        one = score(labels[rows], predictions[rows], 3, positive, resamples=1)
        drawn.append((one.accuracy, one.f1, one.mcc))
    expected = np.quantile(drawn, (0.025, 0.975), axis=0)
    # 1,500 resamples determine a 2.5 % quantile within about a tenth of a standard deviation: 0.004 here.
    for column, name in enumerate(("accuracy", "f1", "mcc")):
        assert ours.intervals[name] == pytest.approx(tuple(expected[:, column]), abs=0.01)


def test_accuracy_interval_has_the_binomial_width():
    labels = np.zeros(2732, dtype=int)
    predictions = np.zeros(2732, dtype=int)
    predictions[:1000] = 1
    low, high = score(labels, predictions, 2, 1, resamples=20_000).intervals["accuracy"]
    share = 1732 / 2732
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 2732), rel=0.05)


def test_accuracy_interval_is_wilsons_even_at_0_and_1():
    low, high = score([0, 1] * 30, [0, 1] * 30, 2, 1).intervals["accuracy"]
    assert (low, high) == (pytest.approx(60 / (60 + 1.96**2), abs=1e-4), 1.0)
    low, high = score([0, 1] * 30, [1, 0] * 30, 2, 1).intervals["accuracy"]
    assert (low, high) == (0.0, pytest.approx(1.96**2 / (60 + 1.96**2), abs=1e-4))


@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize("right", [True, False])
def test_f1_is_never_certain_where_no_resample_differs(n, right):
    low, high = score([1] * n, [int(right)] * n, 2, 1).intervals["f1"]
    share = wilson(n if right else 0, n)  # of the examples that are positive by label or prediction
    assert (low, high) == pytest.approx((2 * share.low / (1 + share.low), 2 * share.high / (1 + share.high)))
    assert high - low > 1 / (n + 1)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_the_interval_of_f1_holds_its_value(hits, missed, alarms):
    found = f1_interval(np.array([[5, alarms], [missed, hits]]), 1)
    if hits + missed + alarms == 0:
        assert found is None
    else:
        assert 0 <= found[0] <= 2 * hits / (2 * hits + missed + alarms) + EXACT
        assert 2 * hits / (2 * hits + missed + alarms) - EXACT <= found[1] <= 1


@pytest.mark.parametrize(
    ("labels", "predictions", "positive", "missing"),
    [
        ([1], [1], 1, {"mcc"}),
        ([0], [0], 1, {"f1", "mcc"}),  # undefined
        ([2], [2], None, {"f1", "mcc"}),
        ([0, 1] * 50, [0, 1] * 50, 1, {"mcc"}),
        ([0, 1] * 50, [0, 1] * 50, None, {"f1", "mcc"}),
        ([0, 1, 1], [0, 1, 0], 1, set()),
    ],
)
def test_what_no_resample_varies_has_no_interval(labels, predictions, positive, missing):
    ours = score(labels, predictions, 3, positive)
    assert {name for name, ends in ours.intervals.items() if ends is None} == missing
    assert ours.as_dict()["intervals"]["accuracy"] == list(ours.intervals["accuracy"])
    assert all(ours.as_dict()["intervals"][name] is None for name in missing)


def test_resampling_many_classes_in_batches_changes_nothing(monkeypatch):
    random = np.random.default_rng(2)
    labels, predictions = random.integers(0, 60, (2, 500))
    whole = score(labels, predictions, 60, None, resamples=40, seed=3)
    monkeypatch.setattr(classification, "_CELLS_AT_ONCE", 60 * 60 * 7)  # 7 matrices a batch: 5 batches and a rest
    assert score(labels, predictions, 60, None, resamples=40, seed=3).intervals == whole.intervals
    assert score(labels, predictions, 60, None, resamples=40, seed=4).intervals != whole.intervals


def test_single_class_scores_zero_where_a_score_is_undefined():
    ours = score([0, 0, 0], [0, 0, 0], 2, 1)
    assert (ours.accuracy, ours.f1, ours.precision, ours.recall, ours.mcc) == (1.0, 0.0, 0.0, 0.0, 0.0)
    assert ours.as_dict()["undefined"] == ["f1", "precision", "recall", "mcc"]


@pytest.mark.parametrize(
    ("labels", "predictions", "positive", "undefined"),
    [
        ([0, 1, 1], [0, 1, 0], 1, ()),
        ([0, 1, 1], [1, 0, 0], 1, ()),  # all wrong: measured zeros
        ([0, 1, 1], [0, 0, 0], 1, ("precision", "mcc")),
        ([0, 0, 0], [0, 1, 0], 1, ("recall", "mcc")),
        ([1, 1, 1], [0, 1, 0], 1, ("mcc",)),
        ([1, 1, 1], [1, 1, 1], None, ("mcc",)),
    ],
)
def test_undefined_scores_are_distinguished_from_zero(labels, predictions, positive, undefined):
    assert score(labels, predictions, 2, positive).undefined == undefined


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([], [], "no examples to score"),
        ([0, 1], [0], r"labels of shape \[2\] and predictions of shape \[1\]"),
        ([0, -1], [0, 1], "example 1 has the label -1, outside 0 .. 1"),
        ([0, 1], [0, 2], "example 1 has the prediction 2, outside 0 .. 1"),
    ],
)
def test_rejects_what_cannot_be_scored(labels, predictions, message):
    with pytest.raises(DataError, match=message):
        confusion_matrix(labels, predictions, 2)
