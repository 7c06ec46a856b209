"""``search`` if its cache cannot be written, and help texts of options with a table behind them."""

import io
import re
from typing import get_type_hints

import pytest

from lilliput.cli.app import app
from lilliput.cli.evaluate import evaluate
from lilliput.evaluate.carbon import parse_intensity
from lilliput.progress import LogProgress
from lilliput.verbs import latency


@pytest.mark.parametrize("cache", ["/proc/x", "file/below", "x" * 300])
def test_latency_model_is_used_even_if_it_cannot_be_cached(tmp_path, monkeypatch, cache):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv(latency.CACHE_VARIABLE, cache)
    monkeypatch.setattr(latency, "measurer", lambda *_: lambda architecture, tokens: 1e-3 * tokens)
    log = io.StringIO()
    model = latency.latency_model(progress=LogProgress(log))
    assert model.predict(*latency.CALIBRATION_DESIGN[0]) > 0
    assert "not kept; cannot write: " in log.getvalue()
    assert log.getvalue().endswith("LILLIPUT_CACHE can name another folder.\n")


def test_latency_model_is_cached(tmp_path, monkeypatch):
    monkeypatch.setattr(latency, "measurer", lambda *_: lambda architecture, tokens: 1e-3 * tokens)
    first = latency.latency_model(cache=tmp_path)
    monkeypatch.setattr(latency, "measurer", None)
    assert latency.latency_model(cache=tmp_path) == first


def test_region_in_the_help_exists():
    option = get_type_hints(evaluate, include_extras=True)["carbon_intensity"].__metadata__[0]
    region = re.search(r"such as (\w+)", option.help)
    assert region is not None
    assert parse_intensity(region[1]).grams_per_kwh > 0


def test_fitness_of_the_paper_above_the_target_is_noted(capsys):
    for size, over in (("3MB", True), ("206152B", False)):
        app(["search", "--paper", "--size", size], standalone_mode=False)
        assert ("over the target" in capsys.readouterr().out) == over
