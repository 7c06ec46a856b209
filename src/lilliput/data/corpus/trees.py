"""What every family of rewrites needs to know about a function's syntax tree, and how they edit it in place."""

from __future__ import annotations

import ast
import builtins
import keyword
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | Comprehension
"""The nodes that open a scope of names."""

YIELDS = (ast.Yield, ast.YieldFrom, ast.Await)

WORDS = tuple(
    "value item result data index count node key entry text line name total start size other first last left right "
    "state buffer part output source target options found current previous limit offset width level mode flag "
    "handler token record field group parent child path kind label step number rest head tail base extra info "
    "match reply request amount block chunk cell row column table pair bound low high middle depth score unit "
    "word letter piece content message status code reason context owner member element position length "
    "values items results entries parts lines names keys nodes records fields groups tokens pieces".split()
)
"""What renamed variables are called. Every rewrite draws from it, so that a name tells nothing about the function."""

_RESERVED = frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | frozenset(dir(builtins))


class Block(NamedTuple):
    """A list of statements of the function's own scope.

    ``guarded``: it lies inside a ``try`` or a ``with``, where the function itself can go on after an exception and so
    see which of its statements had run.
    """

    statements: list[ast.stmt]
    guarded: bool


def own_blocks(function: Function) -> list[Block]:
    """Every list of statements of ``function``, outermost first, without those of functions and classes inside it."""
    found: list[Block] = []

    def collect(node: ast.AST, guarded: bool) -> None:
        inside = guarded or isinstance(node, ast.Try | ast.TryStar | ast.With | ast.AsyncWith)
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(node, field, None)
            if isinstance(statements, list) and statements:
                found.append(Block(statements, inside))
                for statement in statements:
                    if not isinstance(statement, Scope):
                        collect(statement, inside)
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            collect(part, inside)

    collect(function, False)
    return found


def edit_statements(
    function: Function, rng: Random, rate: float, change: Callable[[ast.stmt], list[ast.stmt] | None]
) -> bool:
    """Put ``change(statement)`` in the place of a share ``rate`` of the statements for which it is not ``None``."""
    changed = False
    for block in own_blocks(function):
        for position in reversed(range(len(block.statements))):
            if rng.random() < rate and (new := change(block.statements[position])) is not None:
                block.statements[position : position + 1] = new
                changed = True
    return changed


def edit_neighbors(
    function: Function,
    rng: Random,
    rate: float,
    change: Callable[[ast.stmt, ast.stmt], list[ast.stmt] | None],
    *,
    unguarded: bool = False,
) -> bool:
    """The same for two statements in a row; ``unguarded``: only outside ``try`` and ``with``."""
    changed = False
    for block in own_blocks(function):
        if unguarded and block.guarded:
            continue
        position = len(block.statements) - 2
        while position >= 0:
            pair = block.statements[position], block.statements[position + 1]
            if rng.random() < rate and (new := change(*pair)) is not None:
                block.statements[position : position + 2] = new
                changed = True
                position -= 1  # the statement before may not join a pair that has just changed
            position -= 1
    return changed


def edit_expressions(
    function: Function, rng: Random, rate: float, change: Callable[[ast.expr], ast.expr | None]
) -> bool:
    """Put ``change(expression)`` in the place of a share ``rate`` of the expressions for which it is not ``None``.

    Patterns of ``match`` and format specifications are syntax of their own and stay as they are.
    """
    changed = False
    for parent in list(ast.walk(function)):
        if isinstance(parent, ast.pattern):
            continue
        for field, value in ast.iter_fields(parent):
            if field == "format_spec":
                continue
            if isinstance(value, ast.expr):
                if rng.random() < rate and (new := change(value)) is not None:
                    setattr(parent, field, new)
                    changed = True
            elif isinstance(value, list):
                for position, element in enumerate(value):
                    if isinstance(element, ast.expr) and rng.random() < rate:
                        new = change(element)
                        if new is not None:
                            value[position] = new
                            changed = True
    return changed


def mentioned(node: ast.AST) -> Iterator[str]:
    """Every identifier of ``node`` except attribute and keyword names: variables, parameters, definitions, imports."""
    for inner in ast.walk(node):
        match inner:
            case ast.Name(id=name) | ast.arg(arg=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name.split(".")[0]
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                yield from names
            case ast.MatchMapping(rest=str(name)):
                yield name


def bound(node: ast.AST) -> set[str]:
    """The names that ``node`` binds anywhere: stored, deleted, imported, defined, or parameters."""
    loads = {id(inner) for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)}
    return {name for inner in ast.walk(node) if id(inner) not in loads for name in _mentioned_here(inner)}


def _mentioned_here(node: ast.AST) -> Iterator[str]:
    """What :func:`mentioned` says of ``node`` itself, not of its children."""
    if isinstance(node, ast.Name):
        yield node.id
    elif not isinstance(node, ast.expr | ast.expr_context):
        children = {name for child in ast.iter_child_nodes(node) for name in ()}
        yield from children


def captured(function: Function) -> set[str]:
    """The names that appear inside the functions, lambdas, comprehensions and classes within ``function``."""
    inner = [node for node in ast.walk(function) if isinstance(node, Scope) and node is not function]
    return {name for scope in inner for name in mentioned(scope)}


def contains(node: ast.AST, kinds: type[ast.AST] | tuple[type[ast.AST], ...]) -> bool:
    """Whether ``node`` or anything below it is one of ``kinds``."""
    return any(isinstance(inner, kinds) for inner in ast.walk(node))
