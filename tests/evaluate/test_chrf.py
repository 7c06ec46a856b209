"""chrF against sacreBLEU, and properties of any texts."""

import pytest
from hypothesis import given, settings

from lilliput.evaluate.chrf import chrf
from tests.evaluate.text_scores import PAIRS, TEXTS


@pytest.mark.parametrize("reference, hypothesis, expected", [(*pair[:2], pair[4]) for pair in PAIRS])
def test_matches_sacrebleu(reference, hypothesis, expected):
    assert chrf(reference, hypothesis) == pytest.approx(expected, abs=1e-9)


def test_matches_the_formula():
    # "ab" against "abab", n-grams of lengths 1 and 2: precision 1 and 1, recall 1/2 and 1/3
    precision, recall = 1, (1 / 2 + 1 / 3) / 2
    assert chrf("a bab", "ab") == pytest.approx(100 * 5 * precision * recall / (4 * precision + recall))


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_is_within_0_and_100_and_ignores_white_space(reference, hypothesis):
    assert 0 <= chrf(reference, hypothesis) <= 100 + 1e-9
    assert chrf("".join(reference.split()), f" {hypothesis}\n") == chrf(reference, hypothesis)


@settings(deadline=None)
@given(TEXTS)
def test_equal_texts_score_100(text):
    assert chrf(f"x{text}", f"x{text}") == pytest.approx(100)
