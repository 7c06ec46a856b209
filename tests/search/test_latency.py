import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.progress import LogProgress
from lilliput.search.cost import artifact_bytes
from lilliput.search.latency import (
    CALIBRATION_DESIGN,
    FEATURES,
    VALIDATION_DESIGN,
    Conditions,
    LatencyModel,
    Measurement,
    calibrate,
    error,
    fit,
    measure_all,
    non_negative_least_squares,
)
from lilliput.search.space import DEFAULT_SPACE, Architecture, Architectures

CONDITIONS = Conditions(cpu="a processor", threads=1, precision="int8", date="2025-01-01", versions={"engine": "1.0"})

TRUTH = LatencyModel(dict(zip(FEATURES, (0.03, 0.06, 0.25, 5.9, 0.8, 5.2, 0.8, 1.5), strict=True)), CONDITIONS)
"""Prices close to those measured on a 2-core CPU."""

SMALL = Architecture(2, 64, 2, 128, 1000)


def relative_differences(model, other, design):
    return [abs(model.predict(*point) / other.predict(*point) - 1) for point in design]


def test_prediction_is_the_sum_of_its_parts():
    tokens, layers, hidden, heads, inner = 100, 3, 64, 2, 256
    by_hand = (
        0.03
        + 0.06 * layers
        + 0.25e-9 * layers * 2 * tokens * (4 * hidden * hidden + 2 * hidden * inner)
        + 5.9e-9 * layers * 4 * tokens * tokens * hidden
        + 0.8e-6 * layers * heads * tokens * tokens
        + 5.2e-6 * layers * tokens * hidden
        + 0.8e-6 * layers * tokens * inner
        + 1.5e-6 * tokens * hidden
    )
    assert TRUTH.predict(Architecture(layers, hidden, heads, inner, 1000), tokens) == pytest.approx(by_hand, rel=1e-12)


def test_many_architectures_are_predicted_at_once():
    points = [architecture for architecture, _ in VALIDATION_DESIGN]
    together = TRUTH.predict(Architectures.of(points), 400)
    assert together == pytest.approx([TRUTH.predict(point, 400) for point in points], rel=1e-12)


def test_exact_measurements_recover_the_prices():
    model = calibrate(TRUTH.predict, CALIBRATION_DESIGN, CONDITIONS)
    assert dict(model.prices) == pytest.approx(dict(TRUTH.prices), rel=1e-6)
    assert model.conditions == CONDITIONS


def test_prices_are_never_negative():
    model = calibrate(lambda architecture, tokens: 5.0 - 0.1 * architecture.layers, CALIBRATION_DESIGN, CONDITIONS)
    assert min(model.prices.values()) >= 0


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_3_percent_stays_below_5_percent(seed):
    rng = np.random.default_rng(seed)
    model = calibrate(lambda *point: TRUTH.predict(*point) * rng.normal(1, 0.03), CALIBRATION_DESIGN, CONDITIONS)
    assert max(relative_differences(model, TRUTH, VALIDATION_DESIGN)) < 0.05


@pytest.mark.parametrize("seed", range(5))
def test_busy_machine_does_not_distort_the_model(seed):
    rng = np.random.default_rng(seed)

    def measure(architecture, tokens):
        slowdown = 2.0 if rng.random() < 0.15 else 1.0
        return TRUTH.predict(architecture, tokens) * rng.normal(1, 0.02) * slowdown

    model = fit(measure_all(measure, CALIBRATION_DESIGN, rounds=1), CONDITIONS)
    differences = relative_differences(model, TRUTH, VALIDATION_DESIGN)
    assert np.median(differences) < 0.05
    assert max(differences) < 0.15


def test_minimum_over_rounds_is_used():
    times = iter([3.0, 5.0, 4.0, 2.0])
    design = [(SMALL, 64), (SMALL, 128)]
    found = measure_all(lambda architecture, tokens: next(times), design, rounds=2)
    assert found == (Measurement(SMALL, 64, 3.0), Measurement(SMALL, 128, 2.0))


def test_measuring_reports_progress(capsys):
    measure_all(TRUTH.predict, [(SMALL, 64)], LogProgress(every=0.0), rounds=2)
    assert "measuring latency: 2/2" in capsys.readouterr().err


def test_error_is_relative_to_the_measured_time():
    predicted = TRUTH.predict(SMALL, 64)
    found = error(TRUTH, [Measurement(SMALL, 64, ms) for ms in (predicted, predicted / 1.1, predicted / 0.7)])
    assert found.median_percent == pytest.approx(10)
    assert found.worst_percent == pytest.approx(30)
    assert [row.percent for row in found.rows] == pytest.approx([0, 10, 30])
    assert found.rows[0].predicted == predicted


@pytest.mark.parametrize("times", [[], [1.0, 0.0], [1.0, float("nan")]])
def test_fitting_needs_positive_times(times):
    with pytest.raises(ValueError, match="positive number of milliseconds"):
        fit([Measurement(SMALL, 64, ms) for ms in times], CONDITIONS)


def test_designs_are_disjoint_and_within_the_space():
    assert len(VALIDATION_DESIGN) == 12
    trained = {architecture for architecture, _ in CALIBRATION_DESIGN}
    for architecture, tokens in VALIDATION_DESIGN:
        assert architecture not in trained
        assert architecture in DEFAULT_SPACE
        assert tokens == 400
        assert artifact_bytes(architecture, "int8") <= 4_000_000
    wider = dataclasses.replace(DEFAULT_SPACE, expansion=0)  # points beyond the edge of the space stabilize the fit
    assert all(architecture in wider for architecture in trained)
    assert {architecture.layers for architecture, _ in VALIDATION_DESIGN} >= {1, 2, 4, 8, 12}


def test_saved_model_loads_equal(tmp_path):
    path = tmp_path / "latency.json"
    TRUTH.save(path)
    assert LatencyModel.load(path) == TRUTH


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.update(schema=99), "of another version"),
        (lambda document: document["prices"].pop("layers"), "of another version"),
        (lambda document: document["prices"].update(layers="much"), "could not convert"),
        (lambda document: document["conditions"].pop("cpu"), "cpu"),
        (lambda document: document.update(prices=list(document["prices"])), "not a latency model"),
        (lambda document: document.pop("schema"), "schema"),
    ],
)
def test_rejects_a_file_of_another_kind(tmp_path, change, message):
    path = tmp_path / "latency.json"
    TRUTH.save(path)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=message) as caught:
        LatencyModel.load(path)
    assert caught.value.where == str(path)
    assert "Calibrate again" in str(caught.value)


def test_rejects_a_missing_or_broken_file(tmp_path):
    with pytest.raises(UserError, match="no latency model can be read"):
        LatencyModel.load(tmp_path / "absent.json")
    for text in ("{", "[" * 100_000):
        (tmp_path / "broken.json").write_text(text)
        with pytest.raises(UserError, match="no latency model can be read"):
            LatencyModel.load(tmp_path / "broken.json")


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(3, 20), columns=st.integers(1, 8))
def test_non_negative_least_squares_matches_scipy(seed, rows, columns):
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(seed)
    matrix, target = rng.normal(size=(rows, columns)), rng.normal(size=rows)
    found = non_negative_least_squares(matrix, target)
    assert (found >= 0).all()
    residual = np.linalg.norm(matrix @ found - target)
    assert residual == pytest.approx(optimize.nnls(matrix, target)[1], abs=1e-8)
