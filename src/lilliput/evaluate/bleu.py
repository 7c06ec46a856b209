"""BLEU-4 of summaries of code, as CodeXGLUE's code-to-text task scores them: smoothed, and of each text alone.

BLEU is of Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002; the smoothing of Lin
and Och, "ORANGE: a Method for Evaluating Automatic Evaluation Metrics for Machine Translation", 2004, section 4; what
counts as a word and the brevity penalty follow ``Code-Text/code-to-text/evaluator/evaluator.py`` of
https://github.com/microsoft/CodeXGLUE, which goes back to NIST's mteval-v11a.

Of that file's rules for tokens only those below have an effect: it first puts spaces between all words and marks, after
which its rules for hyphens at ends of lines, entities, and marks beside digits find nothing to do.
"""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Sequence

LONGEST = 4
"""Words of the longest n-grams."""

_WORD = re.compile(r"[^\W_]+|_|[^\w\s]")

_TINY = sys.float_info.min
"""Added to counts before their logarithm is taken, so that there always is one."""


def words(text: str) -> list[str]:
    """The words of a text, lower case: runs of letters and digits; every other character is one of its own."""
    return _WORD.findall(text.strip().lower())


def bleu(reference: str, hypothesis: str) -> float:
    """BLEU-4 of one text, 0 to 100.

    ``exp(min(0, 1 - (r + 1) / (c + 1))) * (m1 / c1 * (m2 + 1) / (c2 + 1) * ... )^(1/4)``, with ``r`` and ``c`` words of
    reference and hypothesis, ``cn`` n-grams of the hypothesis and ``mn`` of these in the reference, each as often at
    most as there.

    An empty hypothesis has nothing wrong in it and pays for its brevity alone, ``100 exp(-r)``: 5 for a reference of
    three words. That is the evaluator's own doing; see the baseline of empty texts in
    :func:`~lilliput.evaluate.summaries.score_summaries`.
    """
    wanted, given = words(reference), words(hypothesis)
    total = 0.0
    for n in range(1, LONGEST + 1):
        counts = ngrams(given, n)
        right = (counts & ngrams(wanted, n)).total()
        smooth = _TINY if n == 1 else 1 + _TINY
        total += math.log(right + smooth) - math.log(counts.total() + smooth)
    brevity = min(0.0, 1 - (len(wanted) + 1) / (len(given) + 1))
    return 100 * math.exp(brevity + total / LONGEST)


def ngrams(items: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """How often each run of ``n`` items is there."""
    return Counter(zip(*(items[first:] for first in range(n)), strict=False))
