"""Rewrites of tests and what depends on them: ``if``, conditional expressions, comparisons, ``and``/``or``/``not``."""

from __future__ import annotations

import ast
from copy import deepcopy
from random import Random
from typing import TypeGuard

from lilliput.data.corpus.trees import (
    Function,
    assign,
    assigned_name,
    call,
    edit_expressions,
    edit_neighbors,
    edit_statements,
    fresh_names,
    inert,
    load,
    own_blocks,
    standard,
)

_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
"""Without the orderings: for a NaN, or for two sets, neither ``a < b`` nor ``a >= b`` may hold."""

_MIRRORED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.Gt: ast.Lt,
    ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}

_LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)
"""Statements after which the next one in the block does not run."""


def _is_guard(statement: ast.stmt) -> TypeGuard[ast.If]:
    return isinstance(statement, ast.If) and not statement.orelse and isinstance(statement.body[-1], _LEAVES)


def negated(test: ast.expr) -> ast.expr:
    """An expression that is true if ``test`` is false, for use where only its truth matters."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operand
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _OPPOSITE:
            return ast.Compare(left, [_OPPOSITE[type(operator)]()], [right])
    return ast.UnaryOp(ast.Not(), test)


def invert_if(function: Function, rng: Random, rate: float) -> bool:
    """``if a: X else: Y`` -> ``if not a: Y else: X``."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        if isinstance(statement, ast.If) and statement.orelse:
            return [ast.If(negated(statement.test), statement.orelse, statement.body)]
        return None

    return edit_statements(function, rng, rate, change)


def invert_conditional(function: Function, rng: Random, rate: float) -> bool:
    """``a if c else b`` -> ``b if not c else a``."""

    def change(node: ast.expr) -> ast.expr | None:
        return ast.IfExp(negated(node.test), node.orelse, node.body) if isinstance(node, ast.IfExp) else None

    return edit_expressions(function, rng, rate, change)


def nest_after_guard(function: Function, rng: Random, rate: float) -> bool:
    """``if a: return x`` and the rest of the block -> ``if a: return x else: ...`` with the rest in the ``else``."""
    changed = False
    for block, _ in own_blocks(function):
        for position, statement in enumerate(block[:-1]):
            if _is_guard(statement) and rng.random() < rate:
                statement.orelse = block[position + 1 :]
                del block[position + 1 :]
                changed = True
                break
    return changed


def unnest_after_guard(function: Function, rng: Random, rate: float) -> bool:
    """``if a: return x else: Y`` -> ``if a: return x`` followed by ``Y``."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        if isinstance(statement, ast.If) and statement.orelse and isinstance(statement.body[-1], _LEAVES):
            return [ast.If(statement.test, statement.body, []), *statement.orelse]
        return None

    return edit_statements(function, rng, rate, change)


def split_and(function: Function, rng: Random, rate: float) -> bool:
    """``if a and b: X`` -> ``if a: if b: X``."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.If(test=ast.BoolOp(op=ast.And(), values=[first, *others]), body=body, orelse=[]):
                rest = others[0] if len(others) == 1 else ast.BoolOp(ast.And(), others)
                return [ast.If(first, [ast.If(rest, body, [])], [])]
        return None

    return edit_statements(function, rng, rate, change)


def merge_nested_if(function: Function, rng: Random, rate: float) -> bool:
    """``if a: if b: X`` -> ``if a and b: X``."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.If(test=outer, body=[ast.If(test=inner, body=body, orelse=[])], orelse=[]):
                return [ast.If(ast.BoolOp(ast.And(), [outer, inner]), body, [])]
        return None

    return edit_statements(function, rng, rate, change)


def conditional_to_if(function: Function, rng: Random, rate: float) -> bool:
    """``return a if c else b`` and ``x = a if c else b`` -> an ``if`` statement with two branches."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.Return(value=ast.IfExp(test=test, body=body, orelse=orelse)):
                return [ast.If(test, [ast.Return(body)], [ast.Return(orelse)])]
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.IfExp(test=test, body=body, orelse=orelse)):
                return [ast.If(test, [assign(name, body)], [assign(name, orelse)])]
        return None

    return edit_statements(function, rng, rate, change)


def if_to_conditional(function: Function, rng: Random, rate: float) -> bool:
    """The inverse: two branches that return, or assign to the same variable -> a conditional expression."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.If(
                test=test, body=[ast.Return(value=ast.expr() as body)], orelse=[ast.Return(value=ast.expr() as orelse)]
            ):
                return [ast.Return(ast.IfExp(test, body, orelse))]
            case ast.If(test=test, body=[ast.Assign(value=body) as first], orelse=[ast.Assign(value=orelse) as second]):
                name = assigned_name(first)
                if name is not None and name == assigned_name(second):
                    return [assign(name, ast.IfExp(test, body, orelse))]
        return None

    return edit_statements(function, rng, rate, change)


def join_guard_return(function: Function, rng: Random, rate: float) -> bool:
    """``if c: return a`` followed by ``return b`` -> ``return a if c else b``."""

    def change(first: ast.stmt, second: ast.stmt) -> list[ast.stmt] | None:
        match first, second:
            case (
                ast.If(test=test, body=[ast.Return(value=ast.expr() as body)], orelse=[]),
                ast.Return(value=ast.expr() as orelse),
            ):
                return [ast.Return(ast.IfExp(test, body, orelse))]
        return None

    return edit_neighbors(function, rng, rate, change)


def name_condition(function: Function, rng: Random, rate: float) -> bool:
    """``if a: ...`` -> ``flag = a`` and ``if flag: ...``."""
    names = fresh_names(function, rng)

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        if isinstance(statement, ast.If) and not isinstance(statement.test, ast.Name | ast.Constant):
            flag = next(names)
            return [assign(flag, statement.test), ast.If(load(flag), statement.body, statement.orelse)]
        return None

    return edit_statements(function, rng, rate, change)


def de_morgan(function: Function, rng: Random, rate: float) -> bool:
    """``not (a and b)`` <-> ``not a or not b``, and the same with ``and`` and ``or`` exchanged.

    Both sides are a ``bool``, whatever ``a`` and ``b`` are, and evaluate the same operands.
    """
    dual: dict[type[ast.boolop], type[ast.boolop]] = {ast.And: ast.Or, ast.Or: ast.And}

    def change(node: ast.expr) -> ast.expr | None:
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=ast.BoolOp(op=operator, values=values)):
                return ast.BoolOp(dual[type(operator)](), [ast.UnaryOp(ast.Not(), value) for value in values])
            case ast.BoolOp(op=operator, values=values):
                operands = [value.operand for value in values if _is_not(value)]
                if len(operands) == len(values):
                    return ast.UnaryOp(ast.Not(), ast.BoolOp(dual[type(operator)](), operands))
        return None

    return edit_expressions(function, rng, rate, change)


def _is_not(node: ast.expr) -> TypeGuard[ast.UnaryOp]:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _still(node: ast.expr) -> bool:
    """Whether ``node`` may be evaluated before or after another such expression: evaluating it changes nothing."""
    match node:
        case ast.Attribute(value=value) | ast.UnaryOp(operand=value):
            return _still(value)
        case ast.Call(func=ast.Name(id="len"), args=[argument], keywords=[]):
            return _still(argument)
    return inert(node)


def flip_comparison(function: Function, rng: Random, rate: float) -> bool:
    """``a < b`` -> ``b > a``, likewise the other orderings and (in)equality, for operands without side effects.

    At most one operand may be more than names and constants: if both can fail, their order decides which error is seen.
    """

    def change(node: ast.expr) -> ast.expr | None:
        match node:
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _MIRRORED:
                still = _still(left) and _still(right) and (inert(left) or inert(right))
                if still and standard(function, "len"):
                    return ast.Compare(right, [_MIRRORED[type(operator)]()], [left])
        return None

    return edit_expressions(function, rng, rate, change)


def split_chain(function: Function, rng: Random, rate: float) -> bool:
    """``a < b < c`` -> ``a < b and b < c``, where ``b`` is a name or a constant."""

    def change(node: ast.expr) -> ast.expr | None:
        match node:
            case ast.Compare(
                left=left, ops=[first, second], comparators=[ast.Name() | ast.Constant() as middle, right]
            ):
                halves: list[ast.expr] = [
                    ast.Compare(left, [first], [middle]),
                    ast.Compare(deepcopy(middle), [second], [right]),
                ]
                return ast.BoolOp(ast.And(), halves)
        return None

    return edit_expressions(function, rng, rate, change)


def split_isinstance(function: Function, rng: Random, rate: float) -> bool:
    """``isinstance(x, (A, B))`` -> ``isinstance(x, A) or isinstance(x, B)``, for a name ``x`` and named classes."""

    def change(node: ast.expr) -> ast.expr | None:
        match node:
            case ast.Call(
                func=ast.Name(id="isinstance"),
                args=[ast.Name(id=name), ast.Tuple(elts=[_, _, *_] as classes)],
                keywords=[],
            ) if all(isinstance(kind, ast.Name) for kind in classes) and standard(function, "isinstance"):
                return ast.BoolOp(ast.Or(), [call("isinstance", load(name), kind) for kind in classes])
        return None

    return edit_expressions(function, rng, rate, change)


def membership_display(function: Function, rng: Random, rate: float) -> bool:
    """``x in (a, b)`` <-> ``x in [a, b]``."""

    def change(node: ast.expr) -> ast.expr | None:
        match node:
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()] as operators, comparators=[ast.Tuple(elts=parts)]):
                return ast.Compare(left, operators, [ast.List(parts, ast.Load())])
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()] as operators, comparators=[ast.List(elts=parts)]):
                return ast.Compare(left, operators, [ast.Tuple(parts, ast.Load())])
        return None

    return edit_expressions(function, rng, rate, change)
