"""Apply the corpus's syntax tree rewrites to the source text.

:mod:`lilliput.data.corpus` has rewrites that preserve semantics, but prints the whole tree anew. Here the trees before
and after are compared node by node, and only the expressions and statements that differ are rewritten in the text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy
from random import Random

from lilliput.data.corpus.rewrites import Rewrite
from lilliput.evaluate.perturb.perturbation import Problem
from lilliput.evaluate.perturb.source import Edit, Source, edited, opened

Part = ast.expr | ast.stmt

_SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.Return)
_PLACE = "lilliput_place_{}"


def rewritten(problem: Problem, rewrites: tuple[Rewrite, ...], rng: Random) -> Problem | None:
    """Apply ``rewrites`` to ``problem`` one after the other, wherever they match.

    A rewrite that would change a statement that spans the prompt's end, or the number of statements, is skipped.
    ``None`` where nothing changes.
    """
    source = opened(problem)
    for rewrite in rewrites:
        source = None if source is None else _once(source, rewrite, rng) or source
    return None if source is None or source.problem == problem else source.problem


def _once(source: Source, rewrite: Rewrite, rng: Random) -> Source | None:
    changed = deepcopy(source)
    if not rewrite.apply(changed.function, rng, 1.0):
        return None
    pairs = _differences(source.function, changed.function)
    problem = edited(source, [Edit(*source.span(old), _spelled(source, new)) for old, new in pairs])
    after = None if problem is None else opened(problem)
    same = after is not None and ast.dump(after.tree) == ast.dump(changed.tree)
    return after if same else None


def _differences(old: ast.AST, new: ast.AST) -> Iterator[tuple[Part, Part]]:
    """Yield the smallest expressions and simple statements in which two trees differ, as pairs."""
    if type(old) is type(new) and _same_leaves(old, new):
        for one, other in zip(ast.iter_child_nodes(old), ast.iter_child_nodes(new), strict=True):
            yield from _differences(one, other)
        return
    for kinds in (ast.expr, _SIMPLE):
        if isinstance(old, kinds) and isinstance(new, kinds):
            yield old, new


def _same_leaves(old: ast.AST, new: ast.AST) -> bool:
    """Whether two nodes of one type differ at most in the expressions and statements below them."""
    for field in old._fields:
        one, other = getattr(old, field, None), getattr(new, field, None)
        ones, others = (value if isinstance(value, list) else [value] for value in (one, other))
        if len(ones) != len(others):
            return False
        for left, right in zip(ones, others, strict=True):
            if isinstance(left, Part) and isinstance(right, Part):
                continue
            nodes = isinstance(left, ast.AST) and isinstance(right, ast.AST)
            if (ast.dump(left) != ast.dump(right)) if nodes else (left != right):
                return False
    return True


def _spelled(source: Source, node: Part) -> str:
    """The text of a changed node, in which unchanged parts keep their spelling in the source."""
    for brackets in ("{}", "({})"):
        text = _with_kept_parts(source, node, brackets)
        if _means(text, node):
            return text
    return ast.unparse(node)


def _with_kept_parts(source: Source, node: Part, brackets: str) -> str:
    pieces: dict[str, str] = {}

    class Kept(ast.NodeTransformer):
        def visit(self, inner: ast.AST) -> ast.AST:
            if isinstance(inner, ast.expr) and hasattr(inner, "lineno") and not isinstance(inner, ast.Name):
                text = source.written(inner)
                if _means(text, inner):
                    name = _PLACE.format(len(pieces))
                    pieces[name] = text if isinstance(inner, ast.Constant) else brackets.format(text)
                    return ast.Name(name, ast.Load())
            return self.generic_visit(inner)

    text = ast.unparse(ast.fix_missing_locations(Kept().visit(deepcopy(node))))
    for name in reversed(pieces):  # place_1 is a prefix of place_10
        text = text.replace(name, pieces[name])
    return text


def _means(text: str, node: Part) -> bool:
    try:
        match ast.parse(text).body:
            case [ast.Expr(value=value)] if isinstance(node, ast.expr):
                return ast.dump(value) == ast.dump(node)
            case [statement]:
                return ast.dump(statement) == ast.dump(node)
    except SyntaxError:
        pass
    return False
