"""Quantize a trained student: calibration, and quantization-aware fine-tuning where calibration loses accuracy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from lilliput.batching import TokenIds
from lilliput.distill.student import Student, unchanged
from lilliput.formats.precision import ActivationRange, Precision
from lilliput.graph.onnx_encoder import encoder_graph
from lilliput.quantize.hooks import FakeQuantizer, RangeObserver
from lilliput.runtime.tokens import length_buckets

CALIBRATION_FUNCTIONS = 512
"""Functions in the calibration set for activation ranges."""

CALIBRATION_TOKENS = 8192
"""Tokens in a calibration batch."""

CLIPS = (0.0, 1e-4, 1e-3)
"""Candidate fractions of values clipped at each end of a range; validation data choose between them."""


@dataclass(frozen=True)
class IntegerModel:
    """A quantized model.

    Attributes:
        graph: the ONNX file.
        ranges: activation ranges.
        accuracy: on validation data, run in the engine.
        clip: fraction of values clipped at each end of a range.
        method: ``calibration``, ``quantization-aware``, or ``none`` if the model stays in floating point.
    """

    graph: bytes
    ranges: dict[str, ActivationRange]
    accuracy: float
    clip: float
    method: str


def observe_ranges(student: Student, tokens: TokenIds, clip: float, seed: int) -> dict[str, ActivationRange]:
    """Ranges of the student's activations over :data:`CALIBRATION_FUNCTIONS` functions drawn from ``tokens``."""
    chosen = np.random.default_rng(seed).permutation(len(tokens.ids))[:CALIBRATION_FUNCTIONS]
    lengths = tokens.lengths_of(chosen).tolist()
    observer = RangeObserver(clip)
    student.eval()
    student.on_activation = observer
    try:
        with torch.no_grad():
            for rows in length_buckets(lengths, CALIBRATION_TOKENS):
                functions = chosen[rows]
                ids = tokens.padded(functions)
                student.vectors(ids, tokens.mask(functions, ids.shape[1]), tokens.nodes(functions))
    finally:
        student.on_activation = unchanged
    return observer.ranges()


def calibrated(
    student: Student,
    tokens: TokenIds,
    precision: Precision,
    accuracy_of: Callable[[bytes], float],
    seed: int,
    method: str = "calibration",
) -> IntegerModel:
    """The most accurate integer graph among the :data:`CLIPS`.

    Args:
        student: trained.
        tokens: functions to calibrate on.
        precision: of the weights. Activations are 8 bits with 8-bit weights, floating point otherwise.
        accuracy_of: returns the validation accuracy of an ONNX file, run in the engine.
        seed: for drawing the functions.
        method: recorded in the result.
    """
    weights = student.export()
    if precision.bits != 8:
        graph = encoder_graph(student.config, weights, precision).SerializeToString()
        return IntegerModel(graph, {}, accuracy_of(graph), 0.0, method)
    models = []
    for clip in CLIPS:
        ranges = observe_ranges(student, tokens, clip, seed)
        graph = encoder_graph(student.config, weights, precision, ranges).SerializeToString()
        models.append(IntegerModel(graph, ranges, accuracy_of(graph), clip, method))
    return max(models, key=lambda model: model.accuracy)


def make_quantization_aware(student: Student, precision: Precision, ranges: dict[str, ActivationRange]) -> None:
    """Make the student compute as the integer graph will, so that training adapts to rounding."""
    rounding = FakeQuantizer(precision, ranges)
    student.on_weight, student.on_activation = rounding.weight, rounding.activation


def make_floating_point(student: Student) -> None:
    """The inverse of :func:`make_quantization_aware`."""
    student.on_weight = student.on_activation = unchanged
