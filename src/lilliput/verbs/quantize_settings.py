"""How a generator is made small: everything of a quantization that is a choice, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lilliput.quantize.activations import Activations
from lilliput.quantize.calibration import Calibration
from lilliput.quantize.policy import Policy, policy


@dataclass(frozen=True)
class QuantizeSettings:
    """How a generator is made small.

    Attributes:
        policy: how weights are stored.
        activations: how inputs of matrix products are rounded.
        calibration: what GPTQ, AWQ and static ranges look at.
    """

    policy: Policy = field(default_factory=policy)
    activations: Activations = field(default_factory=Activations)
    calibration: Calibration = field(default_factory=Calibration)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "policy": self.policy.as_dict(),
            "activations": {**self.activations.as_dict(), "emulated": self.activations.emulated(self.policy.linear)},
            "calibration": self.calibration.as_dict(),
        }
