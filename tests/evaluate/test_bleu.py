"""BLEU against CodeXGLUE's evaluator, and properties of any texts."""

import math

import pytest
from hypothesis import given, settings

from lilliput.evaluate.bleu import bleu, words
from tests.evaluate.text_scores import PAIRS, TEXTS


@pytest.mark.parametrize("reference, hypothesis, expected", [pair[:3] for pair in PAIRS])
def test_matches_codexglue(reference, hypothesis, expected):
    assert bleu(reference, hypothesis) == pytest.approx(expected, abs=1e-9)


def test_words_are_runs_of_letters_and_digits_or_single_marks():
    assert words(" Don't split a_b2, 0.5!\n") == ["don", "'", "t", "split", "a", "_", "b2", ",", "0", ".", "5", "!"]


def test_matches_the_formula():
    # Of "a b c", 1 of 3 words matches, and none of 2 bigrams, 1 trigram and 0 4-grams; the reference is 2 words longer.
    expected = 100 * math.exp(1 - 6 / 4) * (1 / 3 * 1 / 3 * 1 / 2 * 1 / 1) ** (1 / 4)
    assert bleu("b x y z w", "a b c") == pytest.approx(expected, rel=1e-12)


def test_empty_texts_get_only_the_brevity_penalty():
    assert bleu("one two three", "") == pytest.approx(100 * math.exp(-3))
    assert bleu("", "") == 100


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_is_within_0_and_100_and_ignores_case(reference, hypothesis):
    assert 0 <= bleu(reference, hypothesis) <= 100 + 1e-9
    assert bleu(reference.lower(), hypothesis) == bleu(reference, hypothesis)


@settings(deadline=None)
@given(TEXTS)
def test_equal_texts_score_100(text):
    assert bleu(text, text) == pytest.approx(100)
