"""chrF: the F-score of the character n-grams that two texts share.

Source: Popović, "chrF: character n-gram F-score for automatic MT evaluation", 2015, with sacreBLEU's settings: n-grams
of 1 to 6 characters without white space, recall weighed twice as much as precision (beta = 2), case-sensitive.
"""

from __future__ import annotations

from lilliput.evaluate.bleu import ngrams

LONGEST, BETA = 6, 2.0


def chrf(reference: str, hypothesis: str) -> float:
    """chrF2 of one text, 0 to 100.

    ``(1 + beta^2) P R / (beta^2 P + R)`` with precision and recall averaged over the lengths for which both texts have
    n-grams; 0 where there is no such length.
    """
    wanted, given = ("".join(text.split()) for text in (reference, hypothesis))
    lengths = min(LONGEST, len(wanted), len(given))
    precision = recall = 0.0
    for n in range(1, lengths + 1):
        there, here = ngrams(wanted, n), ngrams(given, n)
        shared = (there & here).total()
        precision += shared / here.total() / lengths
        recall += shared / there.total() / lengths
    if not precision:
        return 0.0
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
