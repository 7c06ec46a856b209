"""The names of functions, and Python's docstrings, in source code."""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from itertools import pairwise

_DEFINED = re.compile(r"\b(?:def|func|function|fun|fn|sub)\s+(?:\([^()]*\)\s*)?([^\W\d]\w*)")
_CALLED = re.compile(r"(?<![@.\w])([^\W\d]\w*)\s*\(")
_ANNOTATION = re.compile(r"@\s*[\w.]+(?:\s*\.\s*\w+)*\s*(?:\((?:[^()]|\([^()]*\))*\))?")
_NOT_NAMES = frozenset({"if", "for", "while", "switch", "catch", "return", "new", "throw", "super", "this", "sizeof"})
_PARTS = re.compile(r"[^\W\d_]+|\d+")


def function_name(code: str) -> str:
    """The name of the function that ``code`` defines, found without parsing; empty if none is found.

    The name after ``def``, ``func`` or ``function``; else the name before the first bracket, annotations aside.
    """
    defined = _DEFINED.search(code)
    if defined is not None:
        return defined[1]
    bare = _ANNOTATION.sub(" ", code)
    return next((match[1] for match in _CALLED.finditer(bare) if match[1] not in _NOT_NAMES), "")


def name_words(name: str) -> str:
    """The words of a name, in lower case: ``getHTTPCode_2`` is ``get http code 2``."""
    parts = []
    for part in _PARTS.findall(name):
        begins = [
            place
            for place in range(1, len(part))
            if part[place].isupper() and (part[place - 1].islower() or part[place + 1 : place + 2].islower())
        ]
        parts += [part[begin:end] for begin, end in pairwise([0, *begins, len(part)])]
    return " ".join(parts).lower()


def without_docstring(code: str) -> str:
    """``code`` without the docstring of its first function, if it is Python and has one; else unchanged.

    CodeSearchNet's Python ``code`` contains the very text that a model is to write.
    """
    if "def " not in code or ('"""' not in code and "'" not in code and '"' not in code):
        return code
    text = textwrap.dedent(code)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about others' code, such as backslashes in strings
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    first = next((node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)), None)
    if first is None or ast.get_docstring(first, clean=False) is None:
        return code
    said = first.body[0]
    assert said.end_lineno is not None and said.end_col_offset is not None  # set on parsed nodes
    lines = text.encode().splitlines(keepends=True)  # columns are counted in bytes
    before = b"".join([*lines[: said.lineno - 1], lines[said.lineno - 1][: said.col_offset]])
    after = b"".join([lines[said.end_lineno - 1][said.end_col_offset :], *lines[said.end_lineno :]])
    if len(first.body) == 1:
        return (before + b"pass" + after).decode()
    if said.lineno == first.body[1].lineno:  # '''doc'''; return 1
        return (before + after.lstrip(b" \t;")).decode()
    return (before.rstrip(b" \t") + after.lstrip(b" \t;").removeprefix(b"\n")).decode()
