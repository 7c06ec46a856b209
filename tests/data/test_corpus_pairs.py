"""How functions are split and matched with look-alikes, and what the pairs consist of."""

from __future__ import annotations

import re
import sysconfig
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.data.corpus.harvest import Harvested, harvest
from lilliput.data.corpus.neighbors import nearest, overlap
from lilliput.data.corpus.pairs import BOTH_REWRITTEN, make_pairs, split_by_file
from lilliput.data.dataset import Dataset
from lilliput.errors import UserError


@pytest.fixture(scope="module")
def functions() -> list[Harvested]:
    return harvest(Path(sysconfig.get_path("stdlib"), "asyncio"))


@pytest.fixture(scope="module")
def pairs(functions: list[Harvested]) -> Dataset:
    return make_pairs(functions, 500, Random(0))


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8), max_size=9), st.integers(0, 10))
def test_nearest_matches_comparing_all_pairs(bags: list[list[str]], count: int) -> None:
    def similarity(i: int, j: int) -> float:
        first, second = set(bags[i]), set(bags[j])
        return len(first & second) / max(len(first | second), 1)

    rows = range(len(bags))
    expected = [sorted((j for j in rows if j != i), key=lambda j: (-similarity(i, j), j))[:count] for i in rows]
    assert nearest(bags, count).tolist() == expected


def test_overlap_counts_repeated_tokens() -> None:
    assert overlap(Counter("aab"), Counter("abb")) == 2 / 4
    assert overlap(Counter("ab"), Counter("ab")) == 1.0
    assert overlap(Counter("ab"), Counter("cd")) == 0.0
    assert overlap(Counter(), Counter()) == 1.0


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers())
def test_files_are_not_split(files: list[int], seed: int) -> None:
    given_functions = [Harvested(f"{file}.py", f"f{i}", "") for i, file in enumerate(files)]
    parts = split_by_file(given_functions, (0.8, 0.1, 0.1), Random(seed))
    assert sorted(f.name for part in parts for f in part) == sorted(f.name for f in given_functions)
    places = [{f.file for f in part} for part in parts]
    assert sum(map(len, places)) == len(set(files))
    largest = max(Counter(files).values())
    assert all(0.1 * len(files) - 1 < len(part) <= 0.1 * len(files) + largest for part in parts[1:] if parts[0])


def test_half_the_pairs_are_clones(pairs: Dataset, functions: list[Harvested]) -> None:
    assert len(pairs) == 500
    assert pairs.label_names == ("different", "clone")
    assert pairs.labels.tolist().count(1) == 250
    assert make_pairs(functions, 7, Random(0)).labels.tolist().count(1) == 4
    assert set(np.unique(pairs.members)) == set(range(len(pairs.texts)))
    assert len(set(pairs.texts)) == len(pairs.texts)
    assert set(pairs.sources) <= {f.file for f in functions}
    assert all(first != second for first, second in pairs.members)


def test_no_single_function_gives_away_the_label(pairs: Dataset, functions: list[Harvested]) -> None:
    originals = {f.text for f in functions}
    by_label = [pairs.members[pairs.labels == label] for label in (0, 1)]
    is_original = np.array([text in originals for text in pairs.texts])
    for members in by_label:  # at most one original per pair, and equally often in both classes
        assert is_original[members].sum(axis=1).max() == 1
        assert abs(is_original[members].sum() / len(members) - (1 - BOTH_REWRITTEN)) < 0.1
    lefts = [Counter(members[is_original[members]]) for members in by_label]
    assert lefts[0] == lefts[1]
    lengths = np.array([len(text) for text in pairs.texts], dtype=float)
    means = [lengths[members].mean() for members in by_label]
    assert abs(means[0] - means[1]) < 0.15 * max(means)
    assert set(by_label[0].ravel()) <= set(by_label[1].ravel()), "rewrites of look-alikes are in clone pairs too"
    assert max(Counter(by_label[0].ravel().tolist()).values()) < 12, "a hub would be a clue"


def test_either_side_of_a_clone_pair_may_be_the_original(pairs: Dataset, functions: list[Harvested]) -> None:
    originals = {f.text for f in functions}
    first = np.array([pairs.texts[a] in originals for a, _ in pairs.members])
    second = np.array([pairs.texts[b] in originals for _, b in pairs.members])
    assert 0.4 < first.sum() / (first.sum() + second.sum()) < 0.6


def test_look_alikes_are_more_similar_than_strangers(pairs: Dataset) -> None:
    words = [set(re.findall(r"\w+", text)) for text in pairs.texts]

    def mean_overlap(members: np.ndarray) -> float:  # type: ignore[type-arg]
        return float(np.mean([len(words[a] & words[b]) / len(words[a] | words[b]) for a, b in members]))

    different = pairs.members[pairs.labels == 0]
    strangers = np.column_stack([different[:, 0], np.roll(different[:, 1], 1)])
    clones = pairs.members[pairs.labels == 1]
    assert mean_overlap(strangers) * 1.5 < mean_overlap(different) < mean_overlap(clones) < 0.75


def test_equal_seeds_give_equal_pairs(pairs: Dataset, functions: list[Harvested]) -> None:
    again, other = make_pairs(functions, 500, Random(0)), make_pairs(functions, 500, Random(1))
    assert (again.texts, again.sha256) == (pairs.texts, pairs.sha256)
    assert other.sha256 != pairs.sha256
    assert re.fullmatch("[0-9a-f]{64}", pairs.sha256)


def test_hash_covers_texts_pairs_and_labels(functions: list[Harvested]) -> None:
    hashes = {make_pairs(functions[:40], count, Random(0)).sha256 for count in range(20, 30)}
    assert len(hashes) == 10


def test_few_functions_are_reused_up_to_a_limit(functions: list[Harvested]) -> None:
    assert len(make_pairs(functions[:10], 40, Random(0))) == 40
    with pytest.raises(UserError, match=r"400 pairs were asked for, and 10 functions give \d+ at most. Ask for fewer"):
        make_pairs(functions[:10], 400, Random(0))
    with pytest.raises(UserError, match="0 functions give 0 at most"):
        make_pairs([], 2, Random(0))


def test_progress_counts_every_pair(functions: list[Harvested]) -> None:
    steps: list[int] = []
    make_pairs(functions, 60, Random(0), lambda: steps.append(1))
    assert len(steps) == 60
