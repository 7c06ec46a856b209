"""Rewrites of whole datasets: changes are counted, examples keep their identity, and copies keep their labels."""

import numpy as np
import pytest

from lilliput.data.dataset import Dataset
from lilliput.data.rewrites.datasets import augmented, mixed, mixed_all, rewrite_dataset
from tests.data.rewritten_functions import C_FUNCTIONS

TEXTS = ("int f(int a) { return a; }", "int g(void) { return 1; }", *C_FUNCTIONS.values())


def pairs() -> Dataset:
    return Dataset(TEXTS, np.array([[0, 1], [1, 1], [2, 0]]), np.array([0, 1, -1]), ("different", "clone"))


def test_changed_examples_and_functions_are_counted():
    calls = []
    found = rewrite_dataset(pairs(), "c", "rename", 1, lambda: calls.append(1))
    assert found.changed.tolist() == [True, False, True]
    assert (found.functions, found.refused) == (len(TEXTS), 0)
    assert found.functions_changed == len(TEXTS) - 1  # all but g
    assert len(calls) == len(TEXTS)
    assert found.dataset.labels.tolist() == [0, 1, -1]
    assert found.dataset.texts[found.dataset.members[1, 0]] == TEXTS[1]
    assert found.dataset.texts[found.dataset.members[0, 0]] != TEXTS[0]


def test_functions_that_become_equal_are_merged():
    texts = ("int f(void) { return 1; /* a */ }\n", "int f(void) { return 1; /* b */ }\n")
    data = Dataset(texts, np.array([[0], [1]]), np.array([0, 1]), ("a", "b"))
    found = rewrite_dataset(data, "c", "remove_comments")
    assert len(found.dataset.texts) == 1
    assert found.dataset.members.tolist() == [[0], [0]]


def test_mixed_rewrites_vary_with_the_seed_and_are_cached_in_parts(monkeypatch):
    monkeypatch.setattr("lilliput.data.rewrites.datasets.KEPT_AT_ONCE", 5)
    kept: dict[str, list[str]] = {}

    def once(name, compute):
        return kept.setdefault(name, compute())

    advanced = []
    made = mixed_all(TEXTS, "c", 3, once, advanced.append)
    assert made == [mixed(text, "c", 3) for text in TEXTS]
    assert list(kept) == ["rewritten-0", "rewritten-5", "rewritten-10"]
    assert advanced == [5, 5, 4]
    assert made != [mixed(text, "c", 4) for text in TEXTS]
    assert all(one != other for one, other in zip(made[2:], TEXTS[2:], strict=True))


def test_copies_keep_label_and_origin():
    data = pairs()
    rewritten = [f"{text}// again\n" for text in TEXTS]
    rewritten[1] = TEXTS[1]
    made = augmented(data, rewritten, 1.0)
    assert made.rows.tolist() == [0, 1, 2, 0, 2]  # the pair of unchanged functions gets no copy
    assert made.dataset.labels.tolist() == [0, 1, -1, 0, -1]
    for row, origin in enumerate(made.rows):
        for side in range(2):
            function = made.dataset.members[row, side]
            assert made.functions[function] == data.members[origin, side]
            text = made.dataset.texts[function]
            wanted = TEXTS if row < len(data) else rewritten
            assert text == wanted[data.members[origin, side]]


def test_rewrite_equal_to_another_function_is_merged_with_it():
    data = Dataset(("a", "b"), np.array([[0], [1]]), np.array([0, 1]), ("x", "y"))
    made = augmented(data, ["b", "c"], 1.0)
    assert made.dataset.texts == ("a", "b", "c")
    assert made.functions.tolist() == [0, 1, 1]
    assert made.dataset.members.tolist() == [[0], [1], [1], [2]]


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_given_share_of_examples_gets_copies(share):
    texts = tuple(f"t{i}" for i in range(40))
    data = Dataset(texts, np.arange(40)[:, None], np.arange(40) % 2, ("x", "y"))
    made = augmented(data, [f"{text}!" for text in texts], share, seed=2)
    assert len(made.rows) == 40 + 40 * share
    assert len(set(made.rows[40:].tolist())) == 40 * share
    again = augmented(data, [f"{text}!" for text in texts], share, seed=3)
    assert made.rows.tolist() != again.rows.tolist()
