"""ROUGE-L: the F1 score of the longest common subsequence of two texts' words.

Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, section 3, with recall and precision
weighed equally. Words are split as by the package ``rouge-score`` without stemming: runs of ASCII letters and digits,
in lower case, so a text in another script has no words.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

_WORD = re.compile(r"[a-z0-9]+")


def rouge_l(reference: str, hypothesis: str) -> float:
    """F1 of the words in the longest common subsequence, 0 to 100; 0 where either text has no words."""
    wanted, given = (_WORD.findall(text.lower()) for text in (reference, hypothesis))
    # 2 P R / (P + R) with P = common / given and R = common / wanted
    return 200 * common_subsequence(wanted, given) / max(1, len(wanted) + len(given))


def common_subsequence(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence, gaps allowed."""
    row = [0] * (len(other) + 1)
    for item in one:
        diagonal = 0
        for place, candidate in enumerate(other, start=1):
            above = row[place]
            row[place] = diagonal + 1 if item == candidate else max(above, row[place - 1])
            diagonal = above
    return row[-1]
