"""Languages by file suffix, and prose in source files."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data.corpus.lexing import scan
from lilliput.data.dataflow import GRAMMARS, grammar_named
from lilliput.data.languages import LANGUAGES, for_language, language_of, prose_spans
from lilliput.data.rewrites import LANGUAGES as REWRITTEN
from lilliput.data.rewrites import language_named
from lilliput.errors import UserError


def prose(text, name):
    return [text[begin:end] for begin, end in prose_spans(text, LANGUAGES[name])]


def test_each_suffix_belongs_to_one_language():
    suffixes = [suffix for language in LANGUAGES.values() for suffix in language.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert language_of(Path("a/B.PY")) is LANGUAGES["python"]
    assert language_of(Path("Makefile")) is None


@pytest.mark.parametrize(
    ("find", "table", "problem"),
    [
        (lambda name: for_language(LANGUAGES, name), LANGUAGES, "no language is called '{x}'."),
        (language_named, REWRITTEN, "functions in '{x}' cannot be rewritten."),
        (grammar_named, GRAMMARS, "the data flow of '{x}' cannot be found."),
    ],
)
def test_language_is_found_by_name_or_rejected(find, table, problem):
    assert all(find(name) is entry for name, entry in table.items())
    with pytest.raises(UserError) as refusal:
        find("{x}")
    assert (refusal.value.problem, refusal.value.where) == (problem, "--language")
    assert refusal.value.remedy == f"Choose one of: {', '.join(table)}."


@pytest.mark.parametrize(
    "name, text, expected",
    [
        ("python", "x = '# no' # yes\n", ["# yes"]),
        ("python", 'def f():\n    """One\n    two."""\n    return "a#b"\n', ['"""One\n    two."""']),
        ("python", "s = '''one line''' # c", ["# c"]),
        ("python", "d = it's # fine\n'", ["# fine"]),
        ("java", 'url = "http://x"; // a\n/* b\n * c */ int i = \'"\'; // d', ["// a", "/* b\n * c */", "// d"]),
        ("javascript", "`a // b\n${c}` // d", ["`a // b\n${c}`", "// d"]),
        ("rust", "fn f<'a>(x: &'a str) {} // it's", ["// it's"]),
        ("c", "a /* never ends", ["/* never ends"]),
        ("php", "$a = 1; # x\n$b = '//'; // y", ["# x", "// y"]),
        ("haskell", "f x = x -- id\n{- block -}", ["-- id", "{- block -}"]),
    ],
)
def test_comments_and_multiline_strings_are_prose(name, text, expected):
    assert prose(text, name) == expected


@pytest.mark.parametrize("name", LANGUAGES)
@settings(deadline=None)
@given(st.text(st.sampled_from("ab'\"`#/*-\\\n{}[]= "), max_size=40))
def test_spans_are_ordered_and_within_any_text(name, text):
    end = 0
    for begin, after in prose_spans(text, LANGUAGES[name]):
        assert end <= begin < after <= len(text)
        end = after


def test_hostile_text_takes_no_longer_than_other_text():
    assert prose("/* " * 300_000, "c") == ["/* " * 300_000]
    for name in LANGUAGES:
        for quotes in ("\"'`", "\"\"\"'''", "'''\"", "`'", '\\"'):
            assert isinstance(prose(quotes * 30_000, name), list)


def test_python_comments_match_its_own_lexer():
    text = Path(__file__).with_name("test_corpus_rewrites.py").read_text()
    expected = [token for kind, token, _ in scan(text) if kind == "comment"]
    assert [span for span in prose(text, "python") if span.startswith("#")] == expected
