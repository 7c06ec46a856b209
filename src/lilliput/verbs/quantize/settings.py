"""Settings of a quantization, with their defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lilliput.formats.weights import CALIBRATED
from lilliput.quantize.activations import STATIC, Activations, default_mode
from lilliput.quantize.calibration import Calibration
from lilliput.quantize.policy import Policy, policy
from lilliput.study.point import Point
from lilliput.study.recipe import read_recipe


@dataclass(frozen=True)
class QuantizeSettings:
    """How to quantize a generator.

    Attributes:
        policy: how weights are stored.
        activations: how inputs of matrix products are rounded; ``None``: the default for the weights
            (:func:`~lilliput.quantize.activations.default_mode`).
        calibration: calibration data for GPTQ, AWQ and static ranges.
        recipe: name and hash of the recipe that the settings come from, for the artifact's provenance; ``None``: none.
    """

    policy: Policy = field(default_factory=policy)
    activations: Activations | None = None
    calibration: Calibration = field(default_factory=Calibration)
    recipe: Mapping[str, str] | None = None

    @classmethod
    def of_point(cls, point: Point, recipe: Mapping[str, str] | None = None) -> QuantizeSettings:
        """The settings of a point of a study or a recipe."""
        return cls(point.policy, point.activation, point.calibration, recipe)

    @classmethod
    def of_recipe(cls, path: str | Path) -> QuantizeSettings:
        """The settings in a recipe file.

        Raises:
            UserError: the file is not a recipe; the message names file and key.
        """
        recipe = read_recipe(path)
        return cls.of_point(recipe.point, recipe.source)

    @property
    def inputs(self) -> Activations:
        """How inputs of matrix products are rounded, as set or by default."""
        return self.activations or Activations(default_mode(self.policy.linear.kind))

    @property
    def calibrated(self) -> bool:
        """Whether calibration data are needed."""
        return self.policy.linear.rounding in CALIBRATED or self.inputs.mode == STATIC

    def fitted(self, groups: Iterable[int]) -> QuantizeSettings:
        """The same settings, fitted to weights stored in ``groups``."""
        return replace(self, activations=self.inputs.fitted(groups))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "policy": self.policy.as_dict(),
            "activations": {**self.inputs.as_dict(), "emulated": self.inputs.emulated(self.policy.linear)},
            "calibration": self.calibration.as_dict(),
        }
