"""Distillation losses: on the teacher's soft logits, the labels, and the teacher's vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from lilliput.errors import UserError


@dataclass(frozen=True)
class DistillationMix:
    """Weights of the terms of the loss.

    The loss is ``soft * T^2 * KL(teacher || student at temperature T) + hard * cross-entropy + hidden * (1 - cosine)``,
    the first two following Hinton et al. (2015), section 2; the last compares each function's vector, through a learned
    projection, with the teacher's (as DistilBERT aligns hidden states, Sanh et al. 2019, section 3).

    Attributes:
        temperature: T, above 0.
        soft: weight of the teacher's probabilities.
        hard: weight of the labels (examples without a label count only in the other terms).
        hidden: weight of the teacher's vectors.
    """

    temperature: float = 2.0
    soft: float = 1.0
    hard: float = 0.5
    hidden: float = 0.5

    def __post_init__(self) -> None:
        sound = {
            "temperature": (0 < self.temperature < math.inf, "must be above 0"),
            **{part: (0 <= getattr(self, part) < math.inf, "must be 0 or more") for part in ("soft", "hard", "hidden")},
        }
        for name, (fine, complaint) in sound.items():
            if not fine:
                raise UserError(f"{complaint}; it is {getattr(self, name)!r}.", where=f"--{name}")
        if self.soft == self.hard == 0:
            raise UserError(
                "nothing to learn from: the weights of the teacher's probabilities and of the labels are both 0.",
                where="--soft, --hard",
                remedy="Give one of them.",
            )


def soft_loss(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``T^2 * KL`` between the softened distributions, mean over examples ``[n, classes]``."""
    student = functional.log_softmax(logits.float() / temperature, -1)
    target = functional.log_softmax(teacher.float() / temperature, -1)
    return functional.kl_div(student, target, reduction="batchmean", log_target=True) * temperature**2


def hard_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy over the labelled examples (label >= 0); 0 if there are none."""
    known = labels >= 0
    if not bool(known.any()):
        return logits.float().sum() * 0.0
    return functional.cross_entropy(logits.float()[known], labels[known])


def hidden_loss(projected: Tensor, teacher: Tensor) -> Tensor:
    """``1 - cosine`` between vectors ``[functions, teacher hidden]``, mean over functions."""
    return (1.0 - functional.cosine_similarity(projected.float(), teacher.float(), dim=-1)).mean()
