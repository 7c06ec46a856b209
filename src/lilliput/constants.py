"""Constants that several subpackages share."""

from __future__ import annotations

LARGEST = 2**31 - 1
"""Largest size, token count or token id that a file may give: graphs and tokenizers use 32-bit integers."""

MOST_LAYERS = 10_000
"""Most layers that a model's file may give."""

LARGEST_SEED = 2**63 - 1
"""Largest seed that PyTorch takes."""

NEW_TOKENS = 320
"""Default length of a completion, in tokens, when solving a benchmark's problem."""
