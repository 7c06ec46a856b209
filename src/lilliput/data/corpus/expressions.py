"""Rewrites inside expressions: other spellings of displays, strings and integer arithmetic."""

from __future__ import annotations

import ast
from random import Random

from lilliput.data.corpus.trees import Function, call, edit_expressions, inert, integer, integer_locals, standard


def call_for_display(function: Function, rng: Random, rate: float) -> bool:
    """``[]`` -> ``list()``, ``{}`` -> ``dict()``, ``()`` -> ``tuple()``."""

    def change(node: ast.expr) -> ast.expr | None:
        match node:
            case ast.List(elts=[], ctx=ast.Load()) if standard(function, "list"):
                return call("list")
            case ast.Dict(keys=[]) if standard(function, "dict"):
                return call("dict")
            case ast.Tuple(elts=[], ctx=ast.Load()) if standard(function, "tuple"):
                return call("tuple")
        return None

    return edit_expressions(function, rng, rate, change)


def display_for_call(function: Function, rng: Random, rate: float) -> bool:
    """The inverse, and ``dict(a=x)`` -> ``{'a': x}``."""

    def change(node: ast.expr) -> ast.expr | None:
        match node:
            case ast.Call(func=ast.Name(id="list"), args=[], keywords=[]) if standard(function, "list"):
                return ast.List([], ast.Load())
            case ast.Call(func=ast.Name(id="tuple"), args=[], keywords=[]) if standard(function, "tuple"):
                return ast.Tuple([], ast.Load())
            case ast.Call(func=ast.Name(id="dict"), args=[], keywords=pairs):
                if not all(pair.arg for pair in pairs) or not standard(function, "dict"):
                    return None
                return ast.Dict([ast.Constant(pair.arg) for pair in pairs], [pair.value for pair in pairs])
        return None

    return edit_expressions(function, rng, rate, change)


def format_for_fstring(function: Function, rng: Random, rate: float) -> bool:
    """``f"{x!r} and {y}"`` -> ``'{!r} and {}'.format(x, y)``, for names and constants without format specifications."""

    def change(node: ast.expr) -> ast.expr | None:
        if not isinstance(node, ast.JoinedStr):
            return None
        template, arguments = "", []
        for part in node.values:
            match part:
                case ast.Constant(value=str(text)):
                    template += text.replace("{", "{{").replace("}", "}}")
                case ast.FormattedValue(value=value, conversion=conversion, format_spec=None) if inert(value):
                    template += "{}" if conversion == -1 else f"{{!{chr(conversion)}}}"
                    arguments.append(value)
                case _:
                    return None
        return ast.Call(ast.Attribute(ast.Constant(template), "format", ast.Load()), arguments, [])

    return edit_expressions(function, rng, rate, change)


def fstring_for_format(function: Function, rng: Random, rate: float) -> bool:
    """The inverse, for templates with bare ``{}`` and for names: ``'{}: {}'.format(x, y)`` -> ``f"{x}: {y}"``."""

    def change(node: ast.expr) -> ast.expr | None:
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Constant(value=str(template)), attr="format"),
                args=[_, *_] as arguments,
                keywords=[],
            ) if all(isinstance(argument, ast.Name) for argument in arguments):
                texts = template.split("{}")
                if len(texts) != len(arguments) + 1 or any(mark in text for text in texts for mark in "{}"):
                    return None
                values: list[ast.expr] = [ast.Constant(texts[0])] if texts[0] else []
                for argument, text in zip(arguments, texts[1:], strict=True):
                    values.append(ast.FormattedValue(argument, -1, None))
                    values += [ast.Constant(text)] if text else []
                return ast.JoinedStr(values)
        return None

    return edit_expressions(function, rng, rate, change)


def commute_integers(function: Function, rng: Random, rate: float) -> bool:
    """``len(x) + 1`` -> ``1 + len(x)``, likewise products, for operands that are an ``int`` whatever the inputs."""

    def change(node: ast.expr) -> ast.expr | None:
        match node:
            case ast.BinOp(left=left, op=ast.Add() | ast.Mult() as operator, right=right):
                if not inert(left) and not inert(right):  # if both can fail, the first one's error is seen
                    return None
                numbers = integer_locals(function)
                if standard(function, "len", "ord") and integer(left, numbers) and integer(right, numbers):
                    return ast.BinOp(right, operator, left)
        return None

    return edit_expressions(function, rng, rate, change)
