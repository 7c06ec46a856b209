"""The lexer against Python's own."""

from __future__ import annotations

import bisect
import colorsys
import heapq
import io
import keyword
import stat
import tokenize
from pathlib import Path
from types import ModuleType

import pytest

from lilliput.data.corpus.lexing import shape, tokens

LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def reference(text: str) -> list[str]:
    found = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.string for token in found if token.type not in LAYOUT]


@pytest.mark.parametrize("module", [bisect, colorsys, heapq, keyword, stat], ids=lambda module: module.__name__)
def test_tokens_match_tokenize(module: ModuleType) -> None:
    text = Path(module.__file__ or "").read_text("utf-8")
    assert tokens(text) == reference(text)


@pytest.mark.parametrize(
    "text",
    [
        "x=1_000+0x_ff-1e-5*2.5J/.5",
        "a**=b//c;d<<=e>>f;g!=h;i:=j;k->l;m@n",
        "rb'\\'' 'a\\\\' \"it's\" '''it's\n''' u'' ",
        "bar = not'x' or b'y' if Rb'z' else rb",
        "f(*a, **k)[1:2, ...]",
        "é = ñ.ß",
    ],
)
def test_unusual_tokens_match_tokenize(text: str) -> None:
    assert tokens(text) == reference(text)


def test_any_text_is_accepted() -> None:
    assert tokens("'unfinished\n(]\\$?") == ["'", "unfinished", "(", "]", "\\", "$", "?"]


def test_shape_ignores_names_and_literals_and_keeps_everything_else() -> None:
    assert shape("def f(a):\n    return a + f.b  # sum") == shape("def g(x):\n  return x+g.y")
    assert shape("a = 'x' + 1") == shape('b = "y" + 22')
    assert shape("a + b") != shape("a + a")
    assert shape("a + b") != shape("a - b")
    assert shape("a if b else c") != shape("a or b and c")
    assert shape("x0 = 0n1") == ("0n", "=", "0")
