"""Perturbations of a docstring's prose: typing errors, synonyms, other inflections.

Examples, quoted text and identifiers stay (see :mod:`lilliput.evaluate.perturb.prose`), and so does the line layout, so
that the task is preserved. ReCode's counterparts come from NL-Augmenter.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from random import Random

from lilliput.evaluate.perturb.english import Tense, in_tense, inflected
from lilliput.evaluate.perturb.perturbation import Apply, Perturbation, Problem
from lilliput.evaluate.perturb.prose import Word, words
from lilliput.evaluate.perturb.source import Edit, Source, edited, opened
from lilliput.evaluate.perturb.synonyms import synonyms
from lilliput.evaluate.perturb.typing_errors import butter_fingers, change_case, swap_characters

Respell = Callable[[Word, Random], str | None]

SYNONYM_SHARE, INSERTION_SHARE, INFLECTION_SHARE = 0.5, 0.3, 0.5
"""Shares of the changeable words that are changed."""

SPACE_LOST, SPACE_GAINED = 0.1, 0.05
"""Probabilities, for the space between two words and for each position inside one."""


def _of_words(respell: Respell) -> Apply:
    """The perturbation that replaces each word by ``respell(word, rng)`` unless that is ``None``."""

    def apply(problem: Problem, rng: Random) -> Problem | None:
        source = opened(problem)
        if source is None:
            return None
        new = [(word, respell(word, rng)) for word in words(source)]
        return edited(source, [Edit(word.start, word.end, text) for word, text in new if text is not None])

    return apply


def _synonym(word: Word, rng: Random) -> str | None:
    found = synonyms(word.text)
    return rng.choice(found) if found and rng.random() < SYNONYM_SHARE else None


def _with_synonym(word: Word, rng: Random) -> str | None:
    found = synonyms(word.text)
    return f"{word.text} {rng.choice(found).lower()}" if found and rng.random() < INSERTION_SHARE else None


def _other_form(word: Word, rng: Random) -> str | None:
    return inflected(word.text, rng) if rng.random() < INFLECTION_SHARE else None


def _tense(tense: Tense) -> Respell:
    return lambda word, rng: in_tense(word.text, word.before, tense)


def whitespace(problem: Problem, rng: Random) -> Problem | None:
    """Remove spaces between words and insert spaces inside them."""
    source = opened(problem)
    return None if source is None else edited(source, _spaces(source, words(source), rng))


def _spaces(source: Source, found: list[Word], rng: Random) -> Iterator[Edit]:
    for word in found:
        for place in range(word.start + 1, word.end):
            if rng.random() < SPACE_GAINED:
                yield Edit(place, place, " ")
    for one, other in itertools.pairwise(found):
        if source.text[one.end : other.start] == " " and rng.random() < SPACE_LOST:
            yield Edit(one.end, other.start, "")


def _perturbation(name: str, apply: Apply, summary: str, released: str, deterministic: bool = False) -> Perturbation:
    return Perturbation(f"doc_{name}", "docstring", deterministic, "prompt", apply, summary, released)


PERTURBATIONS = (
    _perturbation(
        "butter_fingers",
        _of_words(lambda word, rng: butter_fingers(word.text, rng)),
        "6 % of letters replaced by one beside it on the keyboard",
        "ButterFingersPerturbation",
    ),
    _perturbation(
        "change_case",
        _of_words(lambda word, rng: change_case(word.text, rng)),
        "35 % of letters in the other case",
        "ChangeCharCase",
    ),
    _perturbation(
        "inflection",
        _of_words(_other_form),
        "half of the nouns, verbs and adjectives in another form",
        "EnglishInflectionalVariation",
    ),
    _perturbation(
        "swap_characters",
        _of_words(lambda word, rng: swap_characters(word.text, rng)),
        "5 % of pairs of letters exchanged",
        "SwapCharactersPerturbation",
    ),
    _perturbation(
        "synonym_insertion",
        _of_words(_with_synonym),
        "a synonym after 30 % of the words that have one",
        "SynonymInsertion",
    ),
    _perturbation(
        "synonym_substitution",
        _of_words(_synonym),
        "half of the words that have a synonym replaced by it",
        "SynonymSubstitution",
    ),
    _perturbation(
        "tense_future", _of_words(_tense("future")), "verbs in the future tense", "TenseTransformationFuture", True
    ),
    _perturbation("tense_past", _of_words(_tense("past")), "verbs in the past tense", "TenseTransformationPast", True),
    _perturbation(
        "whitespace",
        whitespace,
        "10 % of spaces lost, and new ones at 5 % of the places inside words",
        "WhitespacePerturbation",
    ),
)
