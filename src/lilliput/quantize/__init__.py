"""Quantization: what is stored how, how codes are found, calibration, and what holds accuracy afterwards."""
