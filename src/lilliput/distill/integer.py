"""From a trained student to its integer graph: calibrate, and fine-tune with rounding where that loses accuracy."""

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
"""Functions run through the model to find the ranges of its activations."""

CALIBRATION_TOKENS = 8192
"""Tokens a batch of them."""

CLIPS = (0.0, 1e-4, 1e-3)
"""Shares of values left outside each end of a range, to choose from on validation data."""


@dataclass(frozen=True)
class IntegerModel:
    """A quantized model.

    Attributes:
        graph: the ONNX file.
        ranges: of its activations.
        accuracy: on validation data, in the engine.
        clip: share of values left outside each range.
        method: ``calibration``, ``quantization-aware``, or ``none`` where floating point is kept.
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
        accuracy_of: accuracy on validation data of an ONNX file, run in the engine.
        seed: of the choice of functions.
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
    """From here on the student computes as the integer graph will, so that training adapts to it."""
    rounding = FakeQuantizer(precision, ranges)
    student.on_weight, student.on_activation = rounding.weight, rounding.activation


def make_floating_point(student: Student) -> None:
    """The inverse of :func:`make_quantization_aware`."""
    student.on_weight = student.on_activation = unchanged
