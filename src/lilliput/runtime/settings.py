"""Settings of completions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypedDict

from lilliput.errors import UserError, refuse_absurd
from lilliput.runtime.sampling import Sampling

MOST_PENALTY = 10
"""Largest absolute length penalty; powers of text lengths stay finite."""


class Options(TypedDict, total=False):
    """Keyword arguments of :class:`Settings`, all optional."""

    max_new_tokens: int
    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    seed: int
    n: int
    beams: int
    length_penalty: float
    stop: str | Sequence[str]
    batch: int


@dataclass(frozen=True)
class Settings:
    """Settings of completions.

    Attributes:
        max_new_tokens: most tokens of each completion.
        temperature, top_k, top_p, repetition_penalty: see :class:`~lilliput.runtime.sampling.Sampling`.
        seed: of the random draws.
        n: completions per prompt.
        beams: if above 1, the number of beams of a beam search (:mod:`lilliput.runtime.beams`), of which the best ``n``
            texts are returned.
        length_penalty: of the beam search; above 0 it favours longer texts, below 0 shorter ones.
        stop: string or strings at the first of which a completion ends; not part of its text.
        batch: most sequences to run in one batch; more are faster, but each needs memory.

    Raises:
        UserError: a value is invalid; the message names it.
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    n: int = 1
    beams: int = 1
    length_penalty: float = 1.0
    stop: str | Sequence[str] = ()
    batch: int = 8

    def __post_init__(self) -> None:
        for name, least in (("max_new_tokens", 1), ("n", 1), ("beams", 1), ("batch", 1), ("seed", 0), ("top_k", 0)):
            self._require_number(name, Integral, "a whole number")
            if getattr(self, name) < least:
                raise UserError(f"must be {least} or more; it is {getattr(self, name)!r}.", where=name)
        refuse_absurd(vars(self))
        for name in ("temperature", "top_p", "repetition_penalty", "length_penalty"):
            self._require_number(name, Real, "a number")
        _ = self.sampling, self.stops
        if not abs(self.length_penalty) <= MOST_PENALTY:
            complaint = f"must be {-MOST_PENALTY} to {MOST_PENALTY}; it is {self.length_penalty!r}."
            raise UserError(complaint, where="length_penalty")
        if self.beams > 1:
            self._require_search()
        elif self.length_penalty != Settings.length_penalty:
            raise UserError("goes with a beam search.", where="length_penalty", remedy="Ask for two or more beams.")

    def _require_search(self) -> None:
        """Check what a beam search needs; it does not sample."""
        if self.temperature != 0:
            raise UserError("must be 0 for a beam search.", where="temperature", remedy="Leave out one of the two.")
        if self.n > self.beams:
            raise UserError(f"must be {self.beams} or less, as many as there are beams.", where="n")

    def _require_number(self, name: str, kind: type, words: str) -> None:
        value: Any = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, kind):
            raise UserError(f"must be {words}; it is {value!r}.", where=name)

    @property
    def sampling(self) -> Sampling:
        """How each token is chosen."""
        return Sampling(self.temperature, self.top_k, self.top_p, self.repetition_penalty)

    @property
    def stops(self) -> tuple[str, ...]:
        """``stop`` as a tuple."""
        stops = (self.stop,) if isinstance(self.stop, str) else self.stop
        if not isinstance(stops, Sequence) or not all(isinstance(stop, str) and stop for stop in stops):
            raise UserError(f"must be non-empty strings; it is {self.stop!r}.", where="stop")
        return tuple(stops)
