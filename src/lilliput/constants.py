"""Numbers that several rooms must agree on."""

from __future__ import annotations

LARGEST = 2**31 - 1
"""Any size, number of tokens or token id that a file may give: what graphs and tokenizers count with."""

LARGEST_SEED = 2**63 - 1
"""What PyTorch takes."""

NEW_TOKENS = 320
"""Of a completion of a problem, unless told otherwise."""
