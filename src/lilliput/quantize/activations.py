"""How the inputs of matrix products are rounded, and the engine's settings that do it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from lilliput.errors import UserError
from lilliput.formats.weights import ROW, TENSOR, Format, Scheme
from lilliput.quantize.observe import MSE, OBSERVERS

NONE, DYNAMIC, TOKEN, STATIC = "none", "dynamic", "token", "static"

MODES = (NONE, DYNAMIC, TOKEN, STATIC)


def default_mode(weights: Format) -> str:
    """How inputs are rounded where nobody says it: not at all beside floating-point weights.

    Such a model is the original that others are compared with: its keys and values are float32, too.
    """
    return NONE if weights.floating else DYNAMIC


@dataclass(frozen=True)
class Activations:
    """How inputs of matrix products are rounded.

    ``token`` and ``static`` are for the layers of blocks: the output layer multiplies float32.

    Attributes:
        mode: ``none``: they are float32. ``dynamic``: 8 bits, with a scale for each ``group`` of each token's values,
            found while running; the engine computes the products in integers. ``token``: 8 bits, with a scale for all
            values of a token, found while running, by operations of the graph. ``static``: 8 bits, with one range for
            all values of a layer's input, found by calibration.
        group: see ``dynamic``. Larger ones are faster: 128 decodes 1.15 times as fast as 32 and reads a prompt 1.2
            times as fast (0.5 B, int8), and costs 0.2 % of perplexity there, with 135 M weights at most 1.5 %.
        calibration: how ``static`` finds ranges: a name in :data:`~lilliput.quantize.observe.OBSERVERS`.
    """

    mode: str = DYNAMIC
    group: int = 128
    calibration: str = MSE

    def __post_init__(self) -> None:
        for option, value, known in (
            ("--activations", self.mode, MODES),
            ("--activation-calibration", self.calibration, OBSERVERS),
        ):
            if value not in known:
                raise UserError(
                    f"there is none called '{value}'.", where=option, remedy=f"Choose one of: {', '.join(known)}."
                )
        if self.group < 16 or self.group % 16:
            raise UserError(
                f"{self.group} is no size of a group.",
                where="--activation-group",
                remedy="Choose a multiple of 16.",
            )

    def fitted(self, groups: Iterable[int]) -> Activations:
        """The same for weights in ``groups``: with a larger group than theirs the engine takes twice as long to read a
        prompt."""
        least = min((group for group in groups if group > 0), default=self.group)
        return replace(self, group=max(16, min(self.group, least) // 16 * 16))

    def engine(self) -> dict[str, Any]:
        """Properties of the CPU plugin. Without the hint it computes in bfloat16 where the processor can, and then
        rounds nothing. Keys and values of 8 bits change the perplexity of a 135 M model by less than 0.02 %."""
        group = self.group if self.mode == DYNAMIC else 0
        return {
            "INFERENCE_PRECISION_HINT": "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": group,
            "KV_CACHE_PRECISION": "f32" if self.mode == NONE else "u8",
        }

    def emulated(self, weights: Scheme) -> bool:
        """Whether inputs are rounded by the graph, and still multiplied by ``weights`` in floating point."""
        if self.mode == STATIC:
            return not (weights.format == "int8" and weights.symmetric and weights.group in (ROW, TENSOR))
        return self.mode == TOKEN

    def refuse_slow(self, weights: Scheme) -> None:
        """Refuse what costs accuracy and saves no time.

        Raises:
            UserError: it is emulated; the message says which choice is fast.
        """
        if not self.emulated(weights):
            return
        why, fast = {
            TOKEN: ("the engine multiplies no integers with a scale for each token", f"choose {DYNAMIC}"),
            STATIC: (
                "its integers are multiplied only with int8 weights of a scale a row, without zero points",
                f"choose such weights, or {DYNAMIC}",
            ),
        }[self.mode]
        raise UserError(
            f"{self.mode} would be emulated in floating point, and save no time: {why}.",
            where="--activations",
            remedy=f"To be fast, {fast}; to study what it does to accuracy, add --allow-slow.",
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "mode": self.mode,
            "group": self.group if self.mode == DYNAMIC else None,
            "calibration": self.calibration if self.mode == STATIC else None,
            "engine": self.engine(),
        }
