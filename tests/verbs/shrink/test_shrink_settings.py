"""Settings that mean nothing are refused before any work is done, by the name of their option."""

import numpy as np
import pytest

from lilliput.batching import BatchPlan
from lilliput.data.dataset import Dataset
from lilliput.errors import UserError
from lilliput.grams import Grams
from lilliput.verbs.shrink.settings import ShrinkSettings, batch_plan_for

GRAMS = Grams(order=2, bits=8, width=4)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"precision": "int3"}, "--precision: there is none called 'int3'. Choose one of: fp32, int8, int4"),
        ({"objective": "speed"}, "--objective: there is none called 'speed'"),
        ({"pooling": "largest"}, "--pooling: there is none called 'largest'"),
        ({"quantization": "magic"}, "--quantization: .*auto, calibration, aware"),
        ({"learning_rate": float("nan")}, "--learning-rate: must be above 0; it is nan"),
        ({"max_tokens": 9000}, "--max-tokens: must be 16 to 8192; it is 9000"),
        ({"attended": 600}, "--attended: must be 16 to 512, or 0 for no layers; it is 600"),
        ({"attended": 0}, "--attended: a student without layers reads nothing but n-grams"),
        ({"attended": 0, "grams": GRAMS, "pooling": "mean"}, "--pooling: there is nothing to pool"),
        ({"attended": 0, "grams": GRAMS, "data_flow": 8}, "--data-flow: a student without layers reads no data flow"),
        ({"grams_dropout": 1.0}, "--grams-dropout: must be at least 0 and below 1"),
        ({"data_flow": 257}, "--data-flow: must be 0 to 256; it is 257"),
        ({"vector": -1}, "--vector: must be 0 to 1024; it is -1"),
        ({"functions": -1}, "--functions: must be at least 0; it is -1"),
        ({"seed": -1}, "--seed: must be at least 0"),
        ({"epochs": 0}, "--epochs: must be at least 1"),
        ({"dropout": 1.0}, "--dropout: must be at least 0 and below 1"),
    ],
)
def test_settings_that_mean_nothing(bad, words):
    with pytest.raises(UserError, match=words):
        ShrinkSettings(**bad)


@pytest.mark.parametrize(
    ("pairs", "arity", "functions"),
    [(6000, 2, 256), (500, 2, 0), (6000, 1, 0)],  # of 1,000 functions: 393, 33 and no pairs among 256 of them
)
def test_dense_pairs_are_batched_by_functions(pairs, arity, functions):
    random = np.random.default_rng(0)
    members, labels = random.integers(0, 1000, (pairs, arity)), random.integers(0, 2, pairs)
    data = Dataset(tuple(f"f{i}" for i in range(1000)), members, labels, ("no", "yes"))
    assert batch_plan_for(ShrinkSettings(batch=64, seed=3), data) == BatchPlan(64, functions=functions, seed=3)
    assert batch_plan_for(ShrinkSettings(functions=9), data).functions == 9
