"""Run a generator's graphs: prompts in, logits of the next token out; tokens already read stay in the graphs' state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from lilliput.errors import UserError
from lilliput.kernels.attention import ONE_TOKEN_INPUTS
from lilliput.kernels.sources import CROSS, SOURCE_MASK
from lilliput.runtime.engine import Engine

Ids = NDArray[np.int64]
Logits = NDArray[np.float32]
Advance = Callable[[int], object]
"""Called with the number of further tokens read or written."""

PASS_TOKENS = 2048
"""Most prompt tokens in one pass, over all rows; bounds the memory of activations.

Few passes are worth their memory, because the engine's attention is several times slower with a state than without.
(Measured, one thread. 50 M parameters in bf16, 2048 tokens: one pass 1.0 s, two 3.9 s, four 4.3 s. 135 M parameters in
int8 and f32, 1408 tokens: one pass 11.7 s and 0.62 GB at the most, three 20.7 s and 0.50 GB.)
"""

PASS_TOKENS_OF_KERNELS = 512
"""The same with lilliput's own attention kernels, which a state does not slow down.

(0.5 B parameters in int4, two threads, 2048 tokens: one pass 9.2 s, and 506 MB resident afterwards; four 8.8 s, 454 MB;
sixteen 9.6 s, 441 MB.)
"""

NARROWEST_PASS = 256
"""Fewest tokens per row in a pass; a narrower pass would read all weights for too few tokens."""

KEPT_TOKENS = 256
"""After prompts longer than this, freed memory is given back to the system."""

RELEASE_STEPS = 64
"""Number of steps after which resident pages of the weights file are given back: systems that cache files in large
pages make megabytes around a row of the embedding resident."""

_NOTHING = np.zeros((0, 0), np.int64)
"""The mask of no sequences; indexing its rows is an error."""

DECODER_INPUTS = ("input_ids", "attention_mask", "position_ids", "beam_idx")
SEQ2SEQ_INPUTS = (*DECODER_INPUTS, CROSS, SOURCE_MASK)
ENCODER_INPUTS = ("input_ids", "attention_mask")


class Session(Protocol):
    """Runs a generator on one group of sequences at a time."""

    @property
    def starts(self) -> int:
        """Number of groups started, by which a caller can tell whether the state is still its own."""

    def start(self, rows: Sequence[Ids], advance: Advance | None = None) -> Logits:
        """Reset the state and read the prompts ``rows``; returns logits of their next tokens, ``[B, vocabulary]``.

        Raises:
            UserError: the prompts are too long for the available memory.
        """

    def step(self, tokens: NDArray[np.integer], parents: NDArray[np.integer]) -> Logits:
        """Read one more token of each of B' sequences; returns logits of their next tokens, ``[B', vocabulary]``.

        The next call may overwrite the logits.

        Args:
            tokens: ``[B']``.
            parents: ``[B']``, the row of the previous step that each sequence continues. A row may be continued several
                times, or not at all.
        """


class DecoderSession:
    """Runs a decoder's graph (:mod:`lilliput.graph.decoder`).

    Args:
        decoder: the compiled graph.
        pass_tokens: see :data:`PASS_TOKENS`.
        single: the compiled graph of :func:`lilliput.kernels.attention.one_more_token`; ``None``: there is none.
    """

    def __init__(self, decoder: Engine, pass_tokens: int = PASS_TOKENS, single: Engine | None = None) -> None:
        self.decoder = decoder
        self.single = single
        self.pass_tokens = pass_tokens
        self.starts = 0
        self._mask = _NOTHING
        self._next = {name: np.zeros((1, 1), np.int64) for name in ONE_TOKEN_INPUTS}
        if single is not None:
            for name, value in self._next.items():
                single.request.set_tensor(name, ov.Tensor(value, shared_memory=True))

    def start(self, rows: Sequence[Ids], advance: Advance | None = None) -> Logits:
        """See :meth:`Session.start`; no row may be empty."""
        self._forget()
        with _enough_memory(rows):
            return self._read(rows, advance)

    def _forget(self) -> None:
        self.starts += 1  # first, so that no caller can continue if anything below fails
        self._mask = _NOTHING
        self.decoder.restart()

    def _read(self, rows: Sequence[Ids], advance: Advance | None) -> Logits:
        ids, mask = padded(rows, left=True)
        count, width = ids.shape
        stride = max(min(NARROWEST_PASS, self.pass_tokens), self.pass_tokens // count)
        order = np.arange(count)
        for begin in range(0, width, stride):
            part = slice(begin, begin + stride)
            logits = self._pass(ids[:, part], mask[:, : begin + stride], order)
            if advance is not None:
                advance(int(mask[:, part].sum()))
        self._mask = mask
        if ids.size > KEPT_TOKENS:
            self.decoder.release()
        return logits

    def step(self, tokens: NDArray[np.integer], parents: NDArray[np.integer]) -> Logits:
        """See :meth:`Session.step`."""
        if self._mask.shape[1] % RELEASE_STEPS == 0:
            self.decoder.release_weights()
        alone = len(self._mask) == len(parents) == 1
        mask, self._mask = self._mask[parents], _NOTHING  # a failed step cannot be continued from
        mask = np.concatenate((mask, np.ones((len(parents), 1), np.int64)), 1)
        if alone and self.single is not None and self._whole(mask):
            logits = self._one(int(tokens[0]), mask.shape[1] - 1)
        else:
            logits = self._pass(tokens[:, None], mask, parents)
        self._mask = mask
        return logits

    def _whole(self, mask: Ids) -> bool:
        """Whether there is no padding."""
        return bool(mask.all())

    def _one(self, token: int, place: int) -> Logits:
        """Logits after one more ``token`` of the only sequence, at ``place``; a view of the engine's output."""
        assert self.single is not None
        for value, new in zip(self._next.values(), (token, place), strict=True):
            value[:] = new
        self.single.infer({})
        last: Logits = self.single.request.get_output_tensor(0).data[:, -1]
        return last

    def _pass(self, ids: NDArray[np.integer], mask: Ids, parents: NDArray[np.integer]) -> Logits:
        """Logits after the new tokens ``ids [B, T]``; ``mask [B, S]`` also covers the earlier tokens."""
        positions = np.maximum(mask.cumsum(1) - 1, 0)[:, -ids.shape[1] :]
        values: tuple[NDArray[Any], ...] = (ids.astype(np.int64), mask, positions, parents.astype(np.int32))
        inputs = {name: np.ascontiguousarray(value) for name, value in zip(DECODER_INPUTS, values, strict=True)}
        self.decoder.infer(inputs)
        return np.array(self.decoder.request.get_output_tensor(0).data[:, -1])


class Seq2SeqSession(DecoderSession):
    """Runs an encoder-decoder's two graphs (:mod:`lilliput.graph.seq2seq`); the rows to start from are sources.

    Args:
        encoder, decoder: the compiled graphs.
        first: id of the token that every target starts from.
        single: as for a decoder.
    """

    def __init__(self, encoder: Engine, decoder: Engine, first: int, single: Engine | None = None) -> None:
        super().__init__(decoder, single=single)
        self.encoder = encoder
        self.first = first
        self._gives = any(CROSS in value.get_names() for value in decoder.compiled.inputs)  # else kernels keep it
        self._cross = np.zeros((0, 0, 0, 0, 0), np.float32)
        self._source_mask = np.zeros((0, 0), np.int64)

    def start(self, rows: Sequence[Ids], advance: Advance | None = None) -> Logits:
        """See :meth:`Session.start`. Sources are read in one pass, because their tokens attend to each other."""
        self._forget()
        ids, mask = padded(rows, left=False)
        with _enough_memory(rows):
            self._encode(ids, mask)
            self._look_at(mask, self.encoder.request.get_output_tensor(0).data if self._gives else self._cross)
            if advance is not None:
                advance(int(mask.sum()))
            logits = self._read([np.array([self.first], np.int64)] * len(rows), None)
        if ids.size > KEPT_TOKENS:
            self.encoder.release()
        return logits

    def _encode(self, ids: Ids, mask: Ids) -> None:
        try:
            self.encoder.infer(dict(zip(ENCODER_INPUTS, (ids, mask), strict=True)))
        except MemoryError:
            # Half of the graph now has the new length and half the previous source's; another source of that length
            # would find them inconsistent. A run with a length that differs from both repairs that.
            other = np.ones((1, 2 if self._source_mask.shape[1] == 1 else 1), np.int64)
            self.encoder.infer(dict.fromkeys(ENCODER_INPUTS, other))
            raise

    def step(self, tokens: NDArray[np.integer], parents: NDArray[np.integer]) -> Logits:
        """See :meth:`Session.step`."""
        if not np.array_equal(parents, np.arange(len(self._source_mask))):
            cross = np.ascontiguousarray(self._cross[:, parents]) if self._gives else self._cross
            self._look_at(self._source_mask[parents], cross)
        return super().step(tokens, parents)

    def _whole(self, mask: Ids) -> bool:
        return super()._whole(mask) and bool(self._source_mask.all())

    def _look_at(self, mask: Ids, cross: NDArray[np.float32]) -> None:
        """Bind these to the decoder's inputs until the next call; copying them would be most of a step's work."""
        self._source_mask, self._cross = mask, cross
        inputs = {SOURCE_MASK: mask} | ({CROSS: cross} if self._gives else {})
        for name, value in inputs.items():
            self.decoder.request.set_tensor(name, ov.Tensor(value, shared_memory=True))


@contextmanager
def _enough_memory(rows: Sequence[Ids]) -> Iterator[None]:
    """Turn a :class:`MemoryError` into the message that these prompts are too long."""
    try:
        yield
    except MemoryError as error:
        beside = f", in a batch of {len(rows)} prompts" if len(rows) > 1 else ""
        raise UserError(
            f"{max(map(len, rows)):,} tokens are too many for the available memory{beside}.",
            where="prompt",
            remedy=f"Shorten the text{', ask for a smaller batch' if beside else ''} or close programs.",
        ) from error


def padded(rows: Sequence[Ids], left: bool) -> tuple[Ids, Ids]:
    """Ids and mask, ``[len(rows), longest]`` each; padding is 0 in both, on the left or the right."""
    longest = max(map(len, rows))
    ids, mask = np.zeros((2, len(rows), longest), np.int64)
    for row, item in enumerate(rows):
        place = slice(longest - len(item), None) if left else slice(len(item))
        ids[row, place], mask[row, place] = item, 1
    return ids, mask
