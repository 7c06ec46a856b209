"""Precision and recall at thresholds, against scikit-learn and against counting."""

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from lilliput.errors import DataError
from lilliput.evaluate.intervals import wilson
from lilliput.evaluate.thresholds import THRESHOLDS, Operating, at_share, operating_points


def sample(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, n)
    return np.clip(0.3 * labels + generator.uniform(0, 0.8, n), 0, 1).astype(np.float32), labels


def test_matches_scikit_learn() -> None:
    probabilities, labels = sample()
    found = operating_points(probabilities, labels).as_dict()
    assert (found["n"], found["positives"]) == (400, int(labels.sum()))
    for point, threshold in zip(found["points"], THRESHOLDS, strict=True):
        flags = probabilities >= threshold
        assert point["flagged"] == flags.sum()
        assert point["precision"][0] == pytest.approx(precision_score(labels, flags), abs=5e-5)
        assert point["recall"][0] == pytest.approx(recall_score(labels, flags), abs=5e-5)
        ends = wilson(point["right"], point["flagged"])
        assert point["precision"][1:] == pytest.approx([ends.low, ends.high], abs=5e-5)


def test_probability_at_the_threshold_is_flagged_and_no_flags_have_no_precision() -> None:
    found = operating_points(np.array([0.5, 0.4]), np.array([1, 0]), thresholds=(0.5, 0.6)).as_dict()
    shown = [(point["flagged"], point["right"], point["precision"] is None) for point in found["points"]]
    assert shown == [(1, 1, False), (0, 0, True)]


def test_positive_class_can_be_chosen() -> None:
    found = operating_points(np.array([0.9, 0.9, 0.1]), np.array([0, 1, 0]), positive=0, thresholds=(0.5,))
    assert (found.positives, found.points) == (2, (Operating(0.5, 2, 1),))


def test_precision_at_another_share_is_that_of_data_with_that_share() -> None:
    point, n, positives = Operating(0.5, flagged=60, right=45), 200, 100
    # 1 positive for 99 negatives: each negative counts 99 times
    value, low, high = at_share(point, n, positives, 0.01) or (0.0, 0.0, 0.0)
    assert value == pytest.approx(45 / (45 + 99 * 15))
    assert low < value < high
    own = at_share(point, n, positives, positives / n)
    assert own is not None and own[0] == pytest.approx(45 / 60)
    assert own[1] <= wilson(45, 60).low and own[2] >= wilson(45, 60).high


def test_no_flags_have_no_precision() -> None:
    assert at_share(Operating(0.9, 0, 0), 10, 5, 0.01) is None


@pytest.mark.parametrize("labels", [np.array([], int), np.array([1]), np.array([[1, 0]])])
def test_rejects_data_that_do_not_go_together(labels: np.ndarray) -> None:
    with pytest.raises(DataError, match="do not go together"):
        operating_points(np.zeros(2 if labels.size else 0), labels)
