"""How the inputs of matrix products are rounded, and the engine's settings that do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lilliput.errors import UserError
from lilliput.quantize.observe import MSE, OBSERVERS
from lilliput.quantize.weights import ROW, TENSOR, Scheme

NONE, DYNAMIC, TOKEN, STATIC = "none", "dynamic", "token", "static"

MODES = (NONE, DYNAMIC, TOKEN, STATIC)


@dataclass(frozen=True)
class Activations:
    """How inputs of matrix products are rounded.

    ``token`` and ``static`` are for the layers of blocks: the output layer multiplies float32.

    Attributes:
        mode: ``none``: they are float32. ``dynamic``: 8 bits, with a scale for each ``group`` of each token's values,
            found while running; the engine computes the products in integers. ``token``: 8 bits, with a scale for all
            values of a token, found while running, by operations of the graph. ``static``: 8 bits, with one range for
            all values of a layer's input, found by calibration.
        group: see ``dynamic``.
        calibration: how ``static`` finds ranges: a name in :data:`~lilliput.quantize.observe.OBSERVERS`.
    """

    mode: str = DYNAMIC
    group: int = 32
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
        """Refuse what takes more time than leaving inputs as they are.

        Raises:
            UserError: it is emulated; the message says which choice is fast.
        """
        if not self.emulated(weights):
            return
        why, fast = {
            TOKEN: ("one scale a token is none of the engine's", f"{DYNAMIC} has scales for groups, and does"),
            STATIC: (
                "the engine does that with int8 weights of a scale a row, without zero points",
                "leave out --weights, --group and --asymmetric",
            ),
        }[self.mode]
        raise UserError(
            f"{self.mode} would not multiply integers but emulate them, slower than --activations {NONE}: {why}.",
            where="--activations",
            remedy=f"Choose another ({fast}), or add --allow-slow to study what it does to accuracy.",
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "mode": self.mode,
            "group": self.group if self.mode == DYNAMIC else None,
            "calibration": self.calibration if self.mode == STATIC else None,
            "engine": self.engine(),
        }
