"""Rewrites of plain statements: temporary variables, assignments split, joined and swapped, returns, docstring."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from random import Random

from lilliput.data.corpus.trees import (
    BUILTINS,
    Function,
    assign,
    assigned_name,
    bound,
    contains,
    edit_neighbors,
    edit_statements,
    fresh_names,
    inert,
    integer_locals,
    load,
    mentioned,
    shared,
    walk,
)

# Node type -> the field that is evaluated first: of statements, and of expressions inside them. A list field stands for
# its first element.
_STATEMENT_VALUE: dict[type[ast.AST], str] = {
    ast.Return: "value",
    ast.Assign: "value",
    ast.Expr: "value",
    ast.If: "test",
    ast.For: "iter",
    ast.Raise: "exc",
}
_EVALUATED_FIRST: dict[type[ast.AST], str] = {
    ast.BinOp: "left",
    ast.BoolOp: "values",
    ast.Compare: "left",
    ast.Call: "func",
    ast.Attribute: "value",
    ast.Subscript: "value",
    ast.UnaryOp: "operand",
    ast.IfExp: "test",
    ast.Await: "value",
}
_COMPOUND = (ast.Call, ast.BinOp, ast.Subscript, ast.Compare, ast.Attribute, ast.ListComp, ast.BoolOp, ast.JoinedStr)
"""Expressions that are worth a temporary variable."""


class _Place:
    """A field (or the first element of a list field) that holds an expression."""

    def __init__(self, owner: ast.AST, field: str) -> None:
        self.owner, self.field = owner, field

    @property
    def expression(self) -> ast.expr | None:
        value = getattr(self.owner, self.field)
        first = value[0] if isinstance(value, list) else value
        return first if isinstance(first, ast.expr) else None

    def put(self, expression: ast.expr) -> None:
        value = getattr(self.owner, self.field)
        if isinstance(value, list):
            value[0] = expression
        else:
            setattr(self.owner, self.field, expression)


def _first_evaluated(statement: ast.stmt) -> Iterator[_Place]:
    """The expression that ``statement`` evaluates before anything else, then the first part of it, and so on inwards.

    The sole argument of a call to a built-in counts as the first part of the call: looking the built-in up neither
    fails nor depends on the argument.
    """
    owner: ast.AST = statement
    field = _STATEMENT_VALUE.get(type(statement))
    while field is not None:
        place = _Place(owner, field)
        expression = place.expression
        if expression is None:
            return
        yield place
        owner, field = expression, _EVALUATED_FIRST.get(type(expression))
        match expression:
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
                sole = name in BUILTINS and not isinstance(argument, ast.Starred)
                field = "args" if sole else "func"


def introduce_temporary(function: Function, rng: Random, rate: float) -> bool:
    """``return f(x).y`` -> ``t = f(x)`` and ``return t.y``: a name for all or part of what is evaluated first."""
    names = fresh_names(function, rng)

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        whole_is_named = isinstance(statement, ast.Assign | ast.Expr)
        places = [place for place in _first_evaluated(statement) if isinstance(place.expression, _COMPOUND)]
        if whole_is_named:  # x = e and a bare e gain nothing from t = e, x = t
            places = [place for place in places if place.owner is not statement]
        if not places:
            return None
        place = rng.choice(places)
        expression = place.expression
        assert expression is not None  # filtered above
        if contains(expression, ast.NamedExpr):
            return None
        name = next(names)
        place.put(load(name))
        return [assign(name, expression), statement]

    return edit_statements(function, rng, rate, change)


def inline_temporary(function: Function, rng: Random, rate: float) -> bool:
    """The inverse: ``t = e`` and a statement that evaluates ``t`` first and is its only use -> ``e`` in its place."""

    def change(first: ast.stmt, second: ast.stmt) -> list[ast.stmt] | None:
        name = assigned_name(first)
        if name is None or not isinstance(first, ast.Assign) or mentioned(function).count(name) != 2:
            return None
        if name in shared(function) or contains(first.value, ast.NamedExpr):
            return None
        for place in _first_evaluated(second):
            if isinstance(place.expression, ast.Name) and place.expression.id == name:
                place.put(first.value)
                return [second]
        return None

    return edit_neighbors(function, rng, rate, change)


def swap_assignments(function: Function, rng: Random, rate: float) -> bool:
    """Swap adjacent ``x = e`` and ``y = f`` where neither affects the other.

    One of ``e`` and ``f`` is inert and reads nothing but local variables that only the function's own statements see;
    the other may be any expression, since outside ``try`` and ``with`` its exception ends the function.
    """

    def change(first: ast.stmt, second: ast.stmt) -> list[ast.stmt] | None:
        match first, second:
            case (
                ast.Assign(targets=[ast.Name(id=one)], value=before),
                ast.Assign(targets=[ast.Name(id=two)], value=after),
            ):
                others = shared(function)
                local = set(bound(function)) - others
                still = any(inert(value) and local.issuperset(mentioned(value)) for value in (before, after))
                apart = one != two and one not in mentioned(after) and two not in mentioned(before)
                assigns = any(isinstance(node, ast.NamedExpr) for value in (before, after) for node in ast.walk(value))
                if still and apart and not assigns and not {one, two} & others:
                    return [second, first]
        return None

    return edit_neighbors(function, rng, rate, change, unguarded=True)


def split_tuple_assignment(function: Function, rng: Random, rate: float) -> bool:
    """``a, b = x, y`` -> ``a = x`` and ``b = y``, of inert values none of which mentions a target before its own."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                if len(names) != len(targets) or len(values) != len(names) or not all(map(inert, values)):
                    return None
                if any(name in mentioned(value) for i, value in enumerate(values) for name in names[:i]):
                    return None
                return [assign(name, value) for name, value in zip(names, values, strict=True)]
        return None

    return edit_statements(function, rng, rate, change)


def join_assignments(function: Function, rng: Random, rate: float) -> bool:
    """The inverse, for two assignments of inert values."""

    def change(first: ast.stmt, second: ast.stmt) -> list[ast.stmt] | None:
        match first, second:
            case (
                ast.Assign(targets=[ast.Name(id=one) as left], value=before),
                ast.Assign(targets=[ast.Name(id=two) as right], value=after),
            ) if one != two and inert(before) and inert(after) and one not in mentioned(after):
                targets: list[ast.expr] = [ast.Tuple([left, right], ast.Store())]
                return [ast.Assign(targets, ast.Tuple([before, after], ast.Load()))]
        return None

    return edit_neighbors(function, rng, rate, change)


def split_chained_assignment(function: Function, rng: Random, rate: float) -> bool:
    """``a = b = e`` -> ``a = e`` and ``b = a``."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name), second, *rest], value=value):
                return [assign(name, value), ast.Assign([second, *rest], load(name))]
        return None

    return edit_statements(function, rng, rate, change)


def expand_augmented(function: Function, rng: Random, rate: float) -> bool:
    """``n += e`` -> ``n = n + e``, for variables that hold an ``int`` whatever the inputs (a list would be aliased)."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.AugAssign(target=ast.Name(id=name), op=operator, value=value) if name in integer_locals(function):
                return [assign(name, ast.BinOp(load(name), operator, value))]
        return None

    return edit_statements(function, rng, rate, change)


def contract_augmented(function: Function, rng: Random, rate: float) -> bool:
    """The inverse: ``n = n + e`` -> ``n += e``."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.Assign(
                targets=[ast.Name(id=name) as target],
                value=ast.BinOp(left=ast.Name(id=left), op=operator, right=value),
            ) if name == left and name in integer_locals(function):
                return [ast.AugAssign(target, operator, value)]
        return None

    return edit_statements(function, rng, rate, change)


def spell_return(function: Function, rng: Random, rate: float) -> bool:
    """``return`` <-> ``return None`` (not in ``async def``, which may be a generator); add or drop one at the end."""
    body = function.body
    changed = False
    if rng.random() < rate:
        match body[-1]:
            case ast.Return(value=None | ast.Constant(value=None)) if len(body) > 1:
                del body[-1]
                changed = True
            case ast.Return() | ast.Raise():
                pass
            case _:
                body.append(ast.Return(None))
                changed = True

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.Return(value=None):
                return [ast.Return(ast.Constant(None))]
            case ast.Return(value=ast.Constant(value=None)):
                return [ast.Return(None)]
        return None

    return (isinstance(function, ast.FunctionDef) and edit_statements(function, rng, rate, change)) or changed


def change_docstring(function: Function, rng: Random, rate: float) -> bool:
    """Drop the docstring, or keep its first line; drop those of functions and classes inside."""
    changed = False
    for node in walk(function):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        text = ast.get_docstring(node)
        if text is None:
            continue
        changed = True
        first = text.strip().split("\n")[0].translate({ord(mark): None for mark in "\\\"'"}).strip()
        if node is function and first.isprintable() and first and rng.random() >= rate:
            node.body[0] = ast.Expr(ast.Constant(first))
        else:
            node.body[:1] = [] if len(node.body) > 1 else [ast.Pass()]
    return changed
