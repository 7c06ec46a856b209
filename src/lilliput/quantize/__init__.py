"""Quantization: schemes as data, calibration, and what holds accuracy afterwards."""
