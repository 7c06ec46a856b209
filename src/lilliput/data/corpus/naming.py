"""Renaming: local variables, parameters and the function itself, by Python's own scoping rules."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from random import Random

from lilliput.data.corpus.trees import NAME_FIELDS, Comprehension, Function, fresh_names, mentioned, walk

_VERBS = """
    get set make build find read write parse check update handle process create load store collect compute convert
    apply run resolve emit scan walk fetch prepare format merge split select add remove send visit open close
"""
VERBS = tuple(_VERBS.split())
"""First words of new function names; the rest comes from the pool of variable names."""

_KEPT = frozenset({"self", "cls", "mcs", "_"})


@dataclass
class Variable:
    """One variable of one scope and every node that names it.

    Attributes:
        name: its name.
        nodes: the nodes that read or bind it, in nested scopes as well.
        parameter: whether it is a positional parameter (or ``*args``, ``**kwargs``) of the outermost function.
        fixed: whether its name is visible from outside, or bound by syntax that has no name of its own to change.
    """

    name: str
    nodes: list[ast.AST] = field(default_factory=list)
    parameter: bool = False
    fixed: bool = False

    def rename(self, name: str) -> None:
        """Rename it to ``name`` in all its nodes."""
        for node in self.nodes:
            setattr(node, NAME_FIELDS[type(node)], name)


@dataclass
class _Names:
    """The variables that one scope binds, and the scope around it."""

    outer: _Names | None
    comprehension: bool
    variables: dict[str, Variable] = field(default_factory=dict)

    def bind(self, name: str) -> Variable:
        return self.variables.setdefault(name, Variable(name))


class _Resolver(ast.NodeVisitor):
    """Finds the variable of each name: all bindings first, then all names, since a use may precede its binding."""

    def __init__(self) -> None:
        self.scope = _Names(None, False)
        self.scopes: list[_Names] = []
        self.uses: list[tuple[_Names, str, ast.AST]] = []

    def bind(self, name: str, node: ast.AST | None = None) -> Variable:
        """Bind ``name`` in the current scope; without a ``node`` to rename it by, it keeps its name."""
        variable = self.scope.bind(name)
        if node is None:
            variable.fixed = True
        else:
            self.uses.append((self.scope, name, node))
        return variable

    def enter(self, comprehension: bool = False) -> None:
        self.scope = _Names(self.scope, comprehension)
        self.scopes.append(self.scope)

    def leave(self) -> None:
        assert self.scope.outer is not None  # every leave follows an enter
        self.scope = self.scope.outer

    def visit_function(self, node: Function, outermost: bool = False) -> None:
        if not outermost:
            self.bind(node.name)
        for part in (*node.decorator_list, node.returns):
            if part is not None:
                self.visit(part)
        self.visit_scope(node.args, node.body, outermost)

    visit_FunctionDef = visit_AsyncFunctionDef = visit_function  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit_scope(node.args, [node.body], False)

    def visit_scope(self, args: ast.arguments, body: list[ast.stmt] | list[ast.expr], outermost: bool) -> None:
        positional = [*args.posonlyargs, *args.args, *filter(None, (args.vararg, args.kwarg))]
        everything = [*positional, *args.kwonlyargs]
        outside = [*args.defaults, *args.kw_defaults, *(arg.annotation for arg in everything)]
        for part in outside:  # evaluated where the function is defined, not where it runs
            if part is not None:
                self.visit(part)
        self.enter()
        for arg in everything:
            variable = self.bind(arg.arg, arg)
            variable.parameter = outermost
            variable.fixed |= not outermost or arg in args.kwonlyargs
        for statement in body:
            self.visit(statement)
        self.leave()

    def visit_comprehension_scope(self, node: Comprehension) -> None:
        first, *others = node.generators
        self.visit(first.iter)  # evaluated in the enclosing scope
        self.enter(comprehension=True)
        self.visit(first.target)
        for part in (*first.ifs, *others):
            self.visit(part)
        for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
            self.visit(part)
        self.leave()

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_comprehension_scope  # noqa: N815

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.uses.append((self.scope, node.id, node))
        else:
            self.bind(node.id, node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        inside = self.scope
        while self.scope.comprehension and self.scope.outer is not None:  # PEP 572: binds around the comprehension
            self.scope = self.scope.outer
        self.visit(node.target)
        self.scope = inside

    def visit_bare_name(self, node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar) -> None:
        if node.name is not None:
            self.bind(node.name, node)
        self.generic_visit(node)

    visit_ExceptHandler = visit_MatchAs = visit_MatchStar = visit_bare_name  # noqa: N815

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest is not None:
            self.bind(node.rest)
        self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> None:
        self.bind(node.asname or node.name.split(".")[0])

    def visit_Global(self, node: ast.Global) -> None:
        for name in node.names:
            self.bind(name)


def variables(function: Function) -> list[Variable]:
    """The variables that ``function`` and the functions and comprehensions in it bind.

    Empty if a class, a ``nonlocal`` or type parameters inside ``function`` give it scopes that this resolver does not
    handle.
    """
    beyond = any(
        isinstance(node, ast.ClassDef | ast.Nonlocal) or getattr(node, "type_params", None) for node in walk(function)
    )
    if beyond:
        return []
    resolver = _Resolver()
    resolver.visit_function(function, outermost=True)
    for scope, name, node in resolver.uses:
        around: _Names | None = scope
        while around is not None and name not in around.variables:
            around = around.outer
        if around is not None:
            around.variables[name].nodes.append(node)
    return [variable for scope in resolver.scopes for variable in scope.variables.values()]


def _rename(function: Function, rng: Random, rate: float, parameters: bool) -> bool:
    changed = False
    names = fresh_names(function, rng)
    for variable in variables(function):
        free = not (variable.fixed or variable.name in _KEPT or variable.name.startswith("__"))
        if free and variable.parameter == parameters and rng.random() < rate:
            variable.rename(next(names))
            changed = True
    return changed


def rename_locals(function: Function, rng: Random, rate: float) -> bool:
    """Give local variables, those of comprehensions and nested functions included, new names.

    A new name is mentioned nowhere in the function, so that it can neither capture nor shadow another.
    """
    return _rename(function, rng, rate, parameters=False)


def rename_parameters(function: Function, rng: Random, rate: float) -> bool:
    """Give positional parameters new names; ``self``, ``cls`` and keyword-only ones keep theirs.

    As is usual in clone corpora, semantics are preserved for callers that pass arguments by position. A function that
    mentions its own name may call itself by keyword, and is left alone.
    """
    return not _recursive(function) and _rename(function, rng, rate, parameters=True)


def rename_function(function: Function, rng: Random, rate: float) -> bool:
    """Rename the function, unless its name is special to Python (``__init__``) or the function itself mentions it."""
    if function.name.startswith("__") or _recursive(function) or rng.random() >= rate:
        return False
    function.name = f"{rng.choice(VERBS)}_{next(fresh_names(function, rng))}"
    return True


def _recursive(function: Function) -> bool:
    return mentioned(function).count(function.name) > 1  # the first mention is its definition
