"""Inflection and tense of English words, from the tables that come with LemmInflect.

LemmInflect knows which forms a word has, but not which of them a sentence uses, and there is no part-of-speech tagger
here, since those need a model. Nouns, verbs and adjectives are therefore told apart by rules: an inflected form is
sometimes of the wrong kind (as in the released files), and tense is changed only where a finite verb is certain.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import Literal

from lilliput.extras import require

Tense = Literal["past", "future"]

FORMS = {
    "NOUN": ("NN", "NNS"),
    "VERB": ("VB", "VBZ", "VBD", "VBG", "VBN"),
    "ADJ": ("JJ", "JJR", "JJS"),
}
"""Kinds of words that inflect, the likeliest first, with the Penn Treebank tags of their forms."""

LONGEST_COMPARED = 5
"""Letters of the longest adjectives that are inflected: "shorter", but not "positiver"."""

_FUNCTION = """
    a an the this that these those it its you your we our they their i he she his her who which what where when
    why how if else then than so as at by for from in into of on onto or and but nor not no to up out off over under
    with within without between about after before above below is are am was were be been being has have had do does
    did can could will would shall should may might must there here each every any all both some such other another
    only also very too more most less least many much few own same one two three four five six seven eight nine ten
    first second third last next
"""
_FUNCTION_WORDS = frozenset(_FUNCTION.split())
"""Words without useful forms, or whose forms LemmInflect takes from rare homographs ("as", "us", "its")."""

_AUXILIARIES: dict[str, dict[Tense, str]] = {
    "is": {"past": "was", "future": "will be"},
    "are": {"past": "were", "future": "will be"},
    "has": {"past": "had", "future": "will have"},
    "have": {"past": "had", "future": "will have"},
    "does": {"past": "did", "future": "will"},
    "can": {"past": "could", "future": "will be able to"},
    "may": {"past": "might", "future": "may"},
    "will": {"past": "would", "future": "will"},
}
_INFINITIVE_BEFORE = frozenset(
    {"to", "can", "could", "will", "would", "may", "might", "must", "shall", "should", "not"}
)
_PLURAL_SUBJECTS = frozenset({"you", "we", "they", "i"})
_SINGULAR_SUBJECTS = frozenset({"it", "he", "she", "that", "which", "who", "function", "method", "program", "and"})
_ASKING = """
    return write find create check compute calculate implement determine make get take give count sort remove
    convert replace filter insert round split add output print complete evaluate test consider use build change
    concatenate decode encode flip generate input obtain parse rescale search separate sum truncate
"""
_IMPERATIVES = frozenset(_ASKING.split())
"""Verbs in the imperative in docstrings. Other first words of a sentence ("Given", "List") are left alone."""


@lru_cache(maxsize=4096)
def lemmas(word: str) -> dict[str, tuple[str, ...]]:
    """The base forms of a word by kind (``NOUN``, ``VERB``, ``ADJ`` and others); empty for unknown words.

    Raises:
        MissingExtra: LemmInflect is not installed.
    """
    found: dict[str, tuple[str, ...]] = require("lemminflect").getAllLemmas(word.lower())
    return found


@lru_cache(maxsize=4096)
def form(lemma: str, tag: str) -> str | None:
    """Inflect a base form to a Penn Treebank tag; ``None`` where there is no such form.

    Raises:
        MissingExtra: LemmInflect is not installed.
    """
    found: tuple[str, ...] = require("lemminflect").getInflection(lemma, tag)
    return found[0] if found else None


def kind(word: str) -> str | None:
    """Classify ``word`` as ``NOUN``, ``VERB`` or ``ADJ``; ``None`` for anything else."""
    if word.lower() in _FUNCTION_WORDS:
        return None
    known = lemmas(word)
    if "VERB" in known and (word.lower() in _IMPERATIVES or _participle(word.lower(), known["VERB"][0])):
        return "VERB"
    if "ADJ" in known and "NOUN" in known and word.lower() in known["ADJ"] and "VERB" not in known:
        return "ADJ"
    return next((name for name in FORMS if name in known), None)


def _participle(word: str, lemma: str) -> bool:
    return word != lemma and word in {form(lemma, tag) for tag in ("VBD", "VBN", "VBG")}


def inflected(word: str, rng: Random) -> str | None:
    """Another form of ``word``, of the same kind and capitalization; ``None`` where there is none.

    Raises:
        MissingExtra: LemmInflect is not installed.
    """
    name = kind(word)
    if name is None or (name == "ADJ" and len(lemmas(word)[name][0]) > LONGEST_COMPARED):
        return None
    forms = [form(lemmas(word)[name][0], tag) for tag in FORMS[name]]
    others = sorted({text for text in forms if text and text.isalpha() and text != word.lower()})
    return like(word, rng.choice(others)) if others else None


def in_tense(word: str, before: str, tense: Tense) -> str | None:
    """``word`` in another tense if it is certainly a verb in the present; ``None`` otherwise.

    Args:
        word: as written.
        before: the word before it in its sentence, in lower case; empty for the sentence's first.
        tense: the new tense.

    Raises:
        MissingExtra: LemmInflect is not installed.
    """
    text = word.lower()
    if before in _INFINITIVE_BEFORE:
        return None
    if text in _AUXILIARIES:
        changed = _AUXILIARIES[text][tense]
        return like(word, changed) if changed != text else None
    known = lemmas(text).get("VERB", ())
    if not known or text in _FUNCTION_WORDS:
        return None
    lemma = known[0]
    singular = text == form(lemma, "VBZ") and (before in _SINGULAR_SUBJECTS or not before or _only_verb(text))
    plural = text == lemma and (before in _PLURAL_SUBJECTS or (not before and text in _IMPERATIVES))
    if not singular and not plural:
        return None
    changed_form = form(lemma, "VBD") if tense == "past" else f"will {lemma}"
    return like(word, changed_form) if changed_form else None


def _only_verb(word: str) -> bool:
    return set(lemmas(word)) <= {"VERB", "AUX"}


def like(word: str, other: str) -> str:
    """``other``, capitalized if ``word`` is."""
    return other[0].upper() + other[1:] if word[0].isupper() else other
