"""A student against its teacher: values computed by hand, by scikit-learn and by scipy."""

import json

import numpy as np
import pytest

from lilliput.errors import DataError
from lilliput.evaluate.faithfulness import BINS, calibration, faithfulness


def drawn(n=2000, scale=2.5, seed=0):
    """Logits ``scale`` times too large for the labels, which are drawn from them."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (n, 2))
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return logits * scale, (random.random(n) < chance[:, 1]).astype(np.int64)


def test_agreement_and_confident_agreement_match_values_by_hand():
    teacher = np.log([[0.95, 0.05], [0.08, 0.92], [0.6, 0.4], [0.89, 0.11]])
    student = np.array([[2.0, 0.0], [1.0, 0.0], [3.0, 0.0], [0.0, 1.0]])
    found = faithfulness(student, teacher, [-1, -1, -1, -1])
    assert (found.agreement.value, found.agreement.n) == (0.5, 4)
    assert found.confident is not None
    assert (found.confident.value, found.confident.n) == (0.5, 2)
    assert found.student is None
    assert found.teacher is None
    assert faithfulness(student, teacher, [0, 0, 0, -1], confidence=0.99).confident is None


def test_temperature_scaling_undoes_the_scale_on_the_held_out_half():
    logits, labels = drawn()
    found = calibration(logits, labels)
    assert found.temperature == pytest.approx(2.5, rel=0.15)  # 1,000 examples determine it within about 5 %
    assert (found.fitted_on, found.before.n, found.after.n) == (1000, 1000, 1000)
    assert found.before.value > 0.08
    assert found.after.value < 0.05
    assert found.nll_after < found.nll_before


def test_halves_and_errors_match_the_formulas():
    optimize = pytest.importorskip("scipy.optimize", reason="scipy comes with scikit-learn (extra evaluate)")
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn (extra evaluate)")
    logits, labels = drawn(301, seed=3)
    found = calibration(logits, labels, seed=5)
    order = np.random.default_rng(5).permutation(301)
    fitted, held = order[:150], order[150:]

    def probability(rows, temperature):
        scaled = np.exp(logits[rows] / temperature)
        return scaled / scaled.sum(axis=1, keepdims=True)

    best = optimize.minimize_scalar(
        lambda t: metrics.log_loss(labels[fitted], probability(fitted, t)), bounds=(0.05, 20), options={"xatol": 1e-9}
    )
    assert found.temperature == pytest.approx(best.x, rel=1e-4)
    assert found.nll_after == pytest.approx(metrics.log_loss(labels[held], probability(held, best.x)), abs=1e-6)
    assert found.nll_before == pytest.approx(metrics.log_loss(labels[held], probability(held, 1.0)), abs=1e-9)
    chance = probability(held, 1.0)
    confidence, right = chance.max(axis=1), chance.argmax(axis=1) == labels[held]
    places = np.ceil(confidence * BINS)
    gaps = [
        abs(right[places == place].mean() - confidence[places == place].mean()) * (places == place).mean()
        for place in np.unique(places)
    ]
    assert found.before.value == pytest.approx(sum(gaps), abs=1e-12)


def test_unlabelled_examples_count_only_for_agreement():
    logits, labels = drawn(200)
    known = labels.copy()
    known[100:] = -1
    found = faithfulness(logits, -logits, known)
    assert found.agreement.n == 200
    assert found.agreement.value == 0.0
    assert found.student is not None
    assert found.student.fitted_on + found.student.before.n == 100
    assert json.loads(json.dumps(found.as_dict()))["confidence"] == 0.9


def test_rejects_what_cannot_be_calibrated():
    with pytest.raises(DataError, match="at least two"):
        calibration([[0.0, 1.0]], [1])
    with pytest.raises(DataError, match="at least two"):
        calibration([[0.0, 1.0], [1.0, 0.0]], [1, -1])
    with pytest.raises(DataError, match="2 rows of logits and 3 labels"):
        calibration([[0.0, 1.0], [1.0, 0.0]], [1, 0, 0])
    with pytest.raises(DataError, match="one side has"):
        faithfulness([[0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]], [1])
