"""Calibration of students: run the model on examples, and record the range of every activation to quantize.

The two hooks here are the torch side of :mod:`lilliput.formats.precision`: one observes ranges, the other rounds as the
integer graph will, with a straight-through estimator for gradients (quantization-aware training; Jacob et al., CVPR
2018, section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from lilliput.formats.precision import PRECISIONS, ActivationRange, Precision

SAMPLES = 4096
"""Values of each activation and batch used for percentiles."""


@dataclass
class RangeObserver:
    """Collects the ranges of activations; use it as a student's ``on_activation``.

    Attributes:
        clip: share of values left outside the range at each end; 0 keeps the extremes.
    """

    clip: float = 0.0
    _lows: dict[str, list[Tensor]] = field(default_factory=dict)
    _highs: dict[str, list[Tensor]] = field(default_factory=dict)

    def __call__(self, name: str, value: Tensor) -> Tensor:
        """Record the range of ``value``, and return ``value`` unchanged."""
        flat = value.detach().float().flatten()
        if self.clip:
            step = max(1, flat.numel() // SAMPLES)
            ends = torch.quantile(flat[::step], torch.tensor([self.clip, 1 - self.clip]))
        else:
            ends = torch.stack((flat.min(), flat.max()))
        self._lows.setdefault(name, []).append(ends[0])
        self._highs.setdefault(name, []).append(ends[1])
        return value

    def ranges(self) -> dict[str, ActivationRange]:
        """Name -> range: over all batches, the extremes (``clip`` 0) or the mean of the percentiles."""
        reduce_low = torch.mean if self.clip else torch.min
        reduce_high = torch.mean if self.clip else torch.max
        return {
            name: ActivationRange(
                min(0.0, float(reduce_low(torch.stack(self._lows[name])))),
                max(0.0, float(reduce_high(torch.stack(self._highs[name])))),
            )
            for name in self._lows
        }


@dataclass(frozen=True)
class FakeQuantizer:
    """Rounds weights and activations as the integer graph will.

    Attributes:
        precision: precision of the weights.
        ranges: ranges of the activations, by name; activations without one stay floating point.
    """

    precision: Precision
    ranges: Mapping[str, ActivationRange]

    def activation(self, name: str, value: Tensor) -> Tensor:
        """A student's ``on_activation``: 8 bits over the calibrated range."""
        if name not in self.ranges:
            return value
        found = self.ranges[name]
        return torch.fake_quantize_per_tensor_affine(value.float(), found.scale, found.zero_point, 0, 255)

    def weight(self, name: str, value: Tensor) -> Tensor:
        """A student's ``on_weight``: symmetric, one scale per row or group; the output layer stays floating point.

        An n-gram table comes as one row, and is stored as :func:`~lilliput.grams.table_storage` says.
        """
        if self.precision.bits == 32 or name == "head.out":
            return value
        if name == "linear":
            return value.half().float()
        precision = PRECISIONS["int8"] if name == "grams" else self.precision
        largest, group = precision.largest, precision.group or value.shape[1]
        padded = torch.nn.functional.pad(value, (0, -value.shape[1] % group)).view(value.shape[0], -1, group)
        scale = padded.detach().abs().amax(-1, keepdim=True).clamp_min(1e-12) / largest
        rounded = (padded / scale).round().clamp(-largest, largest) * scale
        rounded = rounded.flatten(1)[:, : value.shape[1]]
        straight_through: Tensor = value + (rounded - value).detach()
        return straight_through
