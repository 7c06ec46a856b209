"""The table of n-grams: hashes that never change, and the student's bag against a loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lilliput.distill.student import Student
from lilliput.encoder import PAD_ID, EncoderConfig
from lilliput.errors import UserError
from lilliput.grams import Grams
from lilliput.search.space import Architecture


def bag_by_loop(grams: Grams, table: np.ndarray, ids: list[int], vocabulary: int) -> np.ndarray:
    """The definition, one n-gram after another."""
    hashes, total, count = grams.hashes(vocabulary), np.zeros(grams.width), 0
    for length in range(1, grams.order + 1):
        found = set()
        for start in range(len(ids) - length + 1):
            key = 0
            for place in range(length):
                key ^= int(hashes[place, ids[start + place]])
            found.add(key)
        total += table[sorted(found)].sum(axis=0)
        count += len(found)
    if grams.scale == "mean":
        return 16 * total / count
    if grams.scale == "root":
        return total / np.sqrt(count)
    return (total - total.mean()) / np.sqrt(total.var() + 1e-5)


@given(
    st.lists(st.lists(st.integers(2, 29), min_size=1, max_size=40), min_size=1, max_size=4),
    st.integers(1, 4),
    st.integers(4, 12),
    st.sampled_from(["mean", "root", "norm"]),
)
def test_bag_consists_of_the_distinct_rows(functions, order, bits, scale):
    grams = Grams(order, bits, 3, scale)
    student = Student(EncoderConfig(Architecture(1, 16, 1, 16, 30), grams=grams)).eval()
    ids = torch.full((len(functions), 48), PAD_ID)
    for row, function in enumerate(functions):
        ids[row, : len(function)] = torch.tensor(function)
    found = student.bag("grams", ids, ids != PAD_ID).detach().numpy()
    table = student.weight("grams.weight").detach().numpy()
    expected = [bag_by_loop(grams, table, function, 30) for function in functions]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_dropout_removes_the_given_share_of_n_grams():
    grams = Grams(1, 12, 1, "root")
    config = EncoderConfig(Architecture(0, 16, 1, 0, 1004), positions=0, grams=grams)
    student = Student(config, dropout=0.0, grams_dropout=0.75).train()
    student.weight("grams.weight").data.fill_(1.0)
    ids = torch.arange(4, 1004)[None]
    distinct = len(np.unique(grams.hashes(1004)[0, 4:]))
    torch.manual_seed(0)
    kept = student.bag("grams", ids, ids != PAD_ID).item() * distinct**0.5 / 4  # remaining n-grams count four times
    assert abs(kept / distinct - 0.25) < 0.06  # four standard deviations of a share of 880
    student.eval()
    assert student.bag("grams", ids, ids != PAD_ID).item() == pytest.approx(distinct**0.5)


def test_hashes_never_change():
    """Artifacts contain tables trained with these hashes."""
    assert Grams(2, 16, 1).hashes(3).tolist() == [[57888, 28280, 1732], [63627, 6969, 21451]]


def test_hashes_spread_evenly():
    counts = np.bincount(Grams(4, 8, 1).hashes(5000).ravel(), minlength=256)
    expected = 4 * 5000 / 256
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 350  # 255 degrees of freedom: mean 255, standard deviation 22.6


@pytest.mark.parametrize("sizes", [(0, 10, 4), (9, 10, 4), (2, 3, 4), (2, 40, 4), (2, 10, 0)])
def test_rejects_sizes_out_of_range(sizes):
    with pytest.raises(ValueError, match="must be"):
        Grams(*sizes)


def test_sizes_are_parsed():
    assert Grams.parsed("bits=12, width=3") == Grams(2, 12, 3)
    assert Grams.parsed("order=1,scale=norm") == Grams(1, 16, 16, "norm")


@pytest.mark.parametrize(
    "word", ["", "12", "bits", "bits=8,bits=9", "bits=x", "bits=40", "rows=3", "bits=12,,width=3", "scale=2"]
)
def test_rejects_invalid_specifications(word):
    with pytest.raises(UserError, match="is not a valid table of n-grams") as caught:
        Grams.parsed(word)
    assert caught.value.where == "--grams"
