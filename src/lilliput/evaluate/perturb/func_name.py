"""Perturbations of the function's name, wherever it occurs: signature, examples, entry point, recursion and tests."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from lilliput.data.corpus.trees import BUILTINS, walk
from lilliput.evaluate.perturb.english import inflected
from lilliput.evaluate.perturb.perturbation import Apply, Perturbation, Problem
from lilliput.evaluate.perturb.source import Edit, Source, opened
from lilliput.evaluate.perturb.synonyms import synonyms
from lilliput.evaluate.perturb.typing_errors import butter_fingers, change_case, swap_characters

Rename = Callable[[str, Random], str]

ATTEMPTS = 100
"""Maximum random draws until the name changes: a short name may come out unchanged."""

_PARTS = re.compile(r"[A-Za-z]+|[^A-Za-z]+")


def renamed(problem: Problem, name: str) -> Problem | None:
    """``problem`` with its function renamed to ``name``; ``None`` where that is not an identifier, or already in use.

    In docstrings, a name that is also an ordinary word (``add``, ``unique``) is renamed only where it is called; one
    that can only be an identifier (with an underscore or a capital inside), wherever it occurs.
    """
    source, test = opened(problem), _opened_test(problem)
    if source is None or test is None or not name.isidentifier():
        return None
    if keyword.iskeyword(name) or name in BUILTINS or name in source.mentions():
        return None
    text = source.text
    edits = sorted({*_in_code(source), *_in_strings(source)}, reverse=True)
    cut = source.cut
    for edit in edits:
        text = text[: edit.start] + name + text[edit.end :]
        cut += len(name) - (edit.end - edit.start) if edit.end <= source.cut else 0
    tests = test.text
    for edit in sorted(_in_code(test), reverse=True):
        tests = tests[: edit.start] + name + tests[edit.end :]
    changed = replace(problem, prompt=text[:cut], canonical_solution=text[cut:], entry_point=name, test=tests)
    return changed if opened(changed) is not None else None


def _opened_test(problem: Problem) -> Source | None:
    """The tests as a program; they do not define the entry point, so any of their functions will do."""
    try:
        tree = ast.parse(problem.test)
    except SyntaxError:
        return None
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return Source(problem, problem.test, len(problem.test), tree, functions[0]) if functions else None


def _in_code(source: Source) -> Iterator[Edit]:
    """Edits where the code mentions the entry point: as a variable, or in its definition."""
    name = source.problem.entry_point
    for node in walk(source.tree):
        match node:
            case ast.Name(id=found) if found == name and source.written(node) == name:
                yield Edit(*source.span(node), "")
            case ast.FunctionDef(name=found) | ast.AsyncFunctionDef(name=found) if found == name:
                start = source.text.index(name, source.span(node)[0] + len("def"))
                yield Edit(start, start + len(name), "")


def _in_strings(source: Source) -> Iterator[Edit]:
    """Edits where docstrings mention the entry point."""
    name = source.problem.entry_point
    plain = name.isalpha() and name[1:].islower()
    pattern = re.compile(rf"(?<![\w.]){re.escape(name)}\b" + (r"(?=\s?\(|`)" if plain else ""))
    for node in walk(source.tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as literal):
                start, end = source.span(literal)
                for match in pattern.finditer(source.text, start, end):
                    yield Edit(*match.span(), "")


def _by(rename: Rename) -> Apply:
    def apply(problem: Problem, rng: Random) -> Problem | None:
        for _ in range(ATTEMPTS):
            name = rename(problem.entry_point, rng)
            if name != problem.entry_point and (changed := renamed(problem, name)) is not None:
                return changed
        return None

    return apply


def camel_case(name: str, rng: Random) -> str:
    """``has_close_elements`` -> ``hasCloseElements``."""
    del rng  # nothing to choose
    first, *others = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def _in_parts(change: Callable[[str, Random], str]) -> Rename:
    """Change the words of a name one by one, keeping the underscores and digits between them."""

    def rename(name: str, rng: Random) -> str:
        return "".join(change(part, rng) if part.isalpha() else part for part in _PARTS.findall(name))

    return rename


def _other_form(word: str, rng: Random) -> str:
    return (inflected(word, rng) or word) if rng.random() < 0.5 else word


def _synonym(word: str, rng: Random) -> str:
    found = [text.replace(" ", "_") for text in synonyms(word)]
    return rng.choice(found) if found and rng.random() < 0.5 else word


def _perturbation(name: str, rename: Rename, summary: str, released: str, deterministic: bool = False) -> Perturbation:
    return Perturbation(f"func_{name}", "func_name", deterministic, "prompt", _by(rename), summary, released)


PERTURBATIONS = (
    _perturbation(
        "butter_fingers",
        _in_parts(butter_fingers),
        "one or more letters replaced by one beside it on the keyboard",
        "FuncRenameButterFinger",
    ),
    _perturbation("camel_case", camel_case, "camelCase for snake_case", "FuncRenameCamelCase", True),
    _perturbation("change_case", _in_parts(change_case), "letters in the other case", "FuncRenameChangeChar"),
    _perturbation("inflection", _in_parts(_other_form), "words in another form", "FuncRenameInflectionalVariation"),
    _perturbation("swap_characters", _in_parts(swap_characters), "pairs of letters exchanged", "FuncRenameSwapChar"),
    _perturbation("synonym", _in_parts(_synonym), "words replaced by synonyms", "FuncRenameSynonymSub"),
)
