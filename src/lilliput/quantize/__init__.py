"""Quantization: storage policies, rounding methods, and calibration."""
