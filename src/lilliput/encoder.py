"""Configuration of a small encoder classifier, shared by the search, the student and its graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.constants import LARGEST, MOST_LAYERS
from lilliput.data_flow import DataFlow
from lilliput.grams import Grams
from lilliput.search.space import Architecture

PAD_ID = 1
"""Token id of padding, as in RoBERTa."""

FRAME_IDS = (0, 2)
"""Token ids that begin and end an input, as in RoBERTa."""

VECTOR_LEVELS, VECTOR_SCALE = 127, 1 / 128
"""A stored vector holds 8-bit integers, -LEVELS to LEVELS, times SCALE: a power of two, so that engines that compute in
bfloat16 or float16 represent them exactly."""

MASKED = -65504.0
"""Attention score of masked places, such as padding: the lowest float16, so that every precision can hold it."""


def reads_on(pooling: str, *tables: Grams | None) -> bool:
    """Whether a student reads beyond what its layers see, through a bag of all tokens or n-grams beside them."""
    return pooling == "wide" or any(tables)


def linear_width(classes: int) -> int:
    """Width of a row of a linear model's table."""
    return 1 if classes == 2 else classes


def linear_outputs(classes: int) -> NDArray[np.float32]:
    """The fixed matrix ``[classes, width]`` that maps a linear model's sums to logits."""
    return np.array([[-0.5], [0.5]] if classes == 2 else np.eye(classes), np.float32)


@dataclass(frozen=True)
class EncoderConfig:
    """A RoBERTa-like encoder with post-layer-norm blocks, and a classification head.

    Attributes:
        architecture: the sizes that the search chooses.
        classes: number of output logits.
        arity: functions per example (1, or 2 for pairs).
        positions: rows of the position table: the number of tokens that the layers see, and the longest input unless
            :attr:`reads_on`; 0: no layers and no embeddings, only n-grams.
        pooling: how token vectors become one: ``first`` (the ``<s>`` token), ``mean`` (over real tokens), or ``wide``:
            the mean, plus the bag of the tokens' own embeddings (their sum over the square root of their number), which
            bypasses all layers to tell which tokens occur (after Wide & Deep, Cheng et al. 2016).
        join: how two vectors become the head's input: ``concat`` (as in the Compressor paper) or ``difference``
            (``[|u - v|, u * v]``, which does not depend on the order of the pair).
        activation: between the feed-forward layers: ``relu`` (fastest as integers) or ``gelu`` (as in RoBERTa).
        norm_epsilon: added to the variance in layer norms.
        vector: width of a function's vector, a linear layer and a tanh after pooling, with each value rounded to a
            multiple of :data:`VECTOR_SCALE` so that 8 bits hold it; 0: the pooled floating-point vector itself.
        grams: a table of n-grams; the rows of a function's distinct n-grams, combined as
            :attr:`~lilliput.grams.Grams.scale` says, are concatenated to the pooled tokens (the wide part of Wide &
            Deep); ``None``: no table.
        linear: the table of a linear model of n-grams, whose logits are added to the network's, or used alone if there
            is no network; single functions only. A row has one number per class, or a single one for two classes: how
            much likelier it makes the second (:func:`linear_width`).
        data_flow: data-flow nodes that the layers see beside tokens; ``None``: no nodes. A node's embedding is the mean
            of its token's embeddings, plus one vector that all nodes share instead of a position's (GraphCodeBERT, Guo
            et al. 2021, section 4.1); attention is masked by M of its section 4.2; pooling includes nodes.
    """

    architecture: Architecture
    classes: int = 2
    arity: int = 1
    positions: int = 512
    pooling: str = "mean"
    join: str = "difference"
    activation: str = "relu"
    norm_epsilon: float = 1e-5
    vector: int = 0
    grams: Grams | None = None
    linear: Grams | None = None
    data_flow: DataFlow | None = None

    @property
    def reads_on(self) -> bool:
        """Whether inputs may be longer than ``positions``."""
        return reads_on(self.pooling, self.grams, self.linear)

    @property
    def layered(self) -> bool:
        """Whether the model has layers."""
        return self.positions > 0

    @property
    def network(self) -> bool:
        """Whether there is more than a linear model."""
        return self.layered or self.grams is not None

    @property
    def tables(self) -> dict[str, Grams]:
        """The n-gram tables, by weight name."""
        found = {"grams": self.grams, "linear": self.linear}
        return {name: table for name, table in found.items() if table}

    @property
    def pooled(self) -> int:
        """Width of the pooled vector: the tokens' part and the n-grams'."""
        return (self.architecture.hidden if self.layered else 0) + (self.grams.width if self.grams else 0)

    @property
    def width(self) -> int:
        """Width of a function's vector: the network's part, then the linear model's."""
        return (self.vector or self.pooled) + (self.linear.width if self.linear else 0)

    @property
    def features(self) -> int:
        """Width of the network's head's input."""
        return (self.vector or self.pooled) * self.arity

    @property
    def parameters(self) -> int:
        """Number of weights, biases included, over all parts."""
        return sum(math.prod(shape) for shape in self.shapes().values())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """The inverse of :meth:`as_dict`."""
        parts: dict[str, Any] = {"architecture": Architecture(**values["architecture"])}
        for name, kind in {"grams": Grams, "linear": Grams, "data_flow": DataFlow}.items():
            stored = values.get(name)
            parts[name] = None if stored is None else kind(**stored)
        return cls(**{**values, **parts})

    def check(self, require: Callable[[bool, str, str], None]) -> None:
        """Check every field, and that the fields are consistent.

        Args:
            require: called with whether a condition holds, the field's name, and what the field must be.
        """
        sizes = {**self.architecture.as_dict(), "classes": self.classes, "positions": self.positions}
        absent = set() if self.network else {"hidden"}
        absent |= {"layers", "intermediate", "positions"} if self.tables and self.positions == 0 else set()
        for name, size in sizes.items():
            require(type(size) is int and (name not in absent) <= size <= LARGEST, name, "a positive whole number")
        require(self.architecture.hidden % self.architecture.heads == 0, "hidden", "a multiple of 'heads'")
        require(self.architecture.layers <= MOST_LAYERS, "layers", f"at most {MOST_LAYERS:,}")
        require(type(self.arity) is int and self.arity in (1, 2), "arity", "1 or 2")
        require(type(self.vector) is int and 0 <= self.vector <= LARGEST, "vector", "a whole number, 0 or more")
        require(isinstance(self.norm_epsilon, float), "norm_epsilon", "a number")
        for name in ("pooling", "join", "activation"):
            word = getattr(self, name)
            require(isinstance(word, str) and bool(word), name, "a word")
        if self.linear:
            require(self.arity == 1, "linear", "left out where an example joins two functions")
            require(self.linear.width == linear_width(self.classes), "linear", "as wide as the classes need")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every weight, in the order of computation. Linear weights are ``[out, in]``."""
        size = self.architecture
        hidden, inner = size.hidden, size.intermediate
        table: dict[str, tuple[int, ...]] = {}

        def linear(name: str, out: int, width: int) -> None:
            table[f"{name}.weight"] = (out, width)
            table[f"{name}.bias"] = (out,)

        def norm(name: str) -> None:
            table[f"{name}.weight"] = table[f"{name}.bias"] = (hidden,)

        if self.layered:
            table["embeddings.token.weight"] = (size.vocabulary, hidden)
            table["embeddings.position.weight"] = (self.positions, hidden)
            if self.data_flow:
                table["embeddings.node"] = (hidden,)
            norm("embeddings.norm")
        for index in range(size.layers if self.layered else 0):
            layer = f"layers.{index}"
            for part in ("query", "key", "value", "output"):
                linear(f"{layer}.attention.{part}", hidden, hidden)
            norm(f"{layer}.attention_norm")
            linear(f"{layer}.up", inner, hidden)
            linear(f"{layer}.down", hidden, inner)
            norm(f"{layer}.output_norm")
        if self.grams:
            table["grams.weight"] = (self.grams.rows, self.grams.width)
        if self.vector:
            linear("projection", self.vector, self.pooled)
        if self.network:
            linear("head.dense", hidden, self.features)
            linear("head.out", self.classes, hidden)
        if self.linear:
            table["linear.weight"] = (self.linear.rows, self.linear.width)
            table["linear.bias"] = (self.classes,)
        return table
