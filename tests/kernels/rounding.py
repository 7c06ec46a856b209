"""What the kernels should compute, in float64 numpy."""

import numpy as np


def rounded(values, group):
    """Inputs as the kernels multiply them: symmetric 8 bits, with a scale for each group of a token's values."""
    grouped = values.astype(np.float64).reshape(*values.shape[:-1], -1, group)
    largest = np.abs(grouped).max(-1, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1)
    return (np.rint(grouped / scale) * scale).reshape(values.shape)


def slack(values, group):
    """The error that ties allow: one step for each value halfway between two codes."""
    grouped = values.astype(np.float64).reshape(*values.shape[:-1], -1, group)
    scale = np.abs(grouped).max(-1, keepdims=True) / 127
    place = np.divide(grouped, scale, out=np.zeros_like(grouped), where=scale > 0)
    ties = np.abs(np.abs(place - np.floor(place)) - 0.5) < 1e-4
    return (ties * scale).reshape(values.shape)
