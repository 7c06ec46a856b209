"""What every family of rewrites needs: queries of a function's syntax tree, and edits in place."""

from __future__ import annotations

import ast
import builtins
import keyword
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.Lambda,
    ast.ClassDef,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
"""The nodes that open a scope of names."""

NAME_FIELDS: dict[type[ast.AST], str] = {
    ast.Name: "id",
    ast.arg: "arg",
    ast.ExceptHandler: "name",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
}
"""Type of a node that names a variable -> the field with the name, which may be ``None``."""

_NO_CHILDREN = frozenset({str, int, bool, type(None), ast.Load, ast.Store, ast.Del})
"""Types of most fields that lead to no further node; this look-up makes :func:`walk` fast."""

_NOT_EDITED = frozenset({"format_spec", "annotation", "returns", "ctx", "decorator_list", "defaults", "kw_defaults"})

YIELDS = (ast.Yield, ast.YieldFrom, ast.Await)

_WORDS = """
    value item result data index count node key entry text line name total start size other first last left right
    state buffer part output source target options found current previous limit offset width level mode flag
    handler token record field group parent child path kind label step number rest head tail base extra info
    match reply request amount block chunk cell row column table pair bound low high middle depth score unit
    word letter piece content message status code reason context owner member element position length
    values items results entries parts lines names keys nodes records fields groups tokens pieces
"""
WORDS = tuple(_WORDS.split())
"""Names of renamed variables. Every rewrite draws from them, so that a name reveals nothing about the function."""

BUILTINS = frozenset(dir(builtins))
_RESERVED = frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | BUILTINS


class Block(NamedTuple):
    """A list of statements of the function's own scope.

    ``guarded``: it lies inside a ``try`` or a ``with``, where the function itself can continue after an exception and
    so observe which of its statements ran.
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
                    if not isinstance(statement, SCOPES):
                        collect(statement, inside)
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            collect(part, inside)

    collect(function, False)
    return found


def edit_statements(
    function: Function, rng: Random, rate: float, change: Callable[[ast.stmt], list[ast.stmt] | None]
) -> bool:
    """Replace a share ``rate`` of the statements by ``change(statement)``, where that is not ``None``."""
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
    """The same for two adjacent statements; ``unguarded``: only outside ``try`` and ``with``."""
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
    """Replace a share ``rate`` of the expressions by ``change(expression)``, where that is not ``None``.

    Patterns of ``match``, annotations and format specifications have a syntax of their own and are left alone; so are
    decorators and defaults, which run in a scope that is not visible here.
    """
    changed = False
    waiting: list[ast.AST] = [function]
    while waiting:
        parent = waiting.pop()
        for field, value in ast.iter_fields(parent):
            if field in _NOT_EDITED:
                continue
            children = value if isinstance(value, list) else [value]
            for position, child in enumerate(children):
                if not isinstance(child, ast.AST) or isinstance(child, ast.pattern):
                    continue
                waiting.append(child)
                if isinstance(child, ast.expr) and rng.random() < rate and (new := change(child)) is not None:
                    changed = True
                    waiting[-1] = new
                    if children is value:
                        value[position] = new
                    else:
                        setattr(parent, field, new)
    return changed


def walk(node: ast.AST) -> list[ast.AST]:
    """``node`` and all nodes below it, each before its children: ``ast.walk`` without contexts, three times as fast."""
    nodes = [node]
    for parent in nodes:
        for field in parent._fields:
            value = getattr(parent, field, None)
            if type(value) in _NO_CHILDREN:
                continue
            if isinstance(value, list):
                nodes += [child for child in value if isinstance(child, ast.AST)]
            elif isinstance(value, ast.AST):
                nodes.append(value)
    return nodes


def _identifiers(node: ast.AST) -> tuple[str, ...]:
    """The variables that ``node`` itself, not a node below it, reads or binds."""
    field = NAME_FIELDS.get(type(node))
    if field is not None:
        name = getattr(node, field)
        return () if name is None else (name,)
    match node:
        case ast.alias(name=name, asname=asname):
            return (asname or name.split(".")[0],)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return tuple(names)
    return ()


def mentioned(node: ast.AST) -> list[str]:
    """Every mention of a variable in ``node``, read or bound; attribute and keyword names are not variables."""
    return [name for inner in walk(node) for name in _identifiers(inner)]


def bound(node: ast.AST) -> list[str]:
    """Every mention of a variable in ``node`` that binds, deletes or declares it."""
    return [
        name
        for inner in walk(node)
        if not (isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load))
        for name in _identifiers(inner)
    ]


def shared(function: Function) -> set[str]:
    """The names that not only the function's own statements may see.

    These are mentioned in functions, lambdas, comprehensions and classes within it, or declared ``global``.
    """
    names: set[str] = set()
    for node in walk(function):
        if isinstance(node, SCOPES) and node is not function:
            names.update(mentioned(node))
        elif isinstance(node, ast.Global | ast.Nonlocal):
            names.update(node.names)
    return names


def contains(node: ast.AST, kinds: type[ast.AST] | tuple[type[ast.AST], ...]) -> bool:
    """Whether ``node`` or anything below it is one of ``kinds``."""
    return any(isinstance(inner, kinds) for inner in walk(node))


def confined(function: Function, name: str, place: ast.AST) -> bool:
    """Whether ``name`` is a plain local variable of ``function`` that is mentioned nowhere but in ``place``."""
    return mentioned(function).count(name) == mentioned(place).count(name) and name not in shared(function)


def fresh_names(function: Function, rng: Random) -> Iterator[str]:
    """Endless distinct names of :data:`WORDS`, one or two words long, that ``function`` does not mention."""
    taken = set(mentioned(function)) | _RESERVED
    while True:
        name = rng.choice(WORDS)
        if rng.random() < 0.35:
            name = f"{name}_{rng.choice(WORDS)}"
        if name not in taken:
            taken.add(name)
            yield name


def standard(function: Function, *names: str) -> bool:
    """Whether the built-in ``names`` keep their meaning inside ``function``: it binds none of them itself."""
    return set(names).isdisjoint(bound(function))


def load(name: str) -> ast.Name:
    """The variable ``name``, read."""
    return ast.Name(name, ast.Load())


def assign(name: str, value: ast.expr) -> ast.Assign:
    """The statement ``name = value``."""
    return ast.Assign([ast.Name(name, ast.Store())], value)


def call(name: str, *arguments: ast.expr) -> ast.Call:
    """The expression ``name(*arguments)``."""
    return ast.Call(load(name), list(arguments), [])


def assigned_name(statement: ast.stmt) -> str | None:
    """``x`` where ``statement`` is ``x = ...`` with that single target; ``None`` otherwise."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return None


def inert(node: ast.expr) -> bool:
    """Whether evaluating ``node`` runs no other code: names, constants, and displays and identity tests of these.

    The one exception it can still raise is that of an unbound name.
    """
    match node:
        case ast.Constant() | ast.Name() | ast.Dict(keys=[]):
            return True
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return all(inert(part) for part in parts)
        case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot()], comparators=[right]):
            return inert(left) and inert(right)
    return False


def integer(node: ast.expr, known: set[str] | frozenset[str] = frozenset()) -> bool:
    """Whether ``node`` is an ``int`` whatever the inputs are, given that the variables ``known`` are."""
    match node:
        case ast.Constant(value=int()):
            return True
        case ast.Name(id=name):
            return name in known
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            return integer(operand, known)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.FloorDiv() | ast.Mod(), right=right):
            return integer(left, known) and integer(right, known)
        case ast.Call(func=ast.Name(id="len" | "ord"), args=[argument], keywords=[]):
            return not isinstance(argument, ast.Starred)
    return False


def integer_locals(function: Function) -> set[str]:
    """The variables of ``function`` that hold an ``int`` whenever they hold anything.

    Starts from those bound only by ``x = e``, ``x += e`` and ``for x in range(...)``, and repeatedly drops each one
    with an ``e`` that is not :func:`integer` given the others: by induction over the running program, whatever remains
    was an ``int`` at each assignment.
    """
    values: dict[str, list[ast.expr]] = {}
    for node in walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values.setdefault(name, []).append(value)
            case ast.AugAssign(target=ast.Name(id=name), op=operator, value=value):
                values.setdefault(name, []).append(ast.BinOp(load(name), operator, value))
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"))):
                values.setdefault(name, []).append(ast.Constant(0))
    bindings = bound(function)
    if not {"len", "ord", "range"}.isdisjoint(bindings):
        return set()
    known = {name for name, found in values.items() if bindings.count(name) == len(found)} - shared(function)
    while True:
        wrong = {name for name in known if not all(integer(value, known) for value in values[name])}
        if not wrong:
            return known
        known -= wrong
