"""Data flow: an independent reference over random programs, arbitrary text, and real functions."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data.dataflow import COMES_FROM, GRAMMARS, Flow, data_flow
from lilliput.data.formats import read_rows
from tests.conftest import shared_folder

DEEP = {
    "parentheses": "(" * 30_000 + "x" + ")" * 30_000,
    "braces": "{" * 20_000,
    "loops": "while(x)" * 3_000 + "x = y + x;",
    "branches": "if(x)" * 5_000 + "x++;",
    "assignments": "int x = " + "a = " * 5_000 + "1;",
    "switches": "switch(x){case 1:" * 3_000,
    "python blocks": "\n".join(" " * depth + "while x:" for depth in range(300)) + "\n" + " " * 300 + "x = x + 1",
}


@pytest.mark.parametrize("language", GRAMMARS)
@pytest.mark.parametrize("kind", DEEP)
def test_deep_nesting_is_handled(kind, language):
    check_whole(data_flow(DEEP[kind], language, limit=1000))


def check_whole(flow: Flow) -> None:
    """Check what must hold for any flow."""
    tokens = [node.token for node in flow.nodes]
    assert tokens == sorted(set(tokens))
    used = {source for node in flow.nodes for source in node.sources}
    for place, node in enumerate(flow.nodes):
        assert node.name == flow.tokens[node.token]
        assert list(node.sources) == sorted(set(node.sources))
        assert all(0 <= source < len(flow.nodes) for source in node.sources)
        assert node.sources or place in used


SOUP = (
    "a b c int if else while for do switch case default : try catch finally return x [ ] ( ) { } = += ++ -> . , ; * & "
    "0 1 'q' \"s\" // /* */ # \n \n\t lambda with as def class in not goto #define @ é \ud800 \x00"
)


@pytest.mark.parametrize("language", GRAMMARS)
@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60) | st.lists(st.sampled_from(SOUP.split(" ")), max_size=60).map(" ".join))
def test_any_text_has_a_valid_flow(language, text):
    check_whole(data_flow(text, language))


NAMES = "abc"
LEAF = st.tuples(st.just("="), st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=2))
PROGRAMS = st.lists(
    st.recursive(
        LEAF,
        lambda inner: st.tuples(
            st.sampled_from(["if", "while"]),
            st.sampled_from(NAMES),
            st.lists(inner, min_size=1, max_size=3),
            st.none() | st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=8,
    ),
    min_size=1,
    max_size=5,
)
"""Statements: ``("=", name, names)``, and ``("if" or "while", name, body, else)``."""


def written(program, language: str, depth: int = 1) -> str:
    """The source text of a program."""
    lines = []
    indent = "    " * depth
    python = language == "python"
    opened, closed = (":", "") if python else (" {", "}")
    for kind, name, *rest in program:
        if kind == "=":
            value = " + ".join([*rest[0], "7"])
            lines.append(f"{indent}{name} = {value}{'' if python else ';'}")
            continue
        body, other = rest
        lines += [f"{indent}{kind} ({name}){opened}", written(body, language, depth + 1), f"{indent}{closed}"]
        if other is not None and kind == "if":
            lines += [f"{indent}else{opened}", written(other, language, depth + 1), f"{indent}{closed}"]
    return "\n".join(lines)


def function(program, language: str) -> str:
    """The source text of a function that takes all names and contains the program."""
    if language == "python":
        return f"def f({', '.join(NAMES)}):\n{written(program, language)}\n"
    return f"void f({', '.join(f'int {name}' for name in NAMES)}) {{\n{written(program, language)}\n}}\n"


def reference(program) -> dict[tuple[str, int], set[int]]:
    """Find which occurrences may have given each use its value, by running the program along every path.

    Returns:
        ``(name, occurrence)`` of a use, occurrences counted from 0 in the text, parameters first -> the occurrences of
        the same name that were the last to be assigned on some path.
    """
    counts = Counter(NAMES)

    def numbered(statements):
        found = []
        for kind, name, *rest in statements:
            place = counts[name]
            counts[name] += 1
            if kind == "=":
                uses = []
                for used in rest[0]:
                    uses.append((used, counts[used]))
                    counts[used] += 1
                found.append((kind, (name, place), uses))
            else:
                body = numbered(rest[0])
                other = numbered(rest[1]) if kind == "if" and rest[1] is not None else []
                found.append((kind, (name, place), body, other))
        return found

    uses: dict[tuple[str, int], set[int]] = {}

    def run(statements, states):
        """``states`` holds every combination of last assignments on some path, as tuples in the order of NAMES."""
        for kind, (name, place), *rest in statements:
            at = NAMES.index(name)
            if kind == "=":
                for used, number in rest[0]:
                    uses.setdefault((used, number), set()).update(state[NAMES.index(used)] for state in states)
                states = {(*state[:at], place, *state[at + 1 :]) for state in states}
                continue
            body, other = rest
            seen: set[tuple[int, ...]] = set()
            while kind == "while" and not states <= seen:
                seen |= states
                states = seen | run(body, seen)
            uses.setdefault((name, place), set()).update(state[at] for state in states)
            if kind == "if":
                states = run(body, states) | run(other, states)
        return states

    run(numbered(program), {(0,) * len(NAMES)})
    return uses


@pytest.mark.parametrize("language", GRAMMARS)
@settings(max_examples=60, deadline=None)
@given(program=PROGRAMS)
def test_definitions_match_those_on_every_path(language, program):
    flow = data_flow(function(program, language), language)
    seen: Counter[str] = Counter()
    occurrence = {}
    for token, text in enumerate(flow.tokens):
        occurrence[token] = (text, seen[text])
        seen[text] += 1
    found = {
        occurrence[node.token]: {occurrence[flow.nodes[source].token][1] for source in node.sources}
        for node in flow.nodes
        if node.name in NAMES and node.relation == COMES_FROM and node.sources
    }
    assert found == reference(program)


@pytest.mark.parametrize("language", GRAMMARS)
@settings(max_examples=30, deadline=None)
@given(program=PROGRAMS, others=st.permutations(["alpha", "y_2", "q"]))
def test_names_make_no_difference(language, program, others):
    code = function(program, language)
    flow = data_flow(code, language)
    new = dict(zip(NAMES, others, strict=True))
    renamed = data_flow(replaced(code, new), language)
    assert renamed.tokens == tuple(new.get(token, token) for token in flow.tokens)
    assert renamed.edges == flow.edges
    assert [node.token for node in renamed.nodes] == [node.token for node in flow.nodes]


def replaced(code: str, new: dict[str, str]) -> str:
    """``code`` with its one-letter names replaced; no keyword in these programs has one letter."""
    letters = [f" {code} "[place : place + 3] for place in range(len(code))]
    whole = (not before.isalnum() and not after.isalnum() for before, _, after in letters)
    return "".join(
        new.get(middle, middle) if alone else middle for (_, middle, _), alone in zip(letters, whole, strict=True)
    )


REAL = {"c": "data/devign/valid.jsonl.gz", "java": "data/bigclonebench/data.jsonl.gz"}


@pytest.mark.parametrize("language", REAL)
def test_real_functions_have_data_flow(language):
    path = shared_folder() / REAL[language]
    if not path.exists():
        pytest.skip(f"needs the shared data: {path.name}")
    rows = itertools.islice(read_rows(path, ["func"]), 100)
    flows = [data_flow(str(row.values["func"]), language, limit=512) for row in rows]
    for flow in flows:
        check_whole(flow)
    assert sum(bool(flow.edges) for flow in flows) >= 95
