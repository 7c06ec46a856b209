"""What every teacher computes: token ids to function vectors, vectors to the logits of examples."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lilliput.batching import Batch


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    weight = mask[:, :, None].float()  # bfloat16 cannot even count to 400
    return (states.float() * weight).sum(1) / weight.sum(1)


def _bag(tokens: Tensor, mask: Tensor) -> Tensor:
    weight = mask[:, :, None].float()
    return (tokens.float() * weight).sum(1) / weight.sum(1).sqrt()


Pooling = Callable[[Tensor, Callable[[], Tensor], Tensor], Tensor]

POOLINGS: dict[str, Pooling] = {
    "first": lambda states, tokens, mask: states[:, 0],
    "mean": lambda states, tokens, mask: _mean(states, mask),
    "wide": lambda states, tokens, mask: _mean(states, mask) + _bag(tokens(), mask),
}
"""Name -> how token vectors become a function's vector: ``(states [F, T, h], token embeddings, mask [F, T])``.

``wide`` adds to the mean the bag of the tokens' input embeddings: their sum over the square root of their number. It
bypasses all layers to tell which tokens are there (after Wide & Deep, Cheng et al. 2016).
"""

JOINS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda one, other: torch.cat((one, other), -1),
    "difference": lambda one, other: torch.cat(((one - other).abs(), one * other), -1),
}
"""Name -> how the vectors of a pair, ``[E, h]`` each, become the head's input ``[E, 2h]``.

``concat`` is the Compressor paper's (ASE 2022); ``difference`` does not depend on the order of the pair.
"""

_EXPANSIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "logits": lambda raw: raw,
    "sigmoid": lambda raw: torch.cat((-raw, raw), -1) / 2,
}


@dataclass(frozen=True)
class OutputConvention:
    """What a model's raw outputs mean, so that they can be converted to logits in the order of the labels.

    Attributes:
        kind: ``logits``: one output per class; or ``sigmoid``: a single output, the log-odds z of one class against
            the other, equivalent to the logits ``(-z/2, z/2)``.
        columns: for each label, the index of its logit.
    """

    kind: str
    columns: tuple[int, ...]

    def apply(self, raw: Tensor) -> Tensor:
        """``[n, raw outputs]`` to logits ``[n, classes]`` in the order of the labels."""
        logits = _EXPANSIONS[self.kind](raw)
        return torch.stack([logits[:, column] for column in self.columns], -1)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; :meth:`from_dict` reads them back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OutputConvention:
        """The inverse of :meth:`as_dict`."""
        return cls(values["kind"], tuple(values["columns"]))


@dataclass(frozen=True)
class Encoded:
    """A model's encoding of functions, before they are joined to examples.

    Attributes:
        vectors: ``[F, h]``, one per function.
        logits: ``[F, classes]``, of models that classify one function by more than its vector; else ``None``.
        layers: every layer's token vectors ``[F, T, h]``, embeddings first, if requested; else empty.
    """

    vectors: Tensor
    logits: Tensor | None = None
    layers: tuple[Tensor, ...] = ()


class TeacherModel(nn.Module):
    """A classifier of examples that join ``arity`` functions, each distinct function encoded once."""

    arity: int

    @abstractmethod
    def encode(self, ids: Tensor, mask: Tensor, layers: bool = False) -> Encoded:
        """Encode functions: token ids ``[F, T]`` and their mask, 1 at real tokens."""

    @abstractmethod
    def classify(self, encoded: Encoded, members: Tensor) -> Tensor:
        """Logits ``[E, classes]``, in label order, of examples that join the functions ``members [E, arity]``."""

    def forward(self, batch: Batch) -> Tensor:
        """Logits ``[E, classes]`` of a batch, in label order."""
        return self.classify(self.encode(batch.ids, batch.mask), batch.members)


class Head(nn.Module):
    """RoBERTa's classification head: dropout, dense, tanh, dropout, out."""

    def __init__(self, width: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, hidden)
        self.out = nn.Linear(hidden, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, joined: Tensor) -> Tensor:
        """``[E, width]`` to raw outputs ``[E, outputs]``."""
        return cast("Tensor", self.out(self.dropout(torch.tanh(self.dense(self.dropout(joined))))))


class EncoderClassifier(TeacherModel):
    """An encoder, and a head on its pooled vectors.

    Args:
        encoder: a transformers encoder; ``encoder(input_ids=, attention_mask=).last_hidden_state`` is ``[F, T, h]``.
        outputs: raw outputs of the head.
        convention: what they mean; by default the logits of the labels in order.
        arity: functions per example, 1 or 2.
        pooling: a name in :data:`POOLINGS`.
        join: a name in :data:`JOINS`, for pairs.
        dropout: dropout probability in the head.
    """

    def __init__(
        self,
        encoder: nn.Module,
        outputs: int,
        *,
        convention: OutputConvention | None = None,
        arity: int = 1,
        pooling: str = "first",
        join: str = "concat",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        hidden = int(cast("Any", encoder.config).hidden_size)
        self.encoder = encoder
        self.arity = arity
        self.pooling, self.join = pooling, join
        self.convention = convention or OutputConvention("logits", tuple(range(outputs)))
        self.head = Head(hidden * arity, hidden, outputs, dropout)

    def encode(self, ids: Tensor, mask: Tensor, layers: bool = False) -> Encoded:
        """See :meth:`TeacherModel.encode`."""
        result = self.encoder(input_ids=ids, attention_mask=mask, output_hidden_states=layers)
        embedding = cast("Any", self.encoder).get_input_embeddings()
        vectors = POOLINGS[self.pooling](result.last_hidden_state, lambda: embedding(ids), mask)
        return Encoded(vectors, layers=tuple(result.hidden_states) if layers else ())

    def classify(self, encoded: Encoded, members: Tensor) -> Tensor:
        """See :meth:`TeacherModel.classify`."""
        # An embedding, not indexing: with many threads, the gradient of indexing is summed in random order.
        sides = functional.embedding(members, encoded.vectors).unbind(1)
        joined = sides[0] if self.arity == 1 else JOINS[self.join](*sides)
        return self.convention.apply(self.head(joined))


class SequenceClassifier(TeacherModel):
    """A transformers ``AutoModelForSequenceClassification``, with whatever head it has.

    A function's vector is the mean of the base model's last token vectors (of an encoder-decoder, its encoder's).
    """

    arity = 1

    def __init__(self, model: nn.Module, convention: OutputConvention) -> None:
        super().__init__()
        self.model = model
        self.convention = convention

    def encode(self, ids: Tensor, mask: Tensor, layers: bool = False) -> Encoded:
        """See :meth:`TeacherModel.encode`."""
        seen: list[Any] = []
        base = cast("nn.Module", self.model.base_model)
        watch = base.register_forward_hook(lambda module, inputs, result: seen.append(result))
        try:
            raw = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=layers).logits
        finally:
            watch.remove()
        result = seen[-1]
        states = getattr(result, "encoder_last_hidden_state", None)
        vectors = _mean(result.last_hidden_state if states is None else states, mask)
        return Encoded(vectors, self.convention.apply(raw), tuple(result.hidden_states) if layers else ())

    def classify(self, encoded: Encoded, members: Tensor) -> Tensor:
        """See :meth:`TeacherModel.classify`."""
        return functional.embedding(members[:, 0], cast("Tensor", encoded.logits))
