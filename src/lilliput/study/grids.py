"""The grids that come with lilliput, in the format of a grid file: axes, and products of axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ORIGINAL = {"weights": ["fp32"], "activations": ["none"]}
"""The unquantized model, for comparison."""

NAMED: Mapping[str, Mapping[str, Any]] = {
    "quick": {
        "about": "one point for each of the usual ways",
        "products": [
            _ORIGINAL,
            {"weights": ["int8"], "activations": ["none", "dynamic", "static"]},
            {"weights": ["int4"], "rounding": ["nearest", "gptq"]},
            {"weights": ["int4"], "rounding": ["gptq"], "head": ["int4"]},
            {"weights": ["nf4"]},
        ],
    },
    "paper": {
        "about": "bits, granularity, activations, calibration and output layer of the FSE 2023 paper, with 4 bits too",
        "products": [
            _ORIGINAL,
            {
                "weights": ["int8", "int4"],
                "group": [-1, 0],
                "symmetric": [True],
                "activations": ["none", "token", "dynamic"],
                "head": ["int8", "fp32"],
            },
            {
                "weights": ["int8", "int4"],
                "group": [-1, 0],
                "symmetric": [True],
                "activations": ["static"],
                "activation_calibration": ["minmax", "percentile", "mse", "entropy"],
                "calibration_pieces": [8, 32, 128],
            },
            {
                "weights": ["int8"],
                "group": [0],
                "symmetric": [True],
                "activations": ["static"],
                "activation_calibration": ["minmax", "percentile", "mse", "entropy"],
                "head": ["fp32"],
            },
        ],
    },
    "int4": {
        "about": "ways to quantize to 4 bits",
        "products": [
            _ORIGINAL,
            {"weights": ["int8"]},
            {
                "weights": ["int4"],
                "group": [32, 64, 128],
                "symmetric": [False, True],
                "rounding": ["nearest", "hqq", "gptq", "awq", "awq-gptq"],
            },
            {"weights": ["nf4"], "group": [32, 64], "rounding": ["nearest", "gptq", "awq"]},
            {"weights": ["int4"], "group": [64, 128], "rounding": ["gptq"], "head": ["int4"]},
            {"weights": ["int4"], "group": [128], "rounding": ["gptq"], "calibration_pieces": [8, 128]},
        ],
    },
}
"""Name -> the grid."""
