"""Functions and methods taken from the standard library of the running Python interpreter.

It is the one body of real code present wherever Python is, so the demo needs no network and ships no data. The harvest
depends on the Python version, and on nothing else.
"""

from __future__ import annotations

import ast
import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lilliput.data.corpus.lexing import shape
from lilliput.progress import Progress

SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "idlelib", "lib2to3", "turtledemo", "site-packages", "dist-packages", "__pycache__"}
)
MAX_LINES = 60


@dataclass(frozen=True)
class Harvested:
    """One function of the standard library, dedented, without its decorators.

    Attributes:
        file: its module's path relative to the standard library's folder, with forward slashes.
        name: its name, qualified by the enclosing classes.
        text: its source.
    """

    file: str
    name: str
    text: str


def library_files(folder: Path) -> list[Path]:
    """The ``.py`` files under ``folder``, sorted, without tests, bundled applications and installed packages."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - SKIPPED_FOLDERS)
        found += [Path(place, name) for name in names if name.endswith(".py")]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def harvest(folder: Path | None = None, progress: Progress | None = None) -> list[Harvested]:
    """The distinct functions of the standard library, in order of file and line.

    A function is kept if it has at most 60 lines and a statement besides its docstring, and no earlier one's body has
    the same tokens up to renaming (docstrings, comments and the values of literals aside). Of the many tiny functions,
    this leaves one of each kind.

    Args:
        folder: folder to search; the running interpreter's standard library by default.
        progress: advanced with each file read.
    """
    root = Path(sysconfig.get_path("stdlib")) if folder is None else folder
    files = library_files(root)
    seen: set[tuple[str, ...]] = set()
    kept: list[Harvested] = []
    with (progress or Progress()).track("reading the standard library", len(files)) as advance:
        for path in files:
            for name, text, body in _functions(path):
                key = shape(body)
                if key not in seen:
                    seen.add(key)
                    kept.append(Harvested(path.relative_to(root).as_posix(), name, text))
            advance()
    return kept


def _functions(path: Path) -> Iterator[tuple[str, str, str]]:
    """``(qualified name, source, body without docstring)`` of each function of a file that is worth keeping.

    A file that is not valid UTF-8 Python (the library holds some on purpose) has none. Nested functions are part of
    their outer one.
    """
    try:
        source = path.read_text("utf-8")
        module = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    lines = source.split("\n")  # not splitlines: a form feed does not end a line in Python
    for name, node in _definitions(module.body, ""):
        assert node.end_lineno is not None  # always set by ast.parse
        documented = ast.get_docstring(node, clean=False) is not None
        if node.end_lineno - node.lineno + 1 > MAX_LINES or len(node.body) == documented:
            continue
        text = _dedented(lines[node.lineno - 1 : node.end_lineno], node.col_offset)
        if text is None:
            continue
        yield name, text, "\n".join(text.split("\n")[node.body[documented].lineno - node.lineno :])


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """The functions of a module's or a class's body, and of the classes in it, in order."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _definitions(node.body, f"{prefix}{node.name}.")


def _dedented(lines: list[str], column: int) -> str | None:
    """``lines`` dedented by ``column``; ``None`` if a multi-line string reaches into that margin."""
    if any(line[:column].strip() for line in lines):
        return None
    return "\n".join(line[column:] for line in lines) + "\n"
