"""Which functions are harvested from a folder of modules, and in what form."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from lilliput.data.corpus.harvest import MAX_LINES, Harvested, harvest
from lilliput.data.corpus.lexing import shape

LONG_ENOUGH = (
    "def {name}({argument}):\n    x = {argument} + 1\n    y = x * {argument}\n    print(x, y)\n    return x - y\n"
)


def write(folder: Path, name: str, text: str) -> None:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def function(name: str = "f", argument: str = "a", last: str = "return x - y") -> str:
    return LONG_ENOUGH.format(name=name, argument=argument).replace("return x - y", last)


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def test_takes_functions_and_methods_dedented_and_without_decorators(tmp_path: Path) -> None:
    write(tmp_path, "m.py", "class A:\n    class B:\n        @property\n" + indented(indented(function())))
    assert harvest(tmp_path) == [Harvested("m.py", "A.B.f", function())]


def test_functions_are_in_order_of_path_and_line(tmp_path: Path) -> None:
    for name, last in (("b.py", "return 1"), ("a/z.py", "return x"), ("a.py", "return [x]")):
        write(tmp_path, name, function(last=last) + function("g", last=last + ", y"))
    assert [(found.file, found.name) for found in harvest(tmp_path)] == [
        *(("a.py", "f"), ("a.py", "g")),
        *(("a/z.py", "f"), ("a/z.py", "g")),
        *(("b.py", "f"), ("b.py", "g")),
    ]


@pytest.mark.parametrize("folder", ["test", "tests", "idlelib", "lib2to3", "turtledemo", "site-packages", "a/test"])
def test_skips_tests_applications_and_packages(tmp_path: Path, folder: str) -> None:
    write(tmp_path, f"{folder}/m.py", function())
    assert harvest(tmp_path) == []


@pytest.mark.parametrize("text", ["def f(:\n    pass\n", "x = '\0'\n", "print 'two'\n"])
def test_skips_files_that_are_not_python(tmp_path: Path, text: str) -> None:
    write(tmp_path, "bad.py", text)
    (tmp_path / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n")
    write(tmp_path, "good.py", function())
    assert [found.file for found in harvest(tmp_path)] == ["good.py"]


def test_skips_functions_that_are_too_long_or_empty(tmp_path: Path) -> None:
    padding = "    # more\n"
    lines = function().splitlines(keepends=True)
    write(tmp_path, "fits.py", "".join([*lines[:-1], padding * (MAX_LINES - len(lines)), lines[-1]]))
    write(tmp_path, "long.py", "".join([*lines[:-1], padding * (MAX_LINES - len(lines) + 1), lines[-1]]))
    write(tmp_path, "none.py", "def f(a):\n    '''Says\n    much.'''\n")
    write(tmp_path, "one.py", "def f(a): return a + 1\n")
    assert [found.file for found in harvest(tmp_path)] == ["fits.py", "one.py"]


def test_drops_copies_with_other_names_or_comments(tmp_path: Path) -> None:
    write(tmp_path, "a.py", function())
    write(tmp_path, "b.py", function("other", "b"))
    write(tmp_path, "c.py", function().replace("y = x", "# here\n    y  =  x"))
    write(tmp_path, "d.py", function().replace("):\n", "):\n    '''Documented.'''\n"))
    write(tmp_path, "e.py", function(last="return y - y"))
    assert [found.file for found in harvest(tmp_path)] == ["a.py", "e.py"]


def test_functions_inside_functions_are_part_of_the_outer_one(tmp_path: Path) -> None:
    outer = "def f(a):\n" + indented(function("g", "b"))
    write(tmp_path, "m.py", outer + "    return g(a)\n")
    assert [found.name for found in harvest(tmp_path)] == ["f"]


def test_form_feed_is_not_a_line_end(tmp_path: Path) -> None:
    write(tmp_path, "m.py", "x = 1\n\x0c\n" + function())
    assert [found.text for found in harvest(tmp_path)] == [function()]


def test_skips_a_method_whose_string_reaches_into_the_margin(tmp_path: Path) -> None:
    method = indented(function()).replace("print(x, y)", "print('''\nx\n''')")
    write(tmp_path, "m.py", "class A:\n" + method)
    assert harvest(tmp_path) == []


def test_harvests_the_standard_library() -> None:
    found = harvest()
    assert len(found) > 3000
    assert [one.file for one in found] == sorted(one.file for one in found)
    assert len({one.text for one in found}) == len(found)
    assert max(Counter(one.file for one in found).values()) < len(found) / 20
    for one in found[::7]:
        (node,) = ast.parse(one.text).body
        assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        assert node.name == one.name.split(".")[-1]
        assert len(one.text.splitlines()) <= MAX_LINES
    assert len({shape(one.text) for one in found[::7]}) == len(found[::7])
