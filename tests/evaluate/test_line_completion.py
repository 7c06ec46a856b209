"""Line completion: choosing places, the copying baselines, and scores."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from lilliput.data.languages import LANGUAGES
from lilliput.data.repository import Source
from lilliput.evaluate.line_completion import (
    LONGEST_LINE,
    SHORTEST_REST,
    Place,
    copied_end,
    copied_start,
    left_context,
    line_scores,
    places,
)

PYTHON = LANGUAGES["python"]
OWN = Source("own.py", Path(__file__).read_text(), PYTHON)
CODE = '"""A docstring of\nseveral = lines(here)\n"""\nvalue = call(one, two)  # a comment\n# none = here(a)\nx=1\n'


@pytest.fixture(scope="module")
def letters():
    """A tokenizer with one token per character."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return tokenizer


def test_places_are_in_lines_of_code():
    found = places([OWN], 1000)
    lines = OWN.text.split("\n")
    assert len(found) > 30
    for place in found:
        line = lines[place.line - 1]
        before = place.before.rpartition("\n")[2]
        assert line.startswith(before) and line[len(before) :].strip() == place.rest
        assert place.before == OWN.text[: len(place.before)]
        assert not before[-1].isspace()
        assert len(place.rest) >= SHORTEST_REST
        assert len(line) <= LONGEST_LINE
    assert len({place.line for place in found}) == len(found)


def test_no_places_in_comments_and_multiline_strings():
    found = places([Source("a.py", CODE + "total = value + x\n", PYTHON)], 10)
    assert {place.line for place in found} == {7}  # "x=1" leaves too little to complete


def test_files_take_turns_and_the_seed_decides_the_places():
    sources = [Source(f"{name}.py", OWN.text, PYTHON) for name in "abc"]
    found = places(sources, 7)
    assert [place.name for place in found] == ["a.py", "b.py", "c.py"] * 2 + ["a.py"]
    assert places(sources, 7) == found
    assert places(sources, 7, seed=1) != found
    assert places(sources, 3) == found[:3]
    assert len({place.line for place in found}) > 3  # places differ between files of the same text


def test_context_is_whole_lines_where_possible(letters):
    text = "first line\nsecond line\nthird = va"
    assert left_context(text, letters, 100) == text
    assert left_context(text, letters, 24) == "second line\nthird = va"[-22:]
    assert left_context(text, letters, 21) == "third = va"
    assert left_context(text, letters, 4) == "= va"


@settings(max_examples=50, deadline=None)
@given(st.text(st.sampled_from("ab \n"), min_size=1, max_size=400), st.integers(1, 30))
def test_context_is_a_suffix_of_the_text_that_fits(letters, text, tokens):
    context = left_context(text, letters, tokens)
    assert context and text.endswith(context)
    assert len(context) <= tokens


def test_copying_baselines():
    before = "    total = first(a)\n    total = second(b)\nother = 1\n  tota"
    assert copied_start(before) == "l = second(b)"
    assert copied_end(before) == "l = second(b)"
    assert copied_start("self.height = h\nself.width = ") == "height = h"
    assert copied_end("self.height = h\nself.width = ") == "h"
    assert copied_start("zzz\nabc") == copied_end("zzz\nabc") == ""
    assert copied_start("abc") == copied_end("abc") == ""


def place(rest, before="", name="a.py"):
    return Place(name, 1, before, rest)


def test_scores_match_values_by_hand():
    found = [place("b + c", "a + c\nx = a", "1"), place("return x", name="2"), place("foo(1)", name="3")]
    scores = line_scores(found, [" b + c  \nmore", "return y", ""])
    assert scores.model.exact.value == pytest.approx(1 / 3)
    assert scores.model.similarity.value == pytest.approx((1 + 7 / 8 + 0) / 3)
    assert (scores.places, scores.files, scores.model.exact.n) == (3, 3, 3)
    assert scores.baselines["copied after the longest matching end"].similarity.value == pytest.approx((3 / 5) / 3)


def test_rejects_places_without_texts():
    with pytest.raises(ValueError, match="zip"):
        line_scores([place("a")], [])
