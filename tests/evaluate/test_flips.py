"""Flips against counts by hand, of classifiers whose answer to a rewrite is known."""

import json

import numpy as np
import pytest

from lilliput.data.dataset import Dataset
from lilliput.errors import DataError, UserError
from lilliput.evaluate.flips import flips, rewritings
from lilliput.evaluate.intervals import wilson

WITHOUT = tuple(f"int f{i}(void) {{ return {i}; }}" for i in range(4))
"""Functions without variables to rename."""
WITH = tuple(f"int g{i}(int kept{i})\n{{\n    return kept{i} + {i};\n}}\n" for i in range(6))


def data(labels) -> Dataset:
    texts = (*WITHOUT, *WITH)
    return Dataset(texts, np.arange(len(texts))[:, None], np.array(labels), ("safe", "vulnerable"))


def by_word(word):
    """A classifier that answers 1 where a function contains ``word``."""
    return lambda dataset: np.array([int(word in dataset.texts[member]) for member in dataset.members[:, 0]])


def test_classifier_of_names_flips_on_renaming():
    labels = [0] * 4 + [1, 1, 1, 1, 0, 0]
    found = flips(by_word("kept"), rewritings(data(labels), "c", ["rename"]))
    (line,) = found.rewrites
    assert (line.n, line.of, line.refused) == (6, 10, 0)
    assert (line.flipped, line.worst) == (wilson(6, 6), wilson(6, 6))
    assert (line.broken, line.mended) == (4, 2)
    assert found.accuracy == wilson(8, 10)
    assert line.accuracy == wilson(6, 10)
    assert line.worst_accuracy == wilson(4, 10)
    assert found.any.worst == line.worst


def test_unaffected_classifier_never_flips_and_its_interval_has_width():
    found = flips(by_word("return"), rewritings(data([1] * 10), "c", seeds=(0, 1)))
    assert {line.rewrite: line.flipped.value for line in found.rewrites if line.flipped} == dict.fromkeys(
        ["rename", "dead_code", "format", "add_comments"], 0.0
    )
    assert found.any.worst is not None
    assert found.any.worst.value == 0.0 < found.any.worst.high
    assert found.any.worst_accuracy == found.accuracy == wilson(10, 10)
    empty = next(line for line in found.rewrites if line.rewrite == "remove_comments")
    assert (empty.n, empty.flipped, empty.worst) == (0, None, None)


def test_seeds_give_the_mean_and_the_worst_case():
    made = rewritings(data([0] * 10), "c", ["rename"], range(5))
    names = [[dataset.dataset.texts[place] for dataset in made.by_rewrite["rename"]] for place in range(4, 10)]
    word = names[0][0].split("(int ")[1].split(")")[0]
    hits = np.array([[int(word in text) for text in texts] for texts in names])  # [functions, seeds]
    assert 0 < hits.sum() < hits.size
    found = flips(by_word(word), made).rewrites[0]
    assert found.flipped is not None
    assert found.worst is not None
    assert found.flipped.value == pytest.approx(hits.mean())
    assert found.flipped.low < found.flipped.value < found.flipped.high
    assert found.worst == wilson(int(hits.any(axis=1).sum()), 6)
    assert found.accuracy is not None
    assert found.accuracy.value == pytest.approx(1 - hits.mean() * 6 / 10)
    assert found.worst_accuracy == wilson(10 - int(hits.any(axis=1).sum()), 10)


def test_only_changed_examples_are_reclassified():
    classified = []

    def classify(dataset):
        classified.append(len(dataset))
        return np.zeros(len(dataset), np.int64)

    flips(classify, rewritings(data([0] * 10), "c", ["rename", "remove_comments"]))
    assert classified == [10, 6]


def test_unlabelled_examples_can_flip_but_have_no_accuracy():
    found = flips(by_word("kept"), rewritings(data([-1] * 10), "c", ["rename"]))
    assert found.labelled == 0
    assert (found.accuracy, found.rewrites[0].accuracy, found.rewrites[0].broken) == (None, None, 0)
    assert found.rewrites[0].flipped == wilson(6, 6)
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["rewrites"][0]["flipped"]["value"] == 1.0
    assert plain["any"]["n"] == 6


def test_pairs_count_as_changed_if_one_function_is():
    members = np.array([[0, 4], [0, 1], [5, 6]])
    pairs = Dataset((*WITHOUT, *WITH), members, np.array([0, 0, 1]), ("different", "clone"))
    found = flips(lambda dataset: np.zeros(len(dataset), np.int64), rewritings(pairs, "c", ["rename"]))
    assert found.rewrites[0].n == 2


def test_rejects_nothing_to_rewrite():
    for arguments in ({"seeds": ()}, {"rewrites": ()}):
        with pytest.raises(DataError, match="nothing to rewrite"):
            rewritings(data([0] * 10), "c", **arguments)
    with pytest.raises(UserError, match="no rewrite is called 'magic'"):
        rewritings(data([0] * 10), "c", ["magic"])
