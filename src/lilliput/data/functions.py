"""Find the functions of a source file: Python by its own parser, C and Java by their braces; the core install suffices.

C and Java are read token by token, without a grammar: strings, comments and preprocessor lines are skipped, and a pair
of braces after a parameter list is a function's body. This needs no types or headers, and tolerates code that does not
compile. Each branch of an ``#if`` is read as if the earlier ones did not exist. Not found are definitions whose
parameter list comes from a macro, parameters declared after the list (K&R), nested functions (part of the outer one),
and methods of anonymous classes.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lilliput.data.languages import language_of


@dataclass(frozen=True)
class Function:
    """A function of a file.

    Attributes:
        name: its name; in Python, prefixed with those of the enclosing classes.
        line: where it begins, from 1.
        text: its source; in Python without decorators, dedented.
    """

    name: str
    line: int
    text: str


def functions_in(text: str, path: Path) -> list[Function]:
    """The functions of a file, in order; none if its suffix is not one of these languages', or if it has none.

    Args:
        text: its content.
        path: its name.
    """
    language = language_of(path)
    return _READERS[language.name](text) if language is not None and language.name in _READERS else []


def _python_functions(text: str) -> list[Function]:
    """Functions and methods; none if Python's parser rejects the text."""
    text = _LINE_END.sub("\n", text)  # lines as the parser numbers them: a form feed ends none
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes in others' code
            module = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    lines = text.split("\n")
    return [
        Function(name, node.lineno, textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno])))
        for name, node in _definitions(module.body, "")
    ]


_LINE_END = re.compile(r"\r\n?")


def _definitions(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield prefix + node.name, node
            case ast.ClassDef():
                yield from _definitions(node.body, f"{prefix}{node.name}.")
            case ast.If() | ast.For() | ast.AsyncFor() | ast.While():
                yield from _definitions([*node.body, *node.orelse], prefix)
            case ast.Match():
                yield from _definitions([statement for case in node.cases for statement in case.body], prefix)
            case ast.With() | ast.AsyncWith():
                yield from _definitions(node.body, prefix)
            case ast.Try() | ast.TryStar():
                handled = [statement for handler in node.handlers for statement in handler.body]
                yield from _definitions([*node.body, *handled, *node.orelse, *node.finalbody], prefix)


_TOKEN = re.compile(
    r"""(?P<comment>//(?:\\\r?\n|[^\n])*|/\*.*?(?:\*/|\Z))
      | (?P<directive>^[ \t]*\#[ \t]*(?P<word>\w*)(?:/\*.*?(?:\*/|\Z)|\\\r?\n|[^\n])*)
      | (?P<string>\"{3}[ \t]*\r?\n(?:\\.|[^\\])*?(?:\"{3}|\Z)|"(?:\\.|[^"\\\n])*+"?|'(?:\\.|[^'\\\n])*+'?)
      | (?P<name>[^\W\d]\w*)
      | (?P<number>\d(?:'?\w)*)
      | (?P<mark>[{}()=;@]|[^\w\s])""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class _Braces:
    """How the functions of a language with braces are recognized.

    Attributes:
        containers: words that begin the header of a block of declarations.
        not_names: words that may precede parentheses but are not names of functions.
        tags: words that are followed by the name of a type.
        directives: whether lines that begin with ``#`` are preprocessor directives.
    """

    containers: frozenset[str]
    not_names: frozenset[str]
    tags: frozenset[str] = frozenset()
    directives: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_C = _Braces(
    frozenset(),
    _words(
        "__attribute__ __attribute __declspec __asm__ asm __typeof__ typeof _Alignas alignas if for while switch "
        "return sizeof void int char short long float double unsigned signed"
    ),
    _words("struct union enum"),
    directives=True,
)
_JAVA = _Braces(
    _words("class interface enum record"),
    _words("if for while switch catch synchronized try return new"),
)


@dataclass
class _Header:
    """A declaration as read so far, up to its braces or its semicolon."""

    start: int = -1
    before: tuple[str, str] = ("", "")
    name: str = ""
    is_value: bool = False
    is_container: bool = False


@dataclass
class _State:
    """State of the reader.

    Attributes:
        depth: open braces.
        parentheses: those opened since ``depth`` changed, outside of bodies.
        containers: depths at which there are declarations.
        inside: depth at which the body or block that is being skipped began.
        branches: depth and parentheses at each open ``#if``.
    """

    depth: int = 0
    parentheses: int = 0
    containers: list[int] = field(default_factory=lambda: [0])
    inside: int | None = None
    branches: list[tuple[int, int]] = field(default_factory=list)

    def branch(self, word: str) -> None:
        """Follow a preprocessor directive."""
        if word.startswith("if"):
            self.branches.append((self.depth, self.parentheses))
        elif word in ("else", "elif") and self.branches:
            self.depth, self.parentheses = self.branches[-1]
        elif word == "endif" and self.branches:
            self.branches.pop()


def _braced_functions(text: str, kind: _Braces) -> Iterator[Function]:
    state, header = _State(), _Header()
    line, counted = 1, 0

    def found(header: _Header, end: int) -> Function:
        nonlocal line, counted
        line, counted = line + text.count("\n", counted, header.start), header.start
        return Function(header.name, line, text[header.start : end])

    for match in _TOKEN.finditer(text):
        what, token = match.lastgroup, match.group()
        if what == "comment":
            continue
        if what == "directive" and kind.directives:
            state.branch(match["word"])
            continue
        if state.inside is not None:
            state.depth += (token == "{") - (token == "}")
            if token == "}" and state.depth <= state.inside:
                state.depth, state.inside = state.inside, None
                if _is_function(header):
                    yield found(header, match.end())
                header = header if header.is_value else _Header()
            continue
        if header.start < 0 and token not in "};":
            header.start = match.start()
        header = _read(token, what == "name", state, header, kind)
    if state.inside is not None and _is_function(header):  # its end is missing
        yield found(header, len(text))


def _is_function(header: _Header) -> bool:
    return bool(header.name) and not header.is_value


def _read(token: str, is_word: bool, state: _State, header: _Header, kind: _Braces) -> _Header:
    """Read one token between bodies; return the header after it."""
    before_that, before = header.before
    header.before = (before, token if is_word or token in ")@" else "")
    if token == "(":
        is_name = before and before not in (")", "@") and before not in kind.not_names and before_that not in kind.tags
        if state.parentheses == 0 and is_name and before_that not in (")", "@") and not header.is_container:
            header.name = before
        state.parentheses += 1
    elif token == ")":
        state.parentheses = max(state.parentheses - 1, 0)
    elif state.parentheses:
        return header
    elif token == "=":
        header.is_value = True
    elif token == ";":
        return _Header()
    elif token == "{":
        state.depth += 1
        if header.is_container and not header.is_value:
            state.containers.append(state.depth)
            return _Header()
        state.inside = state.depth - 1
    elif token == "}":
        if state.depth in state.containers[1:]:
            state.containers.remove(state.depth)
        state.depth = max(state.depth - 1, 0)
        return _Header()
    elif is_word and token in kind.containers and not header.name:
        header.is_container = True
    elif token.startswith('"') and before == "extern":
        header.is_container = True  # extern "C" {
    return header


_READERS: Mapping[str, Callable[[str], list[Function]]] = {
    "python": _python_functions,
    "c": lambda text: list(_braced_functions(text, _C)),
    "java": lambda text: list(_braced_functions(text, _JAVA)),
}
"""Language -> how its functions are found."""
