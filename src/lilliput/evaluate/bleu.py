"""Smoothed sentence-level BLEU-4 of code summaries, as CodeXGLUE's code-to-text task scores them.

BLEU is due to Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002; the smoothing to
Lin and Och, "ORANGE: a Method for Evaluating Automatic Evaluation Metrics for Machine Translation", 2004, section 4.
Tokenization and brevity penalty follow ``Code-Text/code-to-text/evaluator/evaluator.py`` of
https://github.com/microsoft/CodeXGLUE, which goes back to NIST's mteval-v11a.

Of that file's tokenization rules, only those below have an effect: it first puts spaces between all words and marks,
which leaves its rules for hyphens at line ends, entities, and marks next to digits nothing to match.
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
"""Added to counts so that their logarithm is always defined."""


def words(text: str) -> list[str]:
    """Split a text into lower-case words: runs of letters and digits, and every other character on its own."""
    return _WORD.findall(text.strip().lower())


def bleu(reference: str, hypothesis: str) -> float:
    """BLEU-4 of one text, 0 to 100.

    ``exp(min(0, 1 - (r + 1) / (c + 1))) * (m1 / c1 * (m2 + 1) / (c2 + 1) * ... )^(1/4)``, with ``r`` and ``c`` words of
    reference and hypothesis, ``cn`` n-grams of the hypothesis and ``mn`` of these in the reference (clipped counts).

    An empty hypothesis contains no error and is only penalized for brevity, ``100 exp(-r)``: 5 for a reference of three
    words. The original evaluator does the same; see the baseline of empty texts in
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
    """Count each n-gram of ``items``."""
    return Counter(zip(*(items[first:] for first in range(n)), strict=False))
