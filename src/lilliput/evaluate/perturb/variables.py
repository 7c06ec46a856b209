"""Rename one variable of a function everywhere: the one that the prompt's code mentions most.

The docstring keeps the old name, as in ReCode's released files.
"""

from __future__ import annotations

import ast
import keyword
import re
import string
from collections import Counter
from collections.abc import Callable
from random import Random

from lilliput.data.corpus.naming import Variable, variables
from lilliput.data.corpus.trees import BUILTINS, walk
from lilliput.evaluate.perturb.perturbation import Apply, Problem
from lilliput.evaluate.perturb.source import Edit, Source, edited, opened

NewName = Callable[[Source, str, Random], str | None]

_KEPT = frozenset({"self", "cls", "_"})

_STOP = """
    the and for are was you your with that this from which not all any its has have will can should into then than
    each other there such they them one two three where when what while only also every given return returns write
    function find check create takes take returning note example examples
"""
_STOP_WORDS = frozenset(_STOP.split())
"""Words that say nothing about a variable's content."""


def rename_most_used(new_name: NewName) -> Apply:
    """The perturbation that renames the most mentioned variable of the prompt's code to ``new_name(source, old, rng)``.

    Variables that cannot be renamed by position alone are skipped: those with keyword arguments of the same name, those
    bound by ``except``, ``import`` or ``global``, and those inside f-strings on Python versions that give no positions.
    """

    def apply(problem: Problem, rng: Random) -> Problem | None:
        source = opened(problem)
        if source is None:
            return None
        for variable in _by_use(source):
            name = new_name(source, variable.name, rng)
            if name is None or name in source.mentions() or keyword.iskeyword(name) or name in BUILTINS:
                continue
            edits = [Edit(start, start + len(variable.name), name) for start in _places(source, variable)]
            if (changed := edited(source, edits)) is not None:
                return changed
        return None

    return apply


def _by_use(source: Source) -> list[Variable]:
    """The variables that may be renamed and that the prompt mentions, the most used first, then the earliest."""
    keywords = {node.arg for node in [*walk(source.tree), *_test(source)] if isinstance(node, ast.keyword)}
    found: list[tuple[int, int, Variable]] = []
    for variable in variables(source.function):
        if variable.fixed or variable.name in _KEPT | keywords or variable.name.startswith("__"):
            continue
        places = _places(source, variable)
        exact = all(source.text.startswith(variable.name, place) for place in places)
        before = [place for place in places if place < source.cut]
        if exact and before and len(places) == len(variable.nodes):
            found.append((-len(before), before[0], variable))
    return [variable for _, _, variable in sorted(found, key=lambda item: item[:2])]


def _test(source: Source) -> list[ast.AST]:
    try:
        return walk(ast.parse(source.problem.test))
    except SyntaxError:
        return []


def _places(source: Source, variable: Variable) -> list[int]:
    """Offsets of the variable's names; fewer than its nodes where a node has no position."""
    nodes = [node for node in variable.nodes if isinstance(node, ast.Name | ast.arg)]
    return sorted({source.span(node)[0] for node in nodes})


def naive(source: Source, old: str, rng: Random) -> str:
    """``VAR_0``, or the first such name that is free."""
    del old, rng  # the same for every variable
    taken = source.mentions()
    return next(name for number in range(len(taken) + 1) if (name := f"VAR_{number}") not in taken)


def random_name(source: Source, old: str, rng: Random) -> str:
    """Random letters and digits, as many as in the old name but at least 3, starting with a letter."""
    del source
    length = max(3, len(old))
    return rng.choice(string.ascii_letters) + "".join(
        rng.choice(string.ascii_letters + string.digits) for _ in range(length - 1)
    )


def harvested(source: Source, old: str, rng: Random) -> str | None:
    """The most frequent word of docstring and function name that is not in use, in lower case; of equals, the first.

    ReCode asks a masked language model (CodeBERT) for a name that fits the variable's context; a word from the prompt
    only fits the function's topic.
    """
    del rng  # nothing to choose
    text = source.problem.entry_point.replace("_", " ")
    if source.docstring is not None:
        text = f"{source.written(source.docstring)} {text}"
    taken = source.mentions() | BUILTINS | _STOP_WORDS | {old}
    found = Counter(word for word in re.findall(r"[a-z]{3,}", text.lower()) if word not in taken)
    return found.most_common(1)[0][0] if found else None
