"""Inference graphs, built op by op from weights: no exporter, no tracing."""
