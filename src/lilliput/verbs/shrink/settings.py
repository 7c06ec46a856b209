"""Settings of a shrink, with their defaults, and the choices they leave to the data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lilliput.batching import BatchPlan
from lilliput.bpe import SMALLEST_VOCABULARY
from lilliput.constants import LARGEST_SEED
from lilliput.data.dataset import Dataset
from lilliput.data_flow import MOST_NODES
from lilliput.distill.linear import Linear
from lilliput.distill.losses import DistillationMix
from lilliput.errors import UserError, refuse_absurd, refuse_unused
from lilliput.formats.precision import PRECISIONS
from lilliput.grams import Grams
from lilliput.search import DEFAULT_OBJECTIVE, OBJECTIVES

POOLINGS = ("first", "mean", "wide")
"""Options of :class:`~lilliput.encoder.EncoderConfig`."""

POOLING = {1: "mean", 2: "wide"}
"""Functions per example -> how a student pools their tokens. ``wide`` did better for pairs in
``benchmarks/results/student.json``; for single functions one epoch of Devign showed no gain, so they keep ``mean``."""

FUNCTIONS = 256
"""Functions per training batch of pairs, if pairs are dense; see :func:`batch_plan_for`."""

LEAST_TOKENS, MOST_TOKENS = 16, 8192
"""Bounds of the longest input."""

MOST_ATTENDED = 512
"""Maximum number of tokens that layers see."""

QUANTIZATIONS = ("auto", "calibration", "aware")
"""How to find the integers. ``auto``: by calibration if it costs at most half a point of accuracy, else by
quantization-aware fine-tuning if that is better."""


@dataclass(frozen=True)
class ShrinkSettings:
    """How to make a student.

    Attributes:
        precision: weight format.
        objective: what ranks architectures; a name in :data:`lilliput.search.OBJECTIVES`.
        candidates: number of architectures to try in short distillations.
        trial_share: share of the final training's examples that each candidate gets in the first round.
        epochs: passes over the data in the final distillation.
        learning_rate: its peak learning rate.
        batch: examples per step.
        max_tokens: maximum input length, special tokens included. The layers see the first ``attended`` of them;
            ``wide`` pooling and n-grams (``grams``) see all.
        attended: maximum number of tokens that the layers see; 0: no layers, the student is a bag of n-grams.
        dropout: dropout probability.
        pooling: an option of :class:`~lilliput.encoder.EncoderConfig`; ``None``: :data:`POOLING` of the task's arity.
        vector: number of 8-bit values in a function's stored vector, as in an index; 0: the pooled vector in floating
            point.
        functions: distinct functions per training batch, or 0; ``None``: chosen by :func:`batch_plan_for`.
        grams: the table of n-grams beside the layers (:class:`~lilliput.grams.Grams`); ``None``: there is none.
        grams_dropout: probability that an n-gram of a function is dropped in a step; ``None``: ``dropout``.
        linear: a linear model of n-grams (:class:`~lilliput.distill.linear.Linear`) beside the network, their logits
            averaged; or alone, without layers (``attended`` 0) and ``grams``, and then without optimizer steps.
            ``None``: there is none.
        data_flow: maximum number of data-flow nodes that the layers see besides the tokens; 0: none.
        mix: weights of the losses, all or some by name; :func:`mix_for` supplies the rest.
        quantization: a name in :data:`QUANTIZATIONS`.
        aware_epochs: passes of quantization-aware fine-tuning, if needed.
        aware_learning_rate: its peak learning rate.
        smallest_vocabulary: smallest vocabulary of the tokenizers considered.
        largest_vocabulary: largest vocabulary considered.
        robust: share of the training examples that the student sees a second time with rewritten functions, with the
            label and the teacher's outputs of the original.
        language: language of the functions, for ``robust`` and ``data_flow``; ``None``: detected by
            :func:`lilliput.verbs.robustness.spoken`.
        seed: random seed.
    """

    precision: str = "int8"
    objective: str = DEFAULT_OBJECTIVE
    candidates: int = 5
    trial_share: float = 0.06
    epochs: int = 10
    learning_rate: float = 5e-4
    batch: int = 32
    max_tokens: int = 400
    attended: int = MOST_ATTENDED
    dropout: float = 0.1
    pooling: str | None = None
    vector: int = 0
    functions: int | None = None
    grams: Grams | None = None
    grams_dropout: float | None = None
    linear: Linear | None = None
    data_flow: int = 0
    mix: DistillationMix | dict[str, float] | None = None
    quantization: str = "auto"
    aware_epochs: int = 1
    aware_learning_rate: float = 5e-5
    smallest_vocabulary: int = SMALLEST_VOCABULARY
    largest_vocabulary: int = 8000
    robust: float = 0.0
    language: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        known = {"precision": PRECISIONS, "objective": OBJECTIVES, "quantization": QUANTIZATIONS}
        known |= {} if self.pooling is None else {"pooling": POOLINGS}
        for name, table in known.items():
            if getattr(self, name) not in table:
                raise UserError(
                    f"unknown value '{getattr(self, name)}'.",
                    where=f"--{name}",
                    remedy=f"Choose one of: {', '.join(table)}.",
                )
        sound = {
            "candidates": (self.candidates >= 1, "must be at least 1"),
            "trial_share": (0 < self.trial_share < math.inf, "must be above 0"),
            "epochs": (self.epochs >= 1, "must be at least 1"),
            "learning_rate": (0 < self.learning_rate < math.inf, "must be above 0"),
            "batch": (self.batch >= 1, "must be at least 1"),
            "max_tokens": (LEAST_TOKENS <= self.max_tokens <= MOST_TOKENS, f"must be {LEAST_TOKENS} to {MOST_TOKENS}"),
            "attended": (
                self.attended == 0 or LEAST_TOKENS <= self.attended <= MOST_ATTENDED,
                f"must be {LEAST_TOKENS} to {MOST_ATTENDED}, or 0 for no layers",
            ),
            "vector": (0 <= self.vector <= 1024, "must be 0 to 1024"),
            "data_flow": (0 <= self.data_flow <= MOST_NODES, f"must be 0 to {MOST_NODES}"),
            "functions": (self.functions is None or self.functions >= 0, "must be at least 0"),
            "dropout": (0 <= self.dropout < 1, "must be at least 0 and below 1"),
            "grams_dropout": (
                self.grams_dropout is None or 0 <= self.grams_dropout < 1,
                "must be at least 0 and below 1",
            ),
            "aware_epochs": (self.aware_epochs >= 1, "must be at least 1"),
            "aware_learning_rate": (0 < self.aware_learning_rate < math.inf, "must be above 0"),
            "smallest_vocabulary": (
                SMALLEST_VOCABULARY <= self.smallest_vocabulary <= self.largest_vocabulary,
                f"must be {SMALLEST_VOCABULARY} to {self.largest_vocabulary}, the largest",
            ),
            "largest_vocabulary": (self.largest_vocabulary >= SMALLEST_VOCABULARY, "is too small for every byte"),
            "robust": (0 <= self.robust <= 1, "must be a share, 0 to 1"),
            "seed": (0 <= self.seed <= LARGEST_SEED, "must be at least 0 and below 2^63"),
        }
        for name, (fine, complaint) in sound.items():
            if not fine:
                option = f"--{name.replace('_', '-')}"
                raise UserError(f"{complaint}; it is {getattr(self, name)!r}.", where=option)
        refuse_absurd(vars(self))
        integers, reads_language = PRECISIONS[self.precision].bits < 32, self.robust or self.data_flow
        aware = integers and self.quantization != "calibration"
        refuse_unused(
            {
                "--language": (self.language is not None and not reads_language, "goes with --robust or --data-flow"),
                "--grams-dropout": (self.grams_dropout is not None and self.grams is None, "goes with --grams"),
                "--quantization": (
                    self.quantization != ShrinkSettings.quantization and not integers,
                    "goes with --precision int8 or int4",
                ),
                "--aware-epochs": (
                    self.aware_epochs != ShrinkSettings.aware_epochs and not aware,
                    "goes with --quantization auto or aware, and integers",
                ),
            }
        )
        mix = mix_for(np.zeros(1, np.int64), self.mix)
        if not self.network and self.linear:
            self._refuse_network(mix)
        elif not self.network:
            raise UserError(
                "a student without layers reads only n-grams, and there are none.",
                where="--attended",
                remedy="Add a table of n-grams, such as --grams order=2,bits=14,width=128, or raise --attended.",
            )
        if not self.attended and self.data_flow:
            raise UserError(
                "a student without layers cannot read data flow.",
                where="--data-flow",
                remedy="Leave it out, or raise --attended.",
            )
        if not self.attended and self.pooling is not None:
            raise UserError(
                "a student without layers has nothing to pool.",
                where="--pooling",
                remedy="Leave it out, or raise --attended.",
            )

    @property
    def network(self) -> bool:
        """Whether there is more than a linear model."""
        return self.attended > 0 or self.grams is not None

    def _refuse_network(self, mix: DistillationMix) -> None:
        """Refuse options that a linear model alone does not use."""
        plain = ShrinkSettings()
        differ = {name: getattr(self, name) != getattr(plain, name) for name in _OF_NETWORKS}
        differ |= {"hidden": bool(mix.hidden), "quantization": self.quantization == "aware"}
        words = "is for networks, not for --linear alone"
        refuse_unused({f"--{name.replace('_', '-')}": (given, words) for name, given in differ.items()})


_OF_NETWORKS = (
    *("epochs", "learning_rate", "batch", "functions", "dropout", "aware_epochs", "aware_learning_rate"),
    *("grams_dropout", "pooling", "vector", "data_flow"),
)
"""Settings that only networks use."""


def batch_plan_for(settings: ShrinkSettings, train: Dataset) -> BatchPlan:
    """How to split the training data into batches.

    Pairs are batched by sets of functions (:attr:`BatchPlan.functions`) if such a set has at least ``settings.batch``
    pairs on average: on BigCloneBench (28 pairs per function) this made a prototype more accurate on functions not seen
    in training, with fewer functions encoded (``docs/research/clone.md``).
    """
    functions = settings.functions
    if functions is None:
        among = len(train) * (FUNCTIONS / max(len(train.texts), 1)) ** 2
        functions = FUNCTIONS if train.arity == 2 and among >= settings.batch else 0
    return BatchPlan(examples=settings.batch, functions=functions, seed=settings.seed)


LABELS_ALONE = DistillationMix(soft=0.0, hard=1.0, hidden=0.0)


def mix_for(labels: NDArray[np.int64], asked: DistillationMix | Mapping[str, float] | None = None) -> DistillationMix:
    """Loss weights of a student: the requested ones, completed by what suits the data best.

    If every example has a label, labels alone: in ``benchmarks/results/student*.json`` (clone pairs, students of 1 x
    128) they beat the mix by 1.7 points with a teacher no better than its students (86 %, 2 seeds), and equalled it
    with a teacher that had seen four times the pairs (91 %; 87.7 against 87.6, 3 seeds). If some labels are missing,
    the teacher's outputs as well: three times as many pairs without labels gained 2.1 to 2.6 points (2 seeds), and the
    three mixes that can use them did not differ beyond the spread of the seeds.

    Args:
        labels: labels of the training examples, ``-1`` if missing.
        asked: weights, all or some by name. With ``soft``, ``hidden`` or ``temperature``, or a ``hard`` of 0, the
            teacher is used; with a ``soft`` of 0 and no ``hidden``, only labels are.

    Raises:
        UserError: weights that teach nothing or are invalid, or a temperature without a weight for the probabilities.
    """
    if isinstance(asked, DistillationMix):
        return asked
    asked = dict(asked or {})
    known = [field.name for field in dataclasses.fields(DistillationMix)]
    for name in asked:
        if name not in known:
            raise UserError(f"there is no weight '{name}'.", where="mix", remedy=f"Weights: {', '.join(known)}.")
    if asked.get("soft") == 0:
        refuse_unused({"--temperature": ("temperature" in asked, "goes with a --soft above 0")})
        alone = not asked.get("hidden")
    else:
        teaches = asked.keys() & {"soft", "temperature"} or asked.get("hidden") or asked.get("hard") == 0
        alone = bool((labels >= 0).all()) and not teaches
    return dataclasses.replace(LABELS_ALONE if alone else DistillationMix(), **asked)
