"""Search as a function: the JSON contract, and arguments that are out of their range."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from lilliput import api
from lilliput.errors import UserError

SHAPE = {"layers", "hidden", "heads", "intermediate", "vocabulary"}
RESULT = {"architecture", "precision", "bytes", "gflops", "fitness", "latency_ms", "seconds", "method"}


@pytest.mark.parametrize("options", [["--latency", "none"], ["--paper"]])
def test_the_keys_of_the_json_contract(options):
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
        ({"precisions": "int9"}, "precision"),
        ({"arity": 3}, "arity"),
        ({"arity": 0}, "arity"),
        ({"classes": 1}, "classes"),
        ({"classes": math.nan}, "classes"),
        ({"method": "guess"}, "--method"),
        ({"tokens": 0}, "tokens"),
    ],
)
def test_arguments_out_of_their_range(arguments, where):
    with pytest.raises(UserError) as caught:
        api.search(**{"size": 3_000_000, "latency_ms": None, **arguments})
    assert caught.value.where == where
    assert caught.value.remedy


def test_one_precision_and_a_size_in_powers_of_ten():
    one = api.search(3e6, None, precisions="int8")
    assert one.architecture == api.search(np.int64(3_000_000), None, precisions=["int8"]).architecture
    assert one.bytes <= 3_000_000
