"""``quantize``: turn a generator's checkpoint into an artifact. ``verb.py`` is the verb, the rest its parts."""

from __future__ import annotations

from lilliput.verbs.quantize.settings import QuantizeSettings
from lilliput.verbs.quantize.verb import QuantizeResult, expected_weights, quantize

__all__ = ["QuantizeResult", "QuantizeSettings", "expected_weights", "quantize"]
