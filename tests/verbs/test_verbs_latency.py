"""The latency model that is kept: for which processor, engine and settings."""

import pytest

from lilliput.runtime import engine
from lilliput.search.latency import FEATURES, LatencyModel
from lilliput.verbs import latency


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """``measured(precision)``: whether the model had to be measured."""
    calls = []

    def calibrate(measure, design, conditions, progress):
        calls.append(conditions)
        return LatencyModel(dict.fromkeys(FEATURES, float(len(calls))), conditions)

    monkeypatch.setattr(latency, "calibrate", calibrate)

    def ask(precision="int8"):
        before = len(calls)
        latency.latency_model(precision, cache=tmp_path)
        return len(calls) > before

    return ask


def test_it_is_measured_once(measured):
    assert measured()
    assert not measured()


def test_it_holds_for_the_settings_of_the_engine_that_it_was_measured_with(measured, monkeypatch):
    assert measured()
    with monkeypatch.context() as patched:
        patched.setattr(engine, "SETTINGS", {**engine.SETTINGS, "INFERENCE_PRECISION_HINT": "bf16"})
        assert measured()
        assert not measured()
    assert not measured()


def test_what_keeps_products_of_integers_right_counts_where_there_are_any(measured, monkeypatch):
    monkeypatch.setattr(engine, "right_products", dict)
    assert measured("int8") and measured("fp32")
    monkeypatch.setattr(engine, "right_products", lambda: {"LP_TRANSFORMS_MODE": False})
    assert measured("int8")
    assert not measured("fp32")
