"""How a generator is made small: everything of a quantization that is a choice, with its default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
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

    def fitted(self, groups: Iterable[int]) -> QuantizeSettings:
        """The same, for weights that are stored in ``groups``."""
        return replace(self, activations=self.activations.fitted(groups))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "policy": self.policy.as_dict(),
            "activations": {**self.activations.as_dict(), "emulated": self.activations.emulated(self.policy.linear)},
            "calibration": self.calibration.as_dict(),
        }
