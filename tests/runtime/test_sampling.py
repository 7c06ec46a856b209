"""Sampling against transformers' logits processors and by counting draws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from lilliput.errors import NumericError, UserError
from lilliput.runtime.sampling import Sampling, next_tokens, penalized, probabilities


def reference(logits, seen_ids, sampling):
    """Probabilities as transformers computes them."""
    steps = LogitsProcessorList()
    if sampling.repetition_penalty != 1:
        steps.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    steps.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        steps.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        steps.append(TopPLogitsWarper(sampling.top_p))
    return torch.softmax(steps(seen_ids, torch.from_numpy(logits).double()), -1).numpy()


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**31),
    st.builds(
        Sampling,
        temperature=st.floats(0.1, 3),
        top_k=st.integers(0, 60),
        top_p=st.floats(0.05, 1),
        repetition_penalty=st.floats(0.5, 2),
    ),
)
def test_probabilities_match_transformers(seed, sampling):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (3, 50)).astype(np.float32)
    ids = torch.from_numpy(random.integers(0, 50, (3, 8)))
    seen = np.zeros((3, 50), bool)
    np.put_along_axis(seen, ids.numpy(), True, axis=1)
    found = probabilities(penalized(logits, seen, sampling.repetition_penalty), sampling)
    np.testing.assert_allclose(found, reference(logits, ids, sampling), rtol=0, atol=1e-6)


def test_draws_follow_the_probabilities():
    sampling = Sampling(temperature=0.8, top_k=4)
    logits = np.random.default_rng(0).normal(0, 1, (1, 9)).astype(np.float32)
    count = 20_000
    draws = next_tokens(
        np.repeat(logits, count, 0),
        np.zeros((count, 9), bool),
        sampling,
        [np.random.default_rng([1, i]) for i in range(count)],
    )
    shares = np.bincount(draws, minlength=9) / count
    np.testing.assert_allclose(shares, probabilities(logits, sampling)[0], atol=4 * (0.25 / count) ** 0.5)


def test_greedy_takes_the_likeliest_token_and_draws_nothing():
    logits = np.array([[0.0, 3.0, 1.0], [2.0, -1.0, 0.0]], np.float32)
    seen = np.zeros((2, 3), bool)
    assert next_tokens(logits, seen, Sampling(), []).tolist() == [1, 0]
    seen[0, 1] = True
    assert next_tokens(logits, seen, Sampling(repetition_penalty=4.0), []).tolist() == [2, 0]


def test_draws_of_a_sequence_do_not_depend_on_its_neighbours():
    random = np.random.default_rng(3)
    logits = random.normal(0, 1, (4, 30)).astype(np.float32)
    seen, sampling = np.zeros((4, 30), bool), Sampling(temperature=1.0)
    together = next_tokens(logits, seen, sampling, [np.random.default_rng([7, i]) for i in range(4)])
    alone = [next_tokens(logits[i : i + 1], seen[:1], sampling, [np.random.default_rng([7, i])])[0] for i in range(4)]
    assert together.tolist() == alone


def test_largest_draw_takes_a_token_with_nonzero_probability():
    """A sum of many probabilities depends on the order of addition: no draw may lie beyond the sum."""

    class Last:
        def random(self):
            return 1 - 2**-53

    logits = np.random.default_rng(0).normal(0, 2, (40, 5000)).astype(np.float32)
    logits[:, 0] = -np.inf
    logits[:, 4000:] = -np.inf
    drawn = next_tokens(logits, np.zeros(logits.shape, bool), Sampling(temperature=1.0), [Last()] * len(logits))
    assert (drawn > 3000).all()
    assert (drawn < 4000).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [1e-308, 5e-324])
def test_tiny_temperature_is_greedy(temperature):
    logits = np.array([[-50.0, 3.0, 40.0, 1.0], [-9.0, -3.0, -4.0, -np.inf]], np.float32)
    randoms = [np.random.default_rng(seed) for seed in range(2)]
    assert next_tokens(logits, np.zeros((2, 4), bool), Sampling(temperature), randoms).tolist() == [2, 1]
    assert probabilities(logits, Sampling(temperature, top_k=2)).tolist() == [[0, 0, 1, 0], [0, 1, 0, 0]]


@pytest.mark.parametrize(
    "bad",
    [
        {"temperature": -1},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 0},
        {"top_p": 1.1},
        {"repetition_penalty": 0},
        {"repetition_penalty": 1e-320},
        {"repetition_penalty": 1001},
        {"repetition_penalty": float("nan")},
        {"repetition_penalty": float("inf")},
    ],
)
def test_rejects_invalid_values(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        Sampling(**bad)


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, [-np.inf] * 5])
def test_rejects_nan_and_infinite_logits(wrong, temperature):
    logits = np.zeros((2, 5), np.float32)
    logits[1, 3 if np.ndim(wrong) == 0 else slice(None)] = wrong
    with pytest.raises(NumericError, match="the model computes infinity or NaN"):
        next_tokens(logits, np.zeros((2, 0), bool), Sampling(temperature), [np.random.default_rng(0)] * 2)
