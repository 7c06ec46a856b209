"""Beam search for the likeliest texts, which greedy decoding may miss.

The rule is that of transformers' ``generate`` with ``num_beams`` and ``early_stopping=False``: a text's score is the
sum of its tokens' log-probabilities, the end token included, over ``length ** length_penalty``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lilliput.arrays import require_finite
from lilliput.errors import UserError
from lilliput.runtime.prompts import Prompt
from lilliput.runtime.sampling import penalized, seen_tokens
from lilliput.runtime.sessions import Advance, Ids, Logits, Session


@dataclass(frozen=True)
class Beams:
    """Settings of a beam search.

    Attributes:
        count: beams per prompt, the texts kept after each token.
        length_penalty: exponent of the length that a text's score is divided by: above 0, it favours longer texts.
        repetition_penalty: see :class:`~lilliput.runtime.sampling.Sampling`; applied to log-probabilities.
        ends: token ids that end a text.
    """

    count: int
    length_penalty: float
    repetition_penalty: float
    ends: frozenset[int]

    @property
    def candidates(self) -> int:
        """Continuations to consider, so that enough remain if all those that end a text are among them."""
        return self.count * (1 + max(1, len(self.ends)))


@dataclass(frozen=True)
class Found:
    """A finished text.

    Attributes:
        ids: its tokens, the end token included.
        score: its score.
    """

    ids: tuple[int, ...]
    score: float


@dataclass
class _Search:
    """The search for one prompt.

    Attributes:
        room: most tokens of a text.
        beams: settings.
        texts: the live beams' tokens so far.
        sums: sum of log-probabilities of each live beam.
        tokens: number of tokens of each live beam.
        found: the finished texts, the best first, at most ``beams.count``.
    """

    room: int
    beams: Beams
    texts: list[tuple[int, ...]] = field(default_factory=lambda: [()])
    sums: NDArray[np.float32] = field(default_factory=lambda: np.zeros(1, np.float32))
    tokens: int = 0
    found: list[Found] = field(default_factory=list)

    def take(self, log_probabilities: Logits) -> NDArray[np.int64]:
        """Extend by one token; returns the parent of each new beam, or an empty array if the search is over.

        Args:
            log_probabilities: of each beam's next token, ``[texts, vocabulary]``.
        """
        count, ends = self.beams.count, self.beams.ends
        totals = (log_probabilities + self.sums[:, None]).reshape(-1)
        parents, tokens = np.divmod(_largest(totals, self.beams.candidates), log_probabilities.shape[1])
        sums = totals[parents * log_probabilities.shape[1] + tokens]
        texts = [(*self.texts[parent], int(token)) for parent, token in zip(parents, tokens, strict=True)]
        self.tokens += 1
        ended = np.array([self.tokens == self.room or token in ends for token in tokens.tolist()])
        self.found += [Found(texts[place], self._score(sums[place])) for place in np.flatnonzero(ended[:count])]
        self.found = sorted(self.found, key=lambda found: -found.score)[:count]
        going = np.flatnonzero(~ended)[:count]
        self.texts, self.sums = [texts[place] for place in going], sums[going]
        # A live beam is scored as if it ended now.
        worse = len(self.found) == count and going.size > 0 and self._score(self.sums[0]) <= self.found[-1].score
        return parents[going[:0] if worse else going]

    def _score(self, total: float) -> float:
        return float(total / self.tokens**self.beams.length_penalty)


def search(
    session: Session,
    prompts: Sequence[Prompt],
    rooms: Sequence[int],
    beams: Beams,
    read: Advance | None = None,
    written: Advance | None = None,
) -> list[list[Found]]:
    """The best texts for each prompt, at most ``beams.count``, the best first.

    Args:
        session: runs the model; prompts are searched in one batch, each read once.
        prompts: at least one.
        rooms: most tokens of a text of each prompt, at least 1.
        beams: settings.
        read: called with the number of prompt tokens read.
        written: called with the number of tokens of one beam per prompt that are written, or no longer needed.

    Raises:
        NumericError: a logit is infinite or NaN.
        UserError: more beams than the model's vocabulary allows.
    """
    searches = [_Search(room, beams) for room in rooms]
    logits = session.start([prompt.ids for prompt in prompts], read)
    if beams.candidates > logits.shape[1]:
        most = logits.shape[1] * beams.count // beams.candidates
        raise UserError(f"must be {most} or less, for a model of {logits.shape[1]} tokens.", where="beams")
    seen = seen_tokens([prompt.seen for prompt in prompts], logits.shape[1], beams.repetition_penalty)
    live = searches
    while True:
        scores = penalized(_log_probabilities(logits), seen, beams.repetition_penalty)
        parents, going = [], []
        for one, rows in zip(live, _rows(live), strict=True):
            own = rows[one.take(scores[rows])]
            if own.size:
                going.append(one)
                parents.append(own)
            if written is not None:
                written(1 if own.size else 1 + one.room - one.tokens)
        live = going
        if not live:
            return [one.found for one in searches]
        order, tokens = np.concatenate(parents), np.array([text[-1] for one in live for text in one.texts])
        seen = seen[order]
        if seen.size:
            seen[np.arange(len(tokens)), tokens] = True
        logits = session.step(tokens, order)


def _rows(searches: Sequence[_Search]) -> list[Ids]:
    """The rows of each search: one per beam, one search after the other."""
    ends = np.cumsum([len(one.texts) for one in searches])
    return [np.arange(end - len(one.texts), end) for one, end in zip(searches, ends, strict=True)]


def _log_probabilities(logits: Logits) -> Logits:
    """Log-softmax, ``[B, vocabulary]``."""
    most = logits.max(axis=1, keepdims=True)
    require_finite(most)
    less = logits - most
    return np.asarray(less - np.log(np.exp(less).sum(axis=1, keepdims=True)), np.float32)


def _largest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Indices of the ``count`` largest values, the largest first."""
    places = np.argpartition(-values, count - 1)[:count]
    return np.asarray(places[np.argsort(-values[places], kind="stable")], np.int64)
