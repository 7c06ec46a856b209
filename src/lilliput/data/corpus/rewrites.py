"""Semantics-preserving rewrites of one Python function: their table, and a random selection applied in sequence.

A rewritten function returns, raises and does what the original does, in the same order, under these assumptions:

- built-in names have their usual meaning (a function that binds one itself is left alone where it matters);
- comparison operators of a class agree with each other: ``a < b`` is ``b > a``, and ``a != b`` is ``not a == b``;
- nobody observes what is not behaviour: the function's own name, parameter names, docstring and line numbers, its local
  variables through a debugger, the text of a ``NameError`` or ``TypeError``, and how long a temporary object lives.

Functions that inspect their own variables or frames (``locals()``, ``eval``, ``sys._getframe``) are refused.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lilliput.data.corpus import conditions, expressions, loops, naming, statements
from lilliput.data.corpus.layout import render
from lilliput.data.corpus.statements import change_docstring
from lilliput.data.corpus.trees import Function, bound, mentioned, walk

_SEES_VARIABLES = frozenset({"locals", "vars", "eval", "exec", "dir"})
_SEES_FRAMES = frozenset({"_getframe", "currentframe"})


@dataclass(frozen=True)
class Rewrite:
    """One kind of change to a function's syntax tree.

    Attributes:
        apply: ``apply(function, rng, rate)`` changes a share ``rate`` of the places that it fits, in place, and returns
            whether it changed anything.
        chance: how often :func:`rewrite` tries it, at full strength.
    """

    apply: Callable[[Function, Random, float], bool]
    chance: float

    @property
    def name(self) -> str:
        """The name of its function."""
        return self.apply.__name__


STRUCTURE = (
    Rewrite(conditions.invert_if, 0.6),
    Rewrite(conditions.invert_conditional, 0.5),
    Rewrite(conditions.nest_after_guard, 0.3),
    Rewrite(conditions.unnest_after_guard, 0.3),
    Rewrite(conditions.split_and, 0.4),
    Rewrite(conditions.merge_nested_if, 0.4),
    Rewrite(conditions.conditional_to_if, 0.4),
    Rewrite(conditions.if_to_conditional, 0.4),
    Rewrite(conditions.join_guard_return, 0.3),
    Rewrite(conditions.name_condition, 0.2),
    Rewrite(conditions.de_morgan, 0.4),
    Rewrite(conditions.flip_comparison, 0.6),
    Rewrite(conditions.split_chain, 0.5),
    Rewrite(conditions.split_isinstance, 0.5),
    Rewrite(conditions.membership_display, 0.4),
    Rewrite(loops.for_to_iterator, 0.25),
    Rewrite(loops.range_to_while, 0.5),
    Rewrite(loops.enumerate_to_counter, 0.5),
    Rewrite(loops.test_inside, 0.3),
    Rewrite(loops.test_on_top, 0.5),
    Rewrite(loops.while_to_for, 0.1),
    Rewrite(loops.comprehension_to_loop, 0.4),
    Rewrite(loops.loop_to_comprehension, 0.5),
    Rewrite(statements.introduce_temporary, 0.4),
    Rewrite(statements.inline_temporary, 0.4),
    Rewrite(statements.swap_assignments, 0.6),
    Rewrite(statements.split_tuple_assignment, 0.5),
    Rewrite(statements.join_assignments, 0.2),
    Rewrite(statements.split_chained_assignment, 0.5),
    Rewrite(statements.expand_augmented, 0.5),
    Rewrite(statements.contract_augmented, 0.5),
    Rewrite(statements.spell_return, 0.4),
    Rewrite(expressions.call_for_display, 0.3),
    Rewrite(expressions.display_for_call, 0.3),
    Rewrite(expressions.format_for_fstring, 0.4),
    Rewrite(expressions.fstring_for_format, 0.4),
    Rewrite(expressions.commute_integers, 0.4),
)
"""Changes to the structure of the function, tried in random order."""

NAMES = (
    Rewrite(naming.rename_locals, 1.0),
    Rewrite(naming.rename_parameters, 1.0),
    Rewrite(naming.rename_function, 1.0),
)
"""Changes to names; they come last, so that they rename temporary variables too."""

REWRITES = (*STRUCTURE, *NAMES)


def opened(source: str) -> Function | None:
    """The single function that ``source`` defines; ``None`` if it is something else or is refused.

    Raises:
        SyntaxError: ``source`` is not Python.
    """
    match ast.parse(source).body:
        case [ast.FunctionDef() | ast.AsyncFunctionDef() as function]:
            outside = set(mentioned(function)) - set(bound(function))
            attributes = {node.attr for node in walk(function) if isinstance(node, ast.Attribute)}
            looks = outside & _SEES_VARIABLES or (outside | attributes) & _SEES_FRAMES
            return None if looks else function
    return None


def rewrite(source: str, rng: Random, strength: float = 1.0) -> str | None:
    """Another function with the behaviour of ``source``.

    Args:
        source: one function definition, not indented.
        rng: determines everything; the same state gives the same result.
        strength: above 0, up to 1: scales each rewrite's chance and the share of the places where it is applied.

    Returns:
        Source that parses and differs from ``source`` in more than layout and docstring; ``None`` if ``source`` is not
        one function, inspects its own frame, or offers nothing to change.

    Raises:
        SyntaxError: ``source`` is not Python.
    """
    function = opened(source)
    if function is None:
        return None
    structure = rng.sample(STRUCTURE, len(STRUCTURE))
    drawn = [change for change in (*structure, *NAMES) if rng.random() < change.chance * strength]
    applied = [change.apply(function, rng, rng.uniform(0.5, 1.0) * strength) for change in drawn]
    if not any(applied) and not any(change.apply(function, rng, 1.0) for change in (*structure, *NAMES)):
        return None
    change_docstring(function, rng, strength)
    return render(function, rng, strength)
