"""Constants that several subpackages share."""

from __future__ import annotations

from collections.abc import Mapping

LARGEST = 2**31 - 1
"""Largest size, token count or token id that a file may give: graphs and tokenizers use 32-bit integers."""

MOST_LAYERS = 10_000
"""Most layers that a model's file may give."""

LARGEST_SEED = 2**63 - 1
"""Largest seed that PyTorch takes."""

MOST: Mapping[str, int] = {
    "threads": 1024,
    "workers": 1024,
    "samples": 10_000,
    "n": 10_000,
    "beams": 1000,
    "batch": 10_000,
    "tokens": 1_000_000,
    "new_tokens": 1_000_000,
    "max_new_tokens": 1_000_000,
    "epochs": 100_000,
    "aware_epochs": 100_000,
    "candidates": 1000,
    "calibration_pieces": 100_000,
    "calibration_tokens": 100_000,
    "perplexity_pieces": 100_000,
    "piece_tokens": 100_000,
    "seeds": 1000,
    "perturbation_seeds": 1000,
    "rounds": 1_000_000,
    "speed_rounds": 10_000,
    "limit": LARGEST,
    "top_k": LARGEST,
    "seed": LARGEST_SEED,
}
"""Option or argument -> its largest value: more cannot be meant, and would exhaust memory or time."""

NEW_TOKENS = 320
"""Default length of a completion, in tokens, when solving a benchmark's problem."""
