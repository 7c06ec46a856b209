"""Function names, the words in them, and removing docstrings."""

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data.docstrings import function_name, name_words, without_docstring


@pytest.mark.parametrize(
    "code, name",
    [
        ("def get_sum(a):", "get_sum"),
        ("@cached(key=lambda a: f(a))\nasync def load ( self )", "load"),
        ("public static int startsWith ( char [ ] src )", "startsWith"),
        ('@ Override @ SuppressWarnings ( "x" ) public Map < K , V > copyOf ( )', "copyOf"),
        ("func (s *Server) Close() error", "Close"),
        ("function toText (a) { return f(a); }", "toText"),
        ("Foo ( int a ) { if ( a ) { } }", "Foo"),
        ("x = 1", ""),
        ("a" + " " * 300_000 + "@b(" * 30_000, "a"),
    ],
)
def test_name_of_a_function(code, name):
    assert function_name(code) == name


@pytest.mark.parametrize(
    "name, expected",
    [
        ("getHTTPCode_2", "get http code 2"),
        ("__init__", "init"),
        ("startsWith", "starts with"),
        ("größeNeu", "größe neu"),
        ("", ""),
    ],
)
def test_words_of_names(name, expected):
    assert name_words(name) == expected


@pytest.mark.parametrize(
    "code, expected",
    [
        ('def f(a):\n    """Says é."""\n    return a\n', "def f(a):\n    return a\n"),
        ("def f(a):\n    '''One\n    two.'''\n\n    # why\n    return a\n", "def f(a):\n\n    # why\n    return a\n"),
        ("def f(a): 'Says.'; return a\n", "def f(a): return a\n"),
        ("def f(a):\n    'Says.'\n", "def f(a):\n    pass\n"),
        ("    def f(self):\n        'Says.'\n        return 1\n", "def f(self):\n    return 1\n"),
    ],
)
def test_docstrings_are_removed(code, expected):
    assert without_docstring(code) == expected
    ast.parse(expected)


@pytest.mark.parametrize(
    "code",
    [
        "def f(a):\n    return 'a'\n",
        "int f() { return 'a'; }",
        'def f(a) :\n"""not indented"""',
        "x = 'def '",
        "def 'x",
    ],
)
def test_other_code_is_unchanged(code):
    assert without_docstring(code) == code


@settings(deadline=None)
@given(st.text(st.sampled_from("def f():\n    '\"\\#;é1"), max_size=60))
def test_any_text_is_accepted(text):
    assert isinstance(without_docstring(f"def f():\n    '''x'''\n{text}"), str)
