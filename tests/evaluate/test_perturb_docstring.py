"""Docstring perturbations: only prose changes, and English forms are right."""

import re
from random import Random

import pytest

from lilliput.data.corpus.trees import BUILTINS
from lilliput.evaluate.perturb import docstring
from lilliput.evaluate.perturb.english import in_tense, inflected
from lilliput.evaluate.perturb.prose import words
from lilliput.evaluate.perturb.source import opened
from lilliput.evaluate.perturb.synonyms import SYNONYMS, synonyms
from lilliput.evaluate.perturb.typing_errors import NEIGHBORS, butter_fingers, change_case, swap_characters
from tests.evaluate.perturbing import COUNT_VOWELS, LATE_DOCSTRING, PROBLEMS, SHORT, UNIQUE

BY_NAME = {perturbation.name: perturbation for perturbation in docstring.PERTURBATIONS}


def prose(problem):
    return " ".join(word.text for word in words(opened(problem)))


def test_prose_excludes_names_and_examples():
    # words, limit: arguments; "aeiou", `y`: quoted; doctests
    assert prose(COUNT_VOWELS) == (
        "Return the number of vowels in the given but only and never "
        "It checks whether the total is larger than and then returns instead"
    )
    # unique, nested: names; a line with a call; a name in capitals; what follows "Examples:" up to "Note:"
    assert prose(UNIQUE) == "Find the items of list Note you can assume that the parts are short"
    # a heading with an example on the same line
    assert prose(LATE_DOCSTRING) == (
        "Calculate the area of triangle from its three If the are impossible give back".replace("the area of", "the of")
    )
    assert prose(SHORT) == "sums the whole numbers from to"


def test_word_knows_its_predecessor_in_the_sentence():
    before = {word.text: word.before for word in words(opened(UNIQUE))}
    assert (before["Find"], before["items"], before["Note"], before["you"], before["assume"]) == (
        "",
        "unique",
        "",
        "",
        "can",
    )


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.entry_point)
def test_only_prose_changes(name, problem):
    source = opened(problem)
    kept = []
    place = 0
    for word in words(source):
        kept.append(source.text[place : word.start])
        place = word.end
    kept.append(source.text[place : len(problem.prompt)])
    if name == "doc_whitespace":  # spaces between words may be removed
        kept = [text for text in kept if text != " "]
    pattern = re.compile(r"[A-Za-z ]*?".join(map(re.escape, kept)))
    for seed in range(5):
        changed = BY_NAME[name](problem, seed)
        if changed is not None:
            assert pattern.fullmatch(changed.prompt), changed.prompt
            assert changed.canonical_solution == problem.canonical_solution and changed.test == problem.test


@pytest.mark.parametrize("name", BY_NAME)
def test_seeds_differ_if_the_perturbation_is_random(name):
    changed = {BY_NAME[name](COUNT_VOWELS, seed) for seed in range(8)}
    assert len(changed) == 1 if BY_NAME[name].deterministic else len(changed) > 1
    assert changed != {None}


@pytest.mark.parametrize(
    "word, before, past, future",
    [
        ("is", "it", "was", "will be"),
        ("Are", "you", "Were", "Will be"),
        ("have", "you", "had", "will have"),
        ("can", "you", "could", "will be able to"),
        ("returns", "function", "returned", "will return"),
        ("begins", "that", "began", "will begin"),
        ("Write", "", "Wrote", "Will write"),
        ("need", "you", "needed", "will need"),
        ("does", "it", "did", "will"),
        ("have", "to", None, None),  # an infinitive
        ("be", "can", None, None),
        ("returns", "the", None, None),  # a noun here, perhaps
        ("numbers", "of", None, None),
        ("Given", "", None, None),
        ("list", "a", None, None),
        ("sorted", "be", None, None),
    ],
)
def test_tenses_are_right(word, before, past, future):
    assert (in_tense(word, before, "past"), in_tense(word, before, "future")) == (past, future)


@pytest.mark.parametrize(
    "word, forms",
    [
        ("numbers", {"number"}),
        ("list", {"lists"}),
        ("Return", {"Returns", "Returned", "Returning"}),
        ("given", {"give", "gives", "gave", "giving"}),
        ("shortest", {"short", "shorter"}),
        ("positive", set()),  # not "positiver"
        ("the", set()),
        ("was", set()),
        ("in", set()),
    ],
)
def test_inflected_forms_are_right(word, forms):
    found = {inflected(word, Random(seed)) for seed in range(60)} - {None}
    assert found == forms


def test_synonyms_take_the_form_of_the_word():
    assert synonyms("Returns") == ["Gives back", "Hands back"]
    assert synonyms("elements") == ["items", "entries"]
    assert synonyms("chosen") == ["picked", "selected"]
    assert synonyms("given") == ["supplied", "provided"]
    assert "bigger" in synonyms("larger")
    for word in ("string", "list", "prime", "the", "integer", "median", "xyzzy"):
        assert synonyms(word) == []


def test_no_synonym_names_a_type_or_repeats_the_word():
    for table in SYNONYMS.values():
        for word, others in table.items():
            assert word not in others and len(set(others)) == len(others)
            assert not {"list", "tuple", "string", "array", "dictionary"} & {word, *others}
    assert "sum" in BUILTINS and "sum" not in SYNONYMS["VERB"]


def test_neighboring_keys_are_symmetric():
    assert set(NEIGHBORS["g"]) == set("ftyhvb")
    assert set(NEIGHBORS["q"]) == set("wa")
    assert all(key in NEIGHBORS[other] for key, others in NEIGHBORS.items() for other in others)


def test_character_changes_occur_at_their_rates():
    text = "abcdefgh" * 4000
    assert sum(a != b for a, b in zip(text, butter_fingers(text, Random(0)), strict=True)) / len(text) == pytest.approx(
        0.06, abs=0.006
    )
    cased = change_case(text, Random(0))
    assert cased.lower() == text and sum(map(str.isupper, cased)) / len(text) == pytest.approx(0.35, abs=0.012)
    swapped = swap_characters(text, Random(0))
    assert sorted(swapped) == sorted(text)
    moved = sum(a != b for a, b in zip(text, swapped, strict=True)) / len(text)
    assert moved == pytest.approx(2 * 0.05 / 1.05, abs=0.006)  # a pair is skipped once exchanged
    assert butter_fingers("Q", Random(0), 1.0) in {"W", "A"}
    assert swap_characters("a_b1", Random(0), 1.0) == "a_b1"
