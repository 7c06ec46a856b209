"""Running artifacts: text in, numpy out; no torch."""
