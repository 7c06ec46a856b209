"""``lilliput quantize`` on the command line: options without effect are rejected before the model is opened."""

import pytest
from typer.testing import CliRunner

from lilliput.cli.app import app
from lilliput.errors import CheckpointError, UserError


def quantize(*options):
    CliRunner().invoke(app, ["quantize", "./missing", "--out", "small", *options], catch_exceptions=False)


CALIBRATION = [
    ("--calibration-data", "nofile.py"),
    ("--calibration-pieces", "8"),
    ("--calibration-tokens", "64"),
    ("--seed", "1"),
]


@pytest.mark.parametrize("given", CALIBRATION)
@pytest.mark.parametrize("how", [(), ("--weights", "int4", "--rounding", "hqq"), ("--activations", "token")])
def test_rejects_calibration_options_without_calibration(given, how):
    with pytest.raises(
        UserError, match="goes with --rounding gptq, awq or awq-gptq, or with --activations static"
    ) as no:
        quantize(*given, *how, "--allow-slow")
    assert no.value.where == given[0]


@pytest.mark.parametrize("given", CALIBRATION)
@pytest.mark.parametrize("how", [("--rounding", "gptq"), ("--activations", "static")])
def test_accepts_calibration_options_with_calibration(given, how):
    with pytest.raises(CheckpointError, match="there is no such file or folder"):
        quantize(*given, *how)
