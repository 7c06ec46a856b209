"""The student: a small RoBERTa-like encoder with a classification head, in torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lilliput.batching import Nodes
from lilliput.distill.flow import attention_with
from lilliput.encoder import MASKED, VECTOR_LEVELS, VECTOR_SCALE, EncoderConfig, linear_outputs
from lilliput.grams import MEAN_SCALE, NORM_EPSILON

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": functional.relu, "gelu": functional.gelu}

SCALED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": lambda summed, count: summed * (MEAN_SCALE / count),
    "root": lambda summed, count: summed / count.sqrt(),
    "norm": lambda summed, _: functional.layer_norm(summed, summed.shape[-1:], eps=NORM_EPSILON),
}
"""Scalings of :attr:`~lilliput.grams.Grams.scale`, given a sum of rows ``[functions, width]`` and their number."""

Hook = Callable[[str, Tensor], Tensor]
"""Sees a named weight or activation and returns its replacement: for calibration and fake quantization."""


def unchanged(name: str, value: Tensor) -> Tensor:
    """The hook that does nothing."""
    return value


class Student(nn.Module):
    """The encoder of ``config``; parameter names are those of :meth:`EncoderConfig.shapes`.

    Its linear model starts at zero and gets no gradients: :mod:`lilliput.distill.linear` fits it.

    Args:
        config: sizes and options.
        dropout: probability, on sublayer outputs and the head's inputs; attention weights have none.
        seed: of the initial weights.
        grams_dropout: probability that an n-gram of a function is dropped in a step; ``None``: ``dropout``.
    """

    def __init__(
        self, config: EncoderConfig, dropout: float = 0.1, seed: int = 0, grams_dropout: float | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.dropout = dropout
        self.grams_dropout = dropout if grams_dropout is None else grams_dropout
        self.on_weight: Hook = unchanged
        self.on_activation: Hook = unchanged
        generator = torch.Generator().manual_seed(seed)
        self.weights = nn.ParameterDict()
        vocabulary = config.architecture.vocabulary
        self.outputs = torch.from_numpy(linear_outputs(config.classes))
        self.hashes = {name: torch.from_numpy(grams.hashes(vocabulary)) for name, grams in config.tables.items()}
        for name, shape in config.shapes().items():
            value = nn.Parameter(_initial(name, shape, generator, config))
            self.weights[name.replace(".", "/")] = value.requires_grad_(not name.startswith("linear"))

    def weight(self, name: str) -> Tensor:
        """A parameter by its dotted name."""
        return cast("Tensor", self.weights[name.replace(".", "/")])

    def export(self) -> dict[str, NDArray[np.float32]]:
        """Every weight as float32 numpy, by dotted name."""
        return {name: self.weight(name).detach().float().cpu().numpy() for name in self.config.shapes()}

    def load(self, weights: dict[str, NDArray[np.float32]]) -> None:
        """The inverse of :meth:`export`."""
        with torch.no_grad():
            for name in self.config.shapes():
                self.weight(name).copy_(torch.from_numpy(weights[name]))

    def linear(self, value: Tensor, name: str) -> Tensor:
        """``value @ weight.T + bias``."""
        return functional.linear(
            value, self.on_weight(name, self.weight(f"{name}.weight")), self.weight(f"{name}.bias")
        )

    def norm(self, value: Tensor, name: str) -> Tensor:
        """Layer normalization."""
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return functional.layer_norm(value, (self.config.architecture.hidden,), weight, bias, self.config.norm_epsilon)

    def drop(self, value: Tensor) -> Tensor:
        """Dropout during training."""
        return functional.dropout(value, self.dropout, self.training)

    def vectors(self, ids: Tensor, mask: Tensor, nodes: Nodes | None = None) -> Tensor:
        """One vector per function.

        Args:
            ids: token ids ``[functions, tokens]``.
            mask: true at real tokens, same shape.
            nodes: the functions' data flow, if the student reads it.

        Returns:
            ``[functions, config.width]``.
        """
        parts = [self.pooled(ids, mask, nodes)] if self.config.layered else []
        if self.config.grams:
            parts.append(self.drop(self.bag("grams", ids, mask.bool())))
        if self.config.vector:
            parts = [self.stored(torch.cat(parts, -1))]
        if self.config.linear:
            parts.append(self.bag("linear", ids, mask.bool()))
        return torch.cat(parts, -1)

    def stored(self, pooled: Tensor) -> Tensor:
        """``pooled [functions, config.pooled]`` as the numbers an index stores, ``[functions, config.vector]``.

        Rounded as at run time, with a straight-through gradient (Bengio et al. 2013).
        """
        levels = torch.tanh(self.linear(pooled, "projection").float()) * VECTOR_LEVELS
        return (levels + (levels.round() - levels).detach()) * VECTOR_SCALE

    def pooled(self, ids: Tensor, mask: Tensor, nodes: Nodes | None = None) -> Tensor:
        """Pool the tokens' vectors into ``[functions, hidden]``; arguments as in :meth:`vectors`."""
        everything, mask = mask.bool(), mask.bool()[:, : self.config.positions]
        words = self.on_weight("embeddings.token", self.weight("embeddings.token.weight"))
        places = self.on_weight("embeddings.position", self.weight("embeddings.position.weight"))[: mask.shape[1]]
        ids_seen = ids[:, : self.config.positions]
        tokens = functional.embedding(ids_seen, words)
        value, attends = tokens + places, mask[:, None, :]
        if nodes is not None:
            joined = attention_with(nodes, ids_seen, mask)
            value = torch.cat((value, joined.means @ tokens + self.weight("embeddings.node")), 1)
            mask, attends = joined.real, joined.attends
        value = self.drop(self.norm(value, "embeddings.norm"))
        bias = torch.zeros_like(attends, dtype=torch.float32).masked_fill(~attends, MASKED)[:, None]
        for index in range(self.config.architecture.layers):
            value = self.layer(f"layers.{index}", value, bias)
        if self.config.pooling == "first":
            return value[:, 0]
        weight = mask[:, :, None].float()  # bfloat16 cannot count to a few hundred
        count = weight.sum(1)
        pooled: Tensor = (value.float() * weight).sum(1) / count
        if self.config.pooling == "wide":
            count = everything.sum(1)
            starts = functional.pad(count.cumsum(0)[:-1], (1, 0))
            summed = functional.embedding_bag(ids[everything], words, starts, mode="sum")  # skips most of the padding
            pooled = pooled + summed / count[:, None].sqrt()
        return pooled

    def bag(self, name: str, ids: Tensor, mask: Tensor) -> Tensor:
        """A table's scaled sum over distinct n-grams: ``[functions, its width]``; arguments as in :meth:`vectors`."""
        table, config = self.weight(f"{name}.weight"), self.config.tables[name]
        hashes = self.hashes[name].to(ids.device)
        functions = torch.arange(len(ids), device=ids.device)
        keys, found = hashes[0, ids].long(), []
        for place in range(len(hashes)):  # each iteration makes the n-grams one token longer
            if place:
                keys = keys[:, :-1] ^ hashes[place, ids[:, place:]]
            first = (functions * len(hashes) + place) * len(table)  # a separate range for each function and length
            found.append((first[:, None] + keys)[mask[:, place:]])  # without padding, which is most of a batch
        distinct = cast("Tensor", torch.unique(torch.cat(found)))
        starts = torch.searchsorted(distinct, functions * len(hashes) * len(table))
        count = torch.diff(starts, append=starts.new_tensor([len(distinct)]))
        stored = self.on_weight(name, table.view(1, -1)).view_as(table)  # one scale for the whole table
        weight = torch.ones(len(distinct), device=ids.device)
        weight = functional.dropout(weight, self.grams_dropout, self.training and name == "grams")
        rows = distinct % len(table)
        summed = functional.embedding_bag(rows, stored, starts, mode="sum", per_sample_weights=weight)
        return SCALED[config.scale](summed, count[:, None])

    def layer(self, name: str, value: Tensor, bias: Tensor) -> Tensor:
        """One post-norm transformer block; ``bias [functions, 1, 1 or places, places]`` is added to its scores."""
        source = self.on_activation(f"{name}.input", value)
        query, key, values = (self.heads(source, f"{name}.attention.{part}") for part in ("query", "key", "value"))
        # Written out: torch's fused attention takes twice as long on CPUs in bfloat16, forward and backward.
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + bias.to(query.dtype)
        context = torch.softmax(scores, -1).to(values.dtype) @ values
        context = self.on_activation(f"{name}.context", context.transpose(1, 2).flatten(2))
        value = self.norm(value + self.drop(self.linear(context, f"{name}.attention.output")), f"{name}.attention_norm")
        inner = self.linear(self.on_activation(f"{name}.attended", value), f"{name}.up")
        inner = self.on_activation(f"{name}.inner", ACTIVATIONS[self.config.activation](inner))
        return self.norm(value + self.drop(self.linear(inner, f"{name}.down")), f"{name}.output_norm")

    def heads(self, value: Tensor, name: str) -> Tensor:
        """Project and split: ``[functions, heads, tokens, hidden / heads]``."""
        projected = self.linear(value, name)
        return projected.view(*projected.shape[:2], self.config.architecture.heads, -1).transpose(1, 2)

    def classify(self, vectors: Tensor, members: Tensor) -> Tensor:
        """Logits ``[examples, classes]`` of examples that join rows ``members [examples, arity]`` of ``vectors``."""
        # An embedding, not indexing: with many threads the gradient of indexing is summed in random order.
        joined = functional.embedding(members, vectors)
        if not self.config.linear:
            return self.head(joined)
        sums = joined[:, 0, -self.config.linear.width :]
        logits = sums @ self.outputs.to(sums).T + self.weight("linear.bias")
        return logits + self.head(joined[:, :, : -self.config.linear.width]) if self.config.network else logits

    def head(self, joined: Tensor) -> Tensor:
        """The network's logits ``[examples, classes]`` from its vectors ``[examples, arity, numbers]``."""
        parts = list(joined.unbind(1))
        if self.config.arity == 2 and self.config.join == "difference":
            parts = [(parts[0] - parts[1]).abs(), parts[0] * parts[1]]
        hidden = torch.tanh(self.linear(self.drop(torch.cat(parts, -1)), "head.dense"))
        return self.linear(self.drop(hidden), "head.out")

    def forward(self, ids: Tensor, mask: Tensor, members: Tensor, nodes: Nodes | None = None) -> tuple[Tensor, Tensor]:
        """``(logits [examples, classes], vectors [functions, hidden])``."""
        vectors = self.vectors(ids, mask, nodes)
        return self.classify(vectors, members), vectors


_QUIET = ("embeddings.position.weight", "embeddings.node", ".attention.output.weight", ".down.weight")
"""Weights initialized a tenth as large: a new student is close to a bag of embeddings, which learns immediately."""


_GRAMS_SPREAD = {"mean": 0.01, "root": 0.05, "norm": 0.05}
"""Initial standard deviation of a table, by scale. With ``norm`` it only decides how far an optimizer step turns a
row."""


def _initial(name: str, shape: tuple[int, ...], generator: torch.Generator, config: EncoderConfig) -> Tensor:
    if config.grams and name.startswith("grams"):
        return torch.randn(shape, generator=generator) * _GRAMS_SPREAD[config.grams.scale]
    if name.endswith("norm.weight"):
        return torch.ones(shape)
    if name.endswith("bias") or name.startswith("linear"):
        return torch.zeros(shape)
    spread = 0.05 if name.startswith("embeddings") else math.sqrt(2.0 / (shape[0] + shape[1]))
    return torch.randn(shape, generator=generator) * (spread * (0.1 if name.endswith(_QUIET) else 1.0))
