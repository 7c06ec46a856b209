"""ROUGE-L against rouge-score, and the longest common subsequence against enumeration."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.evaluate.rouge import common_subsequence, rouge_l
from tests.evaluate.text_scores import PAIRS, TEXTS


@pytest.mark.parametrize("reference, hypothesis, expected", [(*pair[:2], pair[3]) for pair in PAIRS])
def test_matches_rouge_score(reference, hypothesis, expected):
    assert rouge_l(reference, hypothesis) == pytest.approx(expected, abs=1e-9)


def subsequences(items):
    return {choice for length in range(len(items) + 1) for choice in combinations(items, length)}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2), max_size=7), st.lists(st.integers(0, 2), max_size=7))
def test_longest_common_subsequence_matches_enumeration(one, other):
    assert common_subsequence(one, other) == max(map(len, subsequences(one) & subsequences(other)))


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_is_within_0_and_100_and_symmetric(one, other):
    assert 0 <= rouge_l(one, other) <= 100
    assert rouge_l(one, other) == rouge_l(other, one)


@settings(deadline=None)
@given(TEXTS)
def test_text_with_words_scores_100_against_itself(text):
    assert rouge_l(f"word {text}", f"word {text}") == 100
