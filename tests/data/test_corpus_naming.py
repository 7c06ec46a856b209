"""Renaming against Python's own symbol tables and compiler."""

from __future__ import annotations

import ast
import symtable
import sysconfig
from collections import Counter
from pathlib import Path
from random import Random
from types import CodeType

import pytest

from lilliput.data.corpus.harvest import Harvested, harvest
from lilliput.data.corpus.lexing import tokens
from lilliput.data.corpus.naming import rename_function, rename_locals, rename_parameters, variables
from lilliput.data.corpus.trees import Function, contains


@pytest.fixture(scope="module")
def library() -> list[Harvested]:
    stdlib = Path(sysconfig.get_path("stdlib"))
    return harvest(stdlib / "email") + harvest(stdlib / "xml")


def parsed(source: str) -> Function:
    (node,) = ast.parse(source).body
    assert isinstance(node, Function)
    return node


def local_names(table: symtable.SymbolTable) -> Counter[str]:
    """The local variables of every scope below ``table``, as Python sees them."""
    found: Counter[str] = Counter()
    for child in table.get_children():
        if child.get_type() == "function":
            found.update(s.get_name() for s in child.get_symbols() if s.is_local() and s.get_name() != ".0")
        found += local_names(child)
    return found


def codes(code: CodeType) -> list[CodeType]:
    return [code, *(inner for const in code.co_consts if isinstance(const, CodeType) for inner in codes(const))]


def renamed(source: str) -> str:
    function = parsed(source)
    rename_locals(function, Random(0), 1.0)
    rename_parameters(function, Random(1), 1.0)
    return ast.unparse(function)


def test_variables_match_the_symbol_table(library: list[Harvested]) -> None:
    compared = 0
    for found in library:
        function = parsed(found.text)
        if not contains(function, (ast.ClassDef, ast.Global, ast.Nonlocal)):
            expected = local_names(symtable.symtable(found.text, "text", "exec"))
            assert Counter(variable.name for variable in variables(function)) == expected, found
            compared += 1
    assert compared > 0.9 * len(library)


def test_renamed_functions_compile_to_the_same_bytecode(library: list[Harvested]) -> None:
    compared = changed = 0
    for found in library:
        before = codes(compile(ast.unparse(ast.parse(found.text)), "text", "exec"))
        after = codes(compile(renamed(found.text), "text", "exec"))
        if any(code.co_cellvars for code in before):
            continue  # the order of cell variables depends on their names
        assert [code.co_code for code in before] == [code.co_code for code in after], found
        assert [code.co_names for code in before] == [code.co_names for code in after], found
        compared += 1
        changed += [code.co_varnames for code in before] != [code.co_varnames for code in after]
    assert compared > 0.8 * len(library)
    assert changed > 0.8 * compared


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("def f(self, cls, _, __x):\n    self(cls, _, __x)", "self cls _ __x"),
        ("def f(*, key):\n    return key", "key"),
        ("def f(a):\n    global g\n    g = a", "g"),
        ("def f(a):\n    import os.path\n    from x import y as z\n    return os, z", "os z"),
        ("def f(a):\n    def inner(p, q=a):\n        return p + q\n    return inner(p=1)", "inner p q"),
        ("def f(a):\n    return lambda p: p + a", "p"),
        ("def f(a):\n    match a:\n        case {'k': 1, **others}:\n            return others", "others"),
        ("def f(a):\n    x = 1\n    class A:\n        x = x\n    return A", "a x A"),
        ("def f(a):\n    x = 1\n    def g():\n        nonlocal x\n        x = a\n    g()", "a x g"),
        ("def f(a):\n    return f(a=a - 1)", "a"),
        ("def f(a):\n    return a.size + g(size=size)", "size g"),
    ],
)
def test_names_visible_to_others_are_kept(source: str, kept: str) -> None:
    assert set(tokens(renamed(source))) >= set(kept.split())


def test_scopes_are_distinguished() -> None:
    source = """
def f(x, rows):
    y = [x for x in rows if (last := x)]
    try:
        z = {x: y for x, y in rows}
    except ValueError as error:
        print(error, last)
    def inner():
        w = [x, y]
        return w
    match x:
        case [first, *rest] as whole:
            return first, rest, whole, inner
"""
    function = parsed(source)
    found = variables(function)
    counts = Counter((variable.name, len(variable.nodes)) for variable in found)
    assert counts == Counter(
        [
            *(("x", 3), ("rows", 3), ("y", 2), ("z", 1), ("error", 2), ("last", 2), ("inner", 1)),
            *(("x", 3), ("x", 2), ("y", 2), ("w", 2), ("first", 2), ("rest", 2), ("whole", 2)),
        ]
    )


def test_functions_are_renamed_unless_python_or_they_themselves_use_the_name() -> None:
    for source, free in (
        ("def f(a):\n    return a", True),
        ("def __len__(self):\n    return 1", False),
        ("def f(a):\n    return f(a)", False),
    ):
        function = parsed(source)
        assert rename_function(function, Random(0), 1.0) is free
        assert (function.name not in ("f", "__len__")) is free
