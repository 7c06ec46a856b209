"""How completions are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypedDict

from lilliput.errors import UserError, refuse_absurd
from lilliput.runtime.sampling import Sampling

MOST_PENALTY = 10
"""Of lengths, up or down: powers of texts' lengths stay numbers."""


class Options(TypedDict, total=False):
    """Keywords of :class:`Settings`, any of them."""

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
    """How completions are asked for.

    Attributes:
        max_new_tokens: tokens of each completion, at most.
        temperature, top_k, top_p, repetition_penalty, seed: see :class:`~lilliput.runtime.sampling.Sampling`.
        n: completions of each prompt.
        beams: more than 1: a search for the likeliest texts, that goes on with so many after each token
            (:mod:`lilliput.runtime.beams`); ``n`` of them are given.
        length_penalty: of that search: above 0, longer texts gain, below 0, shorter ones.
        stop: string, or strings, at the first of which a completion ends; they are not part of its text.
        batch: sequences that run side by side, at most: more are faster, and each takes memory of its own.

    Raises:
        UserError: a value that means nothing; the message names it.
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
            raise UserError("goes with a beam search.", where="length_penalty", remedy="Ask for two beams or more.")

    def _require_search(self) -> None:
        """A search draws nothing."""
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
            raise UserError(f"must be strings that are not empty; it is {self.stop!r}.", where="stop")
        return tuple(stops)
