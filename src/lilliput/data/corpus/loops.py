"""Rewrites of loops: ``for`` <-> ``while``, counters, tests at the top or inside, comprehensions written out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from random import Random

from lilliput.data.corpus.conditions import negated
from lilliput.data.corpus.trees import (
    SCOPES,
    YIELDS,
    Function,
    assign,
    bound,
    call,
    confined,
    contains,
    edit_neighbors,
    edit_statements,
    fresh_names,
    integer,
    integer_locals,
    load,
    mentioned,
    shared,
    standard,
    walk,
)


def _true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def _forever(body: list[ast.stmt]) -> ast.While:
    return ast.While(ast.Constant(True), body, [])


def _break_if(test: ast.expr) -> ast.stmt:
    return ast.If(test, [ast.Break()], [])


def for_to_iterator(function: Function, rng: Random, rate: float) -> bool:
    """``for x in e: ...`` -> ``it = iter(e)``, then ``while True`` with ``next(it)`` and a ``break`` at its end.

    ``break`` and ``continue`` in the body mean the same in both, and exceptions raised by the body are not caught.
    """
    names = fresh_names(function, rng)

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.For(target=target, iter=iterable, body=body, orelse=[]):
                if not standard(function, "iter", "next", "StopIteration"):
                    return None
                iterator = next(names)
                plain = isinstance(target, ast.Name)
                item = target.id if isinstance(target, ast.Name) else next(names)
                step = assign(item, call("next", load(iterator)))
                # Unpacking stays outside the try: a StopIteration of its own must not end the loop.
                unpack: list[ast.stmt] = [] if plain else [ast.Assign([target], load(item))]
                end = ast.ExceptHandler(load("StopIteration"), None, [ast.Break()])
                attempt = ast.Try([step], [end], [], [])
                return [assign(iterator, call("iter", iterable)), _forever([attempt, *unpack, *body])]
        return None

    return edit_statements(function, rng, rate, change)


def range_to_while(function: Function, rng: Random, rate: float) -> bool:
    """``for i in range(n)`` -> ``i = 0``, ``while i < n`` and ``i += 1`` at the end of the body.

    Only if ``n`` (and the start, if there is one) is an ``int`` whatever the inputs, ``i`` is a local variable that
    nothing outside the loop mentions and nothing inside it changes, and no ``continue`` can skip the step.
    """
    names = fresh_names(function, rng)

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.For(
                target=ast.Name(id=index),
                iter=ast.Call(func=ast.Name(id="range"), args=[*arguments], keywords=[]),
                body=body,
                orelse=[],
            ) if len(arguments) in (1, 2) and standard(function, "range", "len", "ord"):
                numbers = integer_locals(function)
                movable = confined(function, index, statement) and bound(statement).count(index) == 1
                if not all(integer(argument, numbers) for argument in arguments):
                    return None
                if not movable or contains(statement, ast.Continue):
                    return None
                start = arguments[0] if len(arguments) == 2 else ast.Constant(0)
                end = arguments[-1]
                before: list[ast.stmt] = [assign(index, start)]
                if not isinstance(end, ast.Constant):
                    limit = next(names)
                    before.append(assign(limit, end))
                    end = load(limit)
                step = ast.AugAssign(ast.Name(index, ast.Store()), ast.Add(), ast.Constant(1))
                return [*before, ast.While(ast.Compare(load(index), [ast.Lt()], [end]), [*body, step], [])]
        return None

    return edit_statements(function, rng, rate, change)


def enumerate_to_counter(function: Function, rng: Random, rate: float) -> bool:
    """``for i, x in enumerate(e)`` -> ``i = -1``, ``for x in e`` and ``i += 1`` at the start of the body.

    Only if ``i`` is a local variable that nothing outside the loop mentions and nothing inside it changes.
    """

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.For(
                target=ast.Tuple(elts=[ast.Name(id=index), target]),
                iter=ast.Call(func=ast.Name(id="enumerate"), args=[first, *start], keywords=[]),
                body=body,
                orelse=[],
            ) if not isinstance(first, ast.Starred) and all(isinstance(value, ast.Constant) for value in start):
                movable = confined(function, index, statement) and bound(statement).count(index) == 1
                whole = all(map(integer, start)) and index not in mentioned(target)
                if not movable or not whole or not standard(function, "enumerate"):
                    return None
                before = ast.BinOp(start[0], ast.Sub(), ast.Constant(1)) if start else ast.Constant(-1)
                step = ast.AugAssign(ast.Name(index, ast.Store()), ast.Add(), ast.Constant(1))
                return [assign(index, before), ast.For(target, first, [step, *body], [])]
        return None

    return edit_statements(function, rng, rate, change)


def test_inside(function: Function, rng: Random, rate: float) -> bool:
    """``while a: ...`` -> ``while True`` with ``if not a: break`` at the start of the body."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.While(test=test, body=body, orelse=[]) if not isinstance(test, ast.Constant):
                return [_forever([_break_if(negated(test)), *body])]
        return None

    return edit_statements(function, rng, rate, change)


def test_on_top(function: Function, rng: Random, rate: float) -> bool:
    """The inverse: ``while True`` that starts with ``if a: break`` -> ``while not a``."""

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.While(
                test=ast.Constant(value=value),
                body=[ast.If(test=test, body=[ast.Break()], orelse=[]), first, *others],
                orelse=[],
            ) if value:
                return [ast.While(negated(test), [first, *others], [])]
        return None

    return edit_statements(function, rng, rate, change)


def while_to_for(function: Function, rng: Random, rate: float) -> bool:
    """``while a: ...`` -> ``for _ in iter(int, 1)``, which never ends, with ``if not a: break`` in it."""
    names = fresh_names(function, rng)

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.While(test=test, body=body, orelse=[]) if standard(function, "iter", "int"):
                endless = call("iter", load("int"), ast.Constant(1))
                inside = body if _true(test) else [_break_if(negated(test)), *body]
                return [ast.For(ast.Name(next(names), ast.Store()), endless, inside, [])]
        return None

    return edit_statements(function, rng, rate, change)


def comprehension_to_loop(function: Function, rng: Random, rate: float) -> bool:
    """``x = [e for v in s if c]`` and ``return [...]`` -> a loop that appends to a new list.

    Only with one ``for``, no nested scope and nothing asynchronous; the loop variables get new names, because they now
    live in the function.
    """
    names = fresh_names(function, rng)

    def change(statement: ast.stmt) -> list[ast.stmt] | None:
        match statement:
            case ast.Return(value=ast.ListComp() as display):
                pass
            case ast.Assign(targets=[ast.Name()], value=ast.ListComp() as display):
                pass
            case _:
                return None
        written = _written_out(display, names)
        if written is None:
            return None
        result, loop = written
        statement.value = load(result)
        return [*loop, statement]

    return edit_statements(function, rng, rate, change)


def _written_out(display: ast.ListComp, names: Iterator[str]) -> tuple[str, list[ast.stmt]] | None:
    """The variable that ends up holding the list, and the statements that fill it."""
    (first, *others) = display.generators
    parts = [display.elt, *first.ifs]
    if others or first.is_async or any(contains(part, (*SCOPES, *YIELDS, ast.NamedExpr)) for part in parts):
        return None
    renamed = {name: next(names) for name in sorted(set(bound(first.target)))}
    for part in (first.target, *parts):
        for node in walk(part):
            if isinstance(node, ast.Name):
                node.id = renamed.get(node.id, node.id)
    result = next(names)
    append: ast.stmt = ast.Expr(ast.Call(ast.Attribute(load(result), "append", ast.Load()), [display.elt], []))
    for test in reversed(first.ifs):
        append = ast.If(test, [append], [])
    return result, [assign(result, ast.List([], ast.Load())), ast.For(first.target, first.iter, [append], [])]


def loop_to_comprehension(function: Function, rng: Random, rate: float) -> bool:
    """``x = []`` followed by ``for v in s: x.append(e)`` (optionally under an ``if``) -> ``x = [e for v in s]``.

    Only where it cannot be observed that ``x`` does not exist until the loop ends: outside ``try`` and ``with``, with
    ``x`` in none of ``s``, ``e`` and the test, and ``v`` local to the loop.
    """

    def change(first: ast.stmt, second: ast.stmt) -> list[ast.stmt] | None:
        match first, second:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.List(elts=[])),
                ast.For(target=target, iter=iterable, body=[inside], orelse=[]),
            ):
                tests = []
                while isinstance(inside, ast.If) and not inside.orelse and len(inside.body) == 1:
                    tests.append(inside.test)
                    inside = inside.body[0]
                element = _appended(inside, name)
                if element is None or mentioned(second).count(name) != 1 or name in shared(function):
                    return None
                private = all(confined(function, variable, second) for variable in bound(target))
                if not private or contains(second, (*SCOPES, *YIELDS, ast.NamedExpr)) or "super" in mentioned(second):
                    return None
                return [assign(name, ast.ListComp(element, [ast.comprehension(target, iterable, tests, 0)]))]
        return None

    return edit_neighbors(function, rng, rate, change, unguarded=True)


def _appended(statement: ast.stmt, name: str) -> ast.expr | None:
    """``e`` if ``statement`` is ``name.append(e)``."""
    match statement:
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id=owner), attr="append"),
                args=[element],
                keywords=[],
            )
        ) if owner == name and not isinstance(element, ast.Starred):
            return element
    return None
