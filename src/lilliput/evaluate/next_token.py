"""Next-token accuracy: how often the next token is the model's top guess, or among its top five.

Measured in the same pass as the perplexity: every token of a piece is predicted from those before it in the piece.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.data.code_pieces import Piece
from lilliput.evaluate.clusters import bounded_ratio, ratio
from lilliput.evaluate.intervals import Estimate
from lilliput.evaluate.perplexity import costs, passes, perplexity_of
from lilliput.runtime.engine import Engine

GUESSES = 5

LONGEST_CONTEXT = 3
"""Maximum number of tokens that the copy model looks back."""


@dataclass(frozen=True)
class PieceCounts:
    """Counts over one piece.

    Attributes:
        name: of the file.
        tokens: number of predicted tokens.
        nll: sum of their negative log-likelihoods, nats; 0 for the copy model, which gives no probabilities.
        top1, top5: how many were the top guess, and among the top five.
        code_tokens, code_top1, code_top5: the same for tokens of code only.
    """

    name: str
    tokens: int
    nll: float
    top1: int
    top5: int
    code_tokens: int
    code_top1: int
    code_top5: int


@dataclass(frozen=True)
class Accuracy:
    """Next-token accuracy.

    Attributes:
        top1, top5: share of tokens that were the top guess, and among the top five; ``n`` is the number of files.
        tokens: number of predicted tokens.
    """

    top1: Estimate
    top5: Estimate
    tokens: int


@dataclass(frozen=True)
class NextTokenScores:
    """Scores over all pieces; intervals are over files, or over pieces where there is one file.

    Attributes:
        nll: mean negative log-likelihood, nats per token; ``None`` where it has no interval, as with one piece.
        perplexity: e to the ``nll``; ``None`` where that is, or where an end of its interval overflows.
        perplexity_value: the same without its interval; ``None`` where the value itself overflows.
        every: accuracy on all tokens.
        code: accuracy on tokens of code; ``None``: there are none.
        copied, copied_code: the same for the copy model (:func:`copied_ranks`).
        pieces: number of pieces.
    """

    nll: Estimate | None
    perplexity: Estimate | None
    perplexity_value: float | None
    every: Accuracy
    code: Accuracy | None
    copied: Accuracy
    copied_code: Accuracy | None
    pieces: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; shares, not percent."""
        return asdict(self)


def read_piece(engine: Engine, ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Negative log-likelihood (nats) and rank among the guesses (0: the top one) of each token but the first.

    Args:
        engine: see :func:`lilliput.evaluate.perplexity.reader`.
        ids: ``[T]``, at least two.

    Returns:
        Both ``[T - 1]``.
    """
    read = [(costs(logits, tokens), _ranks(logits, tokens)) for logits, tokens in passes(engine, ids)]
    found, ranks = zip(*read, strict=True)
    return np.concatenate(found), np.concatenate(ranks)


def _ranks(logits: NDArray[np.float32], tokens: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rank of each row's token; ties are broken by index, as in ``argmax``."""
    chosen = np.take_along_axis(logits, tokens[:, None], axis=1)
    before = np.arange(logits.shape[1]) < tokens[:, None]
    return np.asarray((logits > chosen).sum(axis=1) + ((logits == chosen) & before).sum(axis=1), np.int64)


def counted(piece: Piece, ranks: NDArray[np.int64], nlls: NDArray[np.float64] | None = None) -> PieceCounts:
    """Sum up the ranks (and negative log-likelihoods) of a piece's tokens but the first."""
    code = ranks[piece.code[1:]]
    return PieceCounts(
        name=piece.name,
        tokens=len(ranks),
        nll=0.0 if nlls is None else float(nlls.sum()),
        top1=int((ranks < 1).sum()),
        top5=int((ranks < GUESSES).sum()),
        code_tokens=len(code),
        code_top1=int((code < 1).sum()),
        code_top5=int((code < GUESSES).sum()),
    )


def copied_ranks(ids: Sequence[int]) -> NDArray[np.int64]:
    """Ranks as from :func:`read_piece`, for a model that copies; :data:`GUESSES` for tokens that it does not guess.

    Its guesses are the tokens that most often followed the last three tokens earlier in the piece, then those that
    followed the last two, then the last one, then the most frequent tokens; of equals, the earliest seen.
    """
    followers: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    found = []
    for place in range(len(ids)):
        contexts = [tuple(ids[place - n : place]) for n in range(min(LONGEST_CONTEXT, place), -1, -1)]
        if place:
            found.append(_rank(ids[place], _guesses([followers[context] for context in contexts])))
        for context in contexts:
            followers[context][ids[place]] += 1
    return np.array(found, np.int64)


def _guesses(followers: Sequence[Counter[int]]) -> Iterator[int]:
    """Yield tokens from the most to the least likely, some more than once."""
    for counts in followers:
        yield from (token for token, _ in counts.most_common(GUESSES))


def _rank(token: int, guesses: Iterator[int]) -> int:
    tried: dict[int, None] = {}
    for guess in guesses:
        if guess == token:
            return min(GUESSES, len(tried))
        tried[guess] = None
        if len(tried) == GUESSES:
            break
    return GUESSES


def next_token_scores(model: Sequence[PieceCounts], copy: Sequence[PieceCounts]) -> NextTokenScores:
    """Score a model and the copy model on the same pieces.

    Raises:
        ValueError: there are no pieces.
    """
    by_file = _by_file(model)
    summed, tokens = ([each[name] for each in by_file] for name in ("nll", "tokens"))
    nll = ratio(summed, tokens)
    return NextTokenScores(
        nll=nll,
        perplexity=None if nll is None else _perplexity(nll),
        perplexity_value=perplexity_of(sum(summed) / sum(tokens)),
        every=_accuracy(by_file, ""),
        code=_accuracy(by_file, "code_") if any(each["code_tokens"] for each in by_file) else None,
        copied=_accuracy(_by_file(copy), ""),
        copied_code=_accuracy(_by_file(copy), "code_") if any(each.code_tokens for each in copy) else None,
        pieces=len(model),
    )


def _perplexity(nll: Estimate) -> Estimate | None:
    value, low, high = (perplexity_of(each) for each in (nll.value, nll.low, nll.high))
    return None if value is None or low is None or high is None else Estimate(value, low, high, nll.n)


def _by_file(counts: Sequence[PieceCounts]) -> list[Counter[str]]:
    """Sum the pieces of each file; pieces of a single file stay separate."""
    alone = len({each.name for each in counts}) == 1
    sums: defaultdict[object, Counter[str]] = defaultdict(Counter)
    for place, each in enumerate(counts):
        values: dict[str, Any] = asdict(each)
        name = values.pop("name")
        sums[place if alone else name].update(values)
    return list(sums.values())


def _accuracy(by_file: Sequence[Counter[str]], kind: str) -> Accuracy:
    tokens = [each[f"{kind}tokens"] for each in by_file]
    top1, top5 = (bounded_ratio([each[f"{kind}{top}"] for each in by_file], tokens) for top in ("top1", "top5"))
    return Accuracy(top1, top5, sum(tokens))
