"""Numbers that several rooms must agree on."""

from __future__ import annotations

from collections.abc import Mapping

LARGEST = 2**31 - 1
"""Any size, number of tokens or token id that a file may give: what graphs and tokenizers count with."""

MOST_LAYERS = 10_000
"""Of a model that a file describes: what has more is no model."""

LARGEST_SEED = 2**63 - 1
"""What PyTorch takes."""

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
"""Of a completion of a problem, unless told otherwise."""
