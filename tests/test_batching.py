"""Batches: every example once, correct padding, shared functions, and the same order for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.batching import Batches, BatchPlan, TokenIds, epoch_batches, make_batch
from lilliput.data.dataset import Dataset


def pairs_among(functions: int, pairs: int, seed: int, arity: int = 2) -> tuple[Dataset, TokenIds]:
    random = np.random.default_rng(seed)
    members = random.integers(0, functions, (pairs, arity))
    ids = [random.integers(2, 99, size) for size in random.integers(2, 61, functions)]
    texts = tuple(f"f{i}" for i in range(functions))
    data = Dataset(texts, members, random.integers(0, 2, pairs), ("no", "yes"))
    return data, TokenIds(ids, pad_id=1, max_tokens=60)


PLANS = st.builds(
    BatchPlan,
    examples=st.integers(1, 17),
    tokens=st.sampled_from([None, 64, 400]),
    fan=st.integers(1, 5),
    window=st.integers(1, 3),
    seed=st.integers(0, 5),
)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(0, 120), st.sampled_from([1, 2]), PLANS)
def test_epoch_holds_every_example_once_within_the_limits(functions, examples, arity, plan):
    data, ids = pairs_among(functions, examples, seed=functions, arity=arity)
    batches = epoch_batches(data, ids.lengths, plan, epoch=3)
    assert sorted(row for rows in batches for row in rows.tolist()) == list(range(examples))
    for rows in batches:
        batch = make_batch(data, ids, rows)
        assert len(batch) <= plan.examples
        assert len(batch) == 1 or plan.tokens is None or batch.ids.numel() <= plan.tokens


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(0, 120), st.sampled_from([1, 2]), st.integers(1, 40))
def test_sets_of_functions_are_disjoint_and_hold_all_examples_within_them(functions, examples, arity, size):
    data, ids = pairs_among(functions, examples, seed=functions, arity=arity)
    batches = epoch_batches(data, ids.lengths, BatchPlan(functions=size), epoch=2)
    sets = [set(data.members[rows].ravel().tolist()) for rows in batches]
    assert all(0 < len(one) <= size for one in sets)
    assert len(set().union(*sets)) == sum(map(len, sets))
    together = {row for rows in batches for row in rows.tolist()}
    assert len(together) == sum(map(len, batches))
    for row in set(range(examples)) - together:  # left out: its functions are in two sets, or in sets without examples
        assert not any(set(data.members[row].tolist()) <= one for one in sets)
    if arity == 1 or size >= functions:
        assert len(together) == examples


def test_every_pair_occurs_in_some_epoch_at_the_announced_rate():
    data, ids = pairs_among(20, 60, seed=4)
    batches = Batches(data, ids, BatchPlan(functions=10, seed=1))
    epochs = [np.concatenate(batches.epoch(number)) for number in range(200)]
    assert set(np.concatenate(epochs).tolist()) == set(range(60))
    assert np.mean([len(rows) for rows in epochs]) == pytest.approx(batches.examples(), rel=0.1)


@pytest.mark.parametrize("arity", [1, 2])
def test_batch_maps_each_example_to_its_functions(arity):
    data, ids = pairs_among(12, 40, seed=1, arity=arity)
    for rows in epoch_batches(data, ids.lengths, BatchPlan(examples=7), 0):
        batch = make_batch(data, ids, rows)
        assert len(batch.functions.unique()) == len(batch.functions) == len(batch.ids)
        assert torch.equal(batch.functions[batch.members], torch.from_numpy(data.members[rows]))
        assert torch.equal(batch.labels, torch.from_numpy(data.labels[rows]))
        assert torch.equal(batch.rows, torch.from_numpy(rows))
        for row, function in enumerate(batch.functions.tolist()):
            expected = ids.ids[function]
            assert batch.ids[row, : len(expected)].tolist() == expected.tolist()
            assert (batch.ids[row, len(expected) :] == 1).all()
            assert batch.mask[row].tolist() == [1] * len(expected) + [0] * (batch.ids.shape[1] - len(expected))


def test_width_is_a_multiple_of_eight_up_to_the_limit_of_the_model():
    data = Dataset(("a", "b"), np.array([[0], [1]]), np.array([0, 1]), ("no", "yes"))
    tokens = TokenIds([np.arange(9), np.arange(58)], pad_id=0, max_tokens=60)
    assert make_batch(data, tokens, np.array([0])).ids.shape == (1, 16)
    assert make_batch(data, tokens, np.array([0, 1])).ids.shape == (2, 60)


def test_order_depends_on_seed_and_epoch_alone():
    data, ids = pairs_among(50, 300, seed=2)

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [rows.tolist() for rows in Batches(data, ids, BatchPlan(seed=seed)).epoch(epoch)]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def padded_tokens(data: Dataset, ids: TokenIds, batches: list) -> int:
    return sum(make_batch(data, ids, rows).ids.numel() for rows in batches)


def test_single_functions_of_similar_length_are_batched_together():
    data, ids = pairs_among(2000, 0, seed=3, arity=1)
    data = Dataset(data.texts, np.arange(2000)[:, None], np.zeros(2000, np.int64), data.label_names)
    batches = epoch_batches(data, ids.lengths, BatchPlan(examples=32), 0)
    assert padded_tokens(data, ids, batches) < 1.25 * ids.lengths.sum()


def test_pairs_that_share_a_function_are_batched_together():
    data, ids = pairs_among(300, 6000, seed=3)
    planned = epoch_batches(data, ids.lengths, BatchPlan(examples=32, fan=8), 0)
    shuffled = np.array_split(np.random.default_rng(0).permutation(6000), 6000 // 32)
    assert padded_tokens(data, ids, planned) < 0.65 * padded_tokens(data, ids, shuffled)
