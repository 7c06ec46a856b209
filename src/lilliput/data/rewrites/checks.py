"""Checks of what a rewrite must preserve; a result that fails is discarded.

The rewrites are designed never to fail. The checks examine the result without knowing how it was made, as a second line
of defence.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from itertools import zip_longest

from lilliput.data.rewrites.source import Source

Check = Callable[[Source, Source], bool]
"""``check(before, after)``: whether what must be preserved is preserved."""


def same_tokens(before: Source, after: Source) -> bool:
    """The same tokens in the same order, comments aside; in Python, the same syntax tree."""
    if before.tokens != after.tokens:
        return False
    if before.language.braces:
        return True
    trees = _tree(before), _tree(after)
    return trees[0] == trees[1]


def renamed_tokens(before: Source, after: Source) -> bool:
    """The same tokens up to a one-to-one renaming."""
    there: dict[str, str] = {}
    back: dict[str, str] = {}
    if not before.language.braces:  # strings are tokens there, and those with names inside change
        return _parses(before) == _parses(after)
    for old, new in zip_longest(before.tokens, after.tokens, fillvalue=""):
        if not old or not new or (old != new and not (old.isidentifier() and new.isidentifier())):
            return False
        if not old.isidentifier():
            continue
        if old != new and (there.setdefault(old, new) != new or back.setdefault(new, old) != old):
            return False
    kept = set(before.tokens) & set(after.tokens)
    return not kept & set(back)


def same_multiset(before: Source, after: Source) -> bool:
    """The same tokens in some order."""
    return Counter(before.tokens) == Counter(after.tokens) and _parses(before) == _parses(after)


def grown(before: Source, after: Source) -> bool:
    """All tokens in their order, with others among them."""
    tokens = iter(after.tokens)
    return all(token in tokens for token in before.tokens) and _parses(before) == _parses(after)


def parses(before: Source, after: Source) -> bool:
    """Only what :func:`no_new_errors` requires; in Python, that it still compiles."""
    return _parses(before) == _parses(after)


def no_new_errors(before: Source, after: Source) -> bool:
    """No more parse errors than before."""
    return after.errors <= before.errors


def _tree(source: Source) -> str | None:
    try:
        return ast.dump(ast.parse(source.text))
    except (SyntaxError, ValueError, RecursionError):
        return None


def _parses(source: Source) -> bool:
    return source.language.braces or _tree(source) is not None
