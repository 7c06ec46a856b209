"""Search as a function: its JSON fields, and invalid arguments."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from lilliput import api
from lilliput.errors import BudgetError, UserError
from lilliput.search import Architecture, Conditions, LatencyModel, StudentShape, artifact_bytes
from lilliput.search.latency import FEATURES
from lilliput.verbs import search

SHAPE = {"layers", "hidden", "heads", "intermediate", "vocabulary"}
RESULT = {"architecture", "precision", "bytes", "gflops", "fitness", "latency_ms", "seconds", "method"}


@pytest.mark.parametrize("options", [["--latency", "none"], ["--paper"]])
def test_json_has_the_documented_keys(options):
    command = [sys.executable, "-m", "lilliput", "search", "--size", "3MB", *options, "--json"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert set(result) == RESULT
    assert set(result["architecture"]) == SHAPE
    assert result["method"] == "exact"


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        ({"size": math.nan}, "--size"),
        ({"size": math.inf}, "--size"),
        ({"size": 0}, "--size"),
        ({"size": "3MB"}, "--size"),
        ({"size": math.nan, "paper": True}, "--size"),
        ({"latency_ms": math.nan}, "--latency"),
        ({"latency_ms": math.inf}, "--latency"),
        ({"latency_ms": -1.0}, "--latency"),
        ({"latency_ms": True}, "--latency"),
        ({"precisions": ()}, "--precision"),
        ({"precisions": "int9"}, "--precision"),
        ({"arity": 3}, "arity"),
        ({"arity": 0}, "arity"),
        ({"classes": 1}, "classes"),
        ({"classes": math.nan}, "classes"),
        ({"method": "guess"}, "--method"),
        ({"tokens": 0}, "--tokens"),
        ({"data_flow": -1}, "--data-flow"),
        ({"data_flow": 1.5}, "--data-flow"),
    ],
)
def test_rejects_arguments_out_of_range(arguments, where):
    with pytest.raises(UserError) as caught:
        api.search(**{"size": 3_000_000, "latency_ms": None, **arguments})
    assert caught.value.where == where
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"latency_ms": 5.0}, "--latency"),
        ({"precisions": ["int4"]}, "--precision"),
        ({"objective": "gflops"}, "--objective"),
        ({"tokens": 512}, "--tokens"),
        ({"arity": 2}, "--pairs"),
        ({"classes": 3}, "classes"),
        ({"data_flow": 64}, "--data-flow"),
    ],
)
def test_rejects_options_that_the_search_of_the_paper_lacks(given, where):
    with pytest.raises(UserError, match="does not go with --paper") as caught:
        api.search(3_000_000, paper=True, **given)
    assert caught.value.where == where


@pytest.mark.parametrize("paper", [False, True])
def test_rejects_a_seed_if_nothing_is_random(paper):
    with pytest.raises(UserError, match="goes with --method genetic") as caught:
        api.search(3_000_000, None, paper=paper, seed=3)
    assert caught.value.where == "--seed"
    small, other = (api.search(3_000_000, None, paper=paper, method="genetic", seed=seed) for seed in (3, 3))
    assert small.architecture == other.architecture


def test_search_of_the_paper_has_no_latency_limit():
    assert api.search(3_000_000, None, paper=True).architecture == api.search(3_000_000, paper=True).architecture


def test_rejects_a_target_below_the_whole_space_of_the_paper():
    with pytest.raises(BudgetError, match="the smallest takes 108,296 bytes") as caught:
        api.search(108_295, paper=True)
    assert caught.value.remedy
    assert api.search(108_296, paper=True).bytes >= 108_296


def test_data_flow_counts_in_latency_and_bytes(monkeypatch):
    model = LatencyModel(dict.fromkeys(FEATURES, 1e-6), Conditions("a processor", 1, "int8", "2025-01-01", {}))
    monkeypatch.setattr(search, "latency_model", lambda precision, progress: model)
    monkeypatch.setattr(search, "flow_ms", lambda nodes, precision, tokens: 1e-3 * nodes * tokens)
    one = Architecture(2, 64, 2, 128, 1000)

    def found(nodes, reading_ms=0.0):
        shape = StudentShape(nodes=nodes)
        problem = search.search_problem(3e6, 1e3, ["int8"], "parameters", shape, tokens=100, reading_ms=reading_ms)
        return problem.result(one, "int8", 0.0, "exact")

    assert found(0).latency_ms == pytest.approx(model.predict(one, 100))
    assert found(50).latency_ms == pytest.approx(model.predict(one, 150) + 5.0)
    assert found(50, 2.0).latency_ms == pytest.approx(found(50).latency_ms + 2.0)
    assert found(50).bytes > found(0).bytes and found(50).gflops > found(0).gflops


def test_search_with_data_flow_considers_students_that_read_it():
    found = api.search(200_000, None, data_flow=64)
    assert found.bytes == artifact_bytes(found.architecture, "int8", StudentShape(nodes=64)) <= 200_000


def test_accepts_one_precision_and_a_size_in_scientific_notation():
    one = api.search(3e6, None, precisions="int8")
    assert one.architecture == api.search(np.int64(3_000_000), None, precisions=["int8"]).architecture
    assert one.bytes <= 3_000_000
