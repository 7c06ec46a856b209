"""Scores of code summaries: BLEU-4, ROUGE-L and chrF, with baselines that need no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lilliput.data.docstrings import function_name, name_words
from lilliput.errors import DataError
from lilliput.evaluate.bleu import bleu
from lilliput.evaluate.chrf import chrf
from lilliput.evaluate.intervals import Estimate, bounded_mean
from lilliput.evaluate.rouge import rouge_l

MEASURES: Mapping[str, Callable[[str, str], float]] = {"bleu4": bleu, "rouge_l": rouge_l, "chrf": chrf}
"""Name -> ``(reference, hypothesis)`` to a score from 0 to 100."""


@dataclass(frozen=True)
class SummaryScores:
    """Scores of a list of summaries: means over examples, 0 to 100, with the interval of
    :func:`~lilliput.evaluate.intervals.bounded_mean`.

    Attributes:
        bleu4: see :func:`~lilliput.evaluate.bleu.bleu`.
        rouge_l: see :func:`~lilliput.evaluate.rouge.rouge_l`.
        chrf: see :func:`~lilliput.evaluate.chrf.chrf`.
        empty: number of empty hypotheses.
        values: name of a measure -> its value for each example, for paired comparisons.
    """

    bleu4: Estimate
    rouge_l: Estimate
    chrf: Estimate
    empty: int
    values: Mapping[str, tuple[float, ...]]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the values of single examples."""
        return {name: asdict(getattr(self, name)) for name in MEASURES} | {"empty": self.empty}


@dataclass(frozen=True)
class SummaryComparison:
    """Scores of a model's summaries and, on the same examples, of the baselines.

    Attributes:
        model: the model's scores.
        baselines: ``empty`` (no text at all), and ``name`` (the words of the function's name) where code was given.
        n: number of examples.
    """

    model: SummaryScores
    baselines: Mapping[str, SummaryScores]
    n: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        baselines = {name: scores.as_dict() for name, scores in self.baselines.items()}
        return {"n": self.n, **self.model.as_dict(), "baselines": baselines}


def score_summaries(
    references: Sequence[str], hypotheses: Sequence[str], codes: Sequence[str] | None = None
) -> SummaryComparison:
    """Score summaries against reference summaries.

    Args:
        references: one per example.
        hypotheses: in the same order.
        codes: the functions, for the baseline of function names.

    Raises:
        DataError: there are none, or their numbers differ.
    """
    lengths = {len(references), len(hypotheses), len(references if codes is None else codes)}
    if lengths == {0} or len(lengths) > 1:
        raise DataError(
            f"{len(references)} references and {len(hypotheses)} summaries cannot be compared.",
            remedy="Give one summary, and one function, for each reference; one at least.",
        )
    baselines = {"empty": [""] * len(references)}
    if codes is not None:
        baselines["name"] = [name_words(function_name(code)) for code in codes]
    scored = {name: _scores(references, texts) for name, texts in baselines.items()}
    return SummaryComparison(_scores(references, hypotheses), scored, len(references))


def _scores(references: Sequence[str], hypotheses: Sequence[str]) -> SummaryScores:
    pairs = list(zip(references, hypotheses, strict=True))
    values = {name: tuple(measure(*pair) for pair in pairs) for name, measure in MEASURES.items()}
    estimates = {name: bounded_mean(np.array(each), 0.0, 100.0) for name, each in values.items()}
    return SummaryScores(**estimates, empty=sum(not text.strip() for text in hypotheses), values=values)
