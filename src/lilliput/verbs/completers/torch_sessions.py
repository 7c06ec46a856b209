"""Transformers models behind the same session interface as artifacts, for one decoding loop. Needs torch."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lilliput.runtime.sessions import Advance, Ids, Logits, padded


class TorchSession:
    """A transformers decoder; see :class:`~lilliput.runtime.sessions.Session`. Prompts are padded on the left.

    Args:
        model: a model in evaluation mode.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.starts = 0
        self._takes = inspect.signature(model.forward).parameters
        self._mask: Ids = np.zeros((0, 0), np.int64)
        self._cache: Any = None

    def start(self, rows: Sequence[Ids], advance: Advance | None = None) -> Logits:
        """See :class:`~lilliput.runtime.sessions.Session`."""
        self.starts += 1
        ids, self._mask = padded(rows, left=True)
        self._cache = None
        logits = self._pass(ids)
        if advance is not None:
            advance(int(self._mask.sum()))
        return logits

    def step(self, tokens: NDArray[np.integer], parents: NDArray[np.integer]) -> Logits:
        """See :class:`~lilliput.runtime.sessions.Session`."""
        if not np.array_equal(parents, np.arange(len(self._mask))):
            self._reorder(parents)
        self._mask = np.concatenate((self._mask[parents], np.ones((len(parents), 1), np.int64)), 1)
        return self._pass(tokens[:, None].astype(np.int64))

    def _reorder(self, parents: NDArray[np.integer]) -> None:
        self._cache.reorder_cache(self._tensor(parents))

    def _pass(self, ids: Ids) -> Logits:
        positions = np.maximum(self._mask.cumsum(1) - 1, 0)[:, -ids.shape[1] :]
        inputs = {"input_ids": ids, "attention_mask": self._mask}
        if "position_ids" in self._takes:
            inputs["position_ids"] = positions
        return self._logits({name: self._tensor(value) for name, value in inputs.items()})

    def _logits(self, inputs: dict[str, Any]) -> Logits:
        """Logits of the last tokens."""
        if "logits_to_keep" in self._takes:
            inputs["logits_to_keep"] = 1
        with torch.inference_mode():
            found = self.model(**inputs, past_key_values=self._cache, use_cache=True, return_dict=True)
        self._cache = found.past_key_values
        logits: Logits = found.logits[:, -1].float().cpu().numpy()
        return logits

    def _tensor(self, values: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.int64)).to(self.model.device)


class TorchSeq2SeqSession(TorchSession):
    """A transformers encoder-decoder; the rows it starts from are sources.

    Args:
        model: a model in evaluation mode.
        first: id of the token that every target starts with.
    """

    def __init__(self, model: Any, first: int) -> None:
        super().__init__(model)
        self.first = first
        self._encoded: Any = None
        self._source_mask: Any = None

    def start(self, rows: Sequence[Ids], advance: Advance | None = None) -> Logits:
        """See :class:`~lilliput.runtime.sessions.Session`."""
        from transformers.modeling_outputs import BaseModelOutput

        self.starts += 1
        ids, mask = padded(rows, left=False)
        self._source_mask, self._mask, self._cache = self._tensor(mask), np.ones((len(rows), 1), np.int64), None
        with torch.inference_mode():
            hidden = self.model.get_encoder()(input_ids=self._tensor(ids), attention_mask=self._source_mask)[0]
        self._encoded = BaseModelOutput(last_hidden_state=hidden)
        if advance is not None:
            advance(int(mask.sum()))
        return self._pass(np.full((len(rows), 1), self.first, np.int64))

    def _reorder(self, parents: NDArray[np.integer]) -> None:
        from transformers.modeling_outputs import BaseModelOutput

        chosen = self._tensor(parents)
        super()._reorder(parents)
        self._source_mask = self._source_mask[chosen]
        self._encoded = BaseModelOutput(last_hidden_state=self._encoded.last_hidden_state[chosen])

    def _pass(self, ids: Ids) -> Logits:
        given = {"encoder_outputs": self._encoded, "attention_mask": self._source_mask}
        return self._logits({**given, "decoder_input_ids": self._tensor(ids)})
