"""Numbers that several rooms must agree on."""

from __future__ import annotations

LARGEST = 2**31 - 1
"""Any size, number of tokens or token id that a file may give: what graphs and tokenizers count with."""

MOST_LAYERS = 10_000
"""Of a model that a file describes: what has more is no model."""

LARGEST_SEED = 2**63 - 1
"""What PyTorch takes."""

NEW_TOKENS = 320
"""Of a completion of a problem, unless told otherwise."""
