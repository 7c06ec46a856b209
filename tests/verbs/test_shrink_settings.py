"""Settings that mean nothing are refused before any work is done, by the name of their option."""

import pytest

from lilliput.errors import UserError
from lilliput.verbs.shrink_settings import ShrinkSettings


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"precision": "int3"}, "--precision: there is none called 'int3'. Choose one of: fp32, int8, int4"),
        ({"objective": "speed"}, "--objective: there is none called 'speed'"),
        ({"quantization": "magic"}, "--quantization: .*auto, calibration, aware"),
        ({"learning_rate": float("nan")}, "--learning-rate: must be above 0; it is nan"),
        ({"max_tokens": 5000}, "--max-tokens: must be 16 to 512; it is 5000"),
        ({"seed": -1}, "--seed: must be at least 0"),
        ({"epochs": 0}, "--epochs: must be at least 1"),
        ({"dropout": 1.0}, "--dropout: must be at least 0 and below 1"),
    ],
)
def test_settings_that_mean_nothing(bad, words):
    with pytest.raises(UserError, match=words):
        ShrinkSettings(**bad)
