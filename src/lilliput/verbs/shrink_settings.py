"""How a student is made: everything of a shrink that is a choice, with its default."""

from __future__ import annotations

from dataclasses import dataclass, field

from lilliput.distill.losses import DistillationMix
from lilliput.errors import UserError
from lilliput.search import DEFAULT_OBJECTIVE

POOLING = {1: "mean", 2: "wide"}
"""Functions an example joins -> how a student pools their tokens: what did best in ``benchmarks/student.py``."""

QUANTIZATIONS = ("auto", "calibration", "aware")
"""How integers are found. ``auto``: by calibration if it costs at most :data:`TOLERANCE`, else by quantization-aware
fine-tuning where that is better."""


@dataclass(frozen=True)
class ShrinkSettings:
    """How a student is made. The defaults come from a few probes, not from a study: none is committed yet.

    Attributes:
        precision: how weights are stored.
        objective: what ranks architectures, a name in :data:`lilliput.search.OBJECTIVES`.
        candidates: architectures that short distillations choose between.
        trial_share: of the final training's examples, what each candidate gets in the first round.
        epochs: passes over the data in the final distillation.
        learning_rate: its peak.
        batch: examples a step.
        max_tokens: longest input, special tokens included.
        dropout: probability.
        pooling: an option of :class:`~lilliput.encoder.EncoderConfig`; ``None``: :data:`POOLING` of the task's arity.
        mix: weights of the losses.
        quantization: a name in :data:`QUANTIZATIONS`.
        aware_epochs: passes of quantization-aware fine-tuning, where it is needed.
        aware_learning_rate: its peak.
        largest_vocabulary: of the tokenizers considered.
        seed: of everything random.
    """

    precision: str = "int8"
    objective: str = DEFAULT_OBJECTIVE
    candidates: int = 5
    trial_share: float = 0.06
    epochs: int = 10
    learning_rate: float = 5e-4
    batch: int = 32
    max_tokens: int = 400
    dropout: float = 0.1
    pooling: str | None = None
    mix: DistillationMix = field(default_factory=DistillationMix)
    quantization: str = "auto"
    aware_epochs: int = 1
    aware_learning_rate: float = 5e-5
    largest_vocabulary: int = 8000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.quantization not in QUANTIZATIONS:
            raise UserError(
                f"there is no way to quantize called '{self.quantization}'.",
                where="--quantization",
                remedy=f"Choose one of: {', '.join(QUANTIZATIONS)}.",
            )
