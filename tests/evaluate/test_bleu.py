"""BLEU against CodeXGLUE's evaluator, and what must hold of any texts."""

import math

import pytest
from hypothesis import given, settings

from lilliput.evaluate.bleu import bleu, words
from tests.evaluate.text_scores import PAIRS, TEXTS


@pytest.mark.parametrize("reference, hypothesis, expected", [pair[:3] for pair in PAIRS])
def test_it_is_what_codexglue_gives(reference, hypothesis, expected):
    assert bleu(reference, hypothesis) == pytest.approx(expected, abs=1e-9)


def test_words_are_runs_of_letters_and_digits_and_every_mark_is_one():
    assert words(" Don't split a_b2, 0.5!\n") == ["don", "'", "t", "split", "a", "_", "b2", ",", "0", ".", "5", "!"]


def test_the_formula():
    # of "a b c": 1 word of 3, no pair of 2, no triple of 1, no 4-gram of 0; the reference is two words longer
    expected = 100 * math.exp(1 - 6 / 4) * (1 / 3 * 1 / 3 * 1 / 2 * 1 / 1) ** (1 / 4)
    assert bleu("b x y z w", "a b c") == pytest.approx(expected, rel=1e-12)


def test_empty_texts_pay_for_brevity_alone():
    assert bleu("one two three", "") == pytest.approx(100 * math.exp(-3))
    assert bleu("", "") == 100


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_it_is_from_0_to_100_and_case_is_nothing(reference, hypothesis):
    assert 0 <= bleu(reference, hypothesis) <= 100 + 1e-9
    assert bleu(reference.lower(), hypothesis) == bleu(reference, hypothesis)


@settings(deadline=None)
@given(TEXTS)
def test_a_text_is_100_like_itself(text):
    assert bleu(text, text) == pytest.approx(100)
