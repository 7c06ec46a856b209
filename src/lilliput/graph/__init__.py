"""Inference graphs, built op by op from weights, without an exporter or tracing."""
