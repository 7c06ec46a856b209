"""Layout changes leave the syntax tree unchanged, for every choice that can be drawn."""

from __future__ import annotations

import ast
import re
import sysconfig
from pathlib import Path
from random import Random

from lilliput.data.corpus.harvest import harvest
from lilliput.data.corpus.layout import render
from lilliput.data.corpus.rewrites import opened
from lilliput.data.corpus.statements import change_docstring
from lilliput.data.corpus.trees import Function

SOURCE = """
def f(a, *, key='plain'):
    if a and "it's" or 'a"b' and not 'a\\\\nb':
        while a == {'x': [1, 2], 'y': (3,)}:
            call('one', "two", b'three', f'{a} four', 'a, b', key='a very long word', other='another')
    elif (b := a) is None:
        try:
            pass
        except (ValueError, KeyError):
            return a, b
    match a:
        case {'k': [x, *_]} if x:
            return lambda u, v: (u, v)
    return 'one' 'two', '''many
lines'''
"""


def parsed(source: str) -> Function:
    function = opened(source)
    assert function is not None
    return function


def test_syntax_tree_is_unchanged_and_the_text_varies() -> None:
    before = ast.dump(ast.parse(SOURCE))
    texts = {render(parsed(SOURCE), Random(seed), 1.0) for seed in range(300)}
    assert len(texts) > 200
    assert {ast.dump(ast.parse(text)) for text in texts} == {before}


def test_every_choice_is_drawn() -> None:
    texts = [render(parsed(SOURCE), Random(seed), 1.0) for seed in range(100)]
    for pattern in (
        *(r"^  if", r"^   if", r"^    if", r"^        if", r"^\tif"),  # indentation
        *(r"'plain'", r'"plain"'),
        *(r"^\s*# ", r"\S  # ", r"\n\n", r"while \(", r"1,2", r"1, 2"),
        r"call\([^)]*\n",
    ):
        share = sum(re.search(pattern, text, re.MULTILINE) is not None for text in texts) / len(texts)
        assert 0 < share < 1, pattern


def test_zero_strength_gives_plain_layout_except_for_quotes() -> None:
    texts = {render(parsed(SOURCE), Random(seed), 0.0).replace('"', "'") for seed in range(20)}
    assert texts == {(ast.unparse(parsed(SOURCE)) + "\n").replace('"', "'")}


def test_wrapped_lines_are_shorter() -> None:
    longest = {max(map(len, render(parsed(SOURCE), Random(seed), 1.0).split("\n"))) for seed in range(60)}
    assert min(longest) < 100 < max(longest)


def test_lines_with_strings_inside_f_strings_are_not_wrapped() -> None:
    source = (
        "def f(a):\n    return f\"{a['x']} and {', '.join(a)}: {a!r:>{len('yy')}}\", 'one', 'two', 'three', 'four'\n"
    )
    texts = {render(parsed(source), Random(seed), 1.0) for seed in range(100)}
    assert {ast.dump(ast.parse(text)) for text in texts} == {ast.dump(ast.parse(source))}


def test_syntax_trees_of_the_standard_library_are_unchanged() -> None:
    rng = Random(0)
    for found in harvest(Path(sysconfig.get_path("stdlib"), "asyncio")):
        function = opened(found.text)
        if function is not None:
            change_docstring(function, rng, 0.5)
            before = ast.dump(function)
            assert ast.dump(ast.parse(render(function, rng, 1.0)).body[0]) == before, found
