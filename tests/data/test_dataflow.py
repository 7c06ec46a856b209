"""Data flow: cases in three languages, worked out by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from lilliput.data.dataflow import COMES_FROM, COMPUTED_FROM, Flow, data_flow
from lilliput.errors import UserError


def labels_of(flow: Flow) -> list[str]:
    """Each token with its occurrence number: ``x2``, or ``0_1`` if it ends in a digit itself."""
    seen: Counter[str] = Counter()
    labels = []
    for token in flow.tokens:
        seen[token] += 1
        labels.append(f"{token}{'_' * token[-1].isdigit()}{seen[token]}")
    return labels


def arrows(code: str, language: str) -> dict[str, str]:
    """Map each node that has sources to those sources, in order."""
    flow = data_flow(code, language)
    labels = labels_of(flow)
    return {
        labels[node.token]: " ".join(labels[flow.nodes[source].token] for source in node.sources)
        for node in flow.nodes
        if node.sources
    }


MAXIMUM = {"x1": "0_1", "b2": "b1", "a2": "a1", "x2": "b3", "b3": "b1", "x3": "a3", "a3": "a1", "x4": "x2 x3"}
"""The paper's figure 2."""

SWITCH = {"x1": "0_1", "n2": "n1", "x2": "1_2", "x3": "n3", "n3": "n1", "x4": "x5 1_3", "x5": "x1 x3", "x6": "x2 x4"}
"""The second case falls through into the third, which is the default, so that ``x1`` ends in all of them."""

CASES = {
    "c: either branch": (
        "c",
        "int max(int a, int b) { int x = 0; if (b > a) x = b; else x = a; return x; }",
        MAXIMUM,
    ),
    "c: no else": (
        "c",
        "int f(int a) { int x = a; if (a) { x = 1; } return x; }",
        {"x1": "a2", "a2": "a1", "a3": "a1", "x2": "1_1", "x3": "x1 x2"},
    ),
    "c: a for loop": (
        "c",
        "int f(char *p, int n) { int i, s = 0; for (i = 0; i < n; i++) s += p[i]; return s; }",
        {
            "s1": "0_1",
            "i2": "0_2",
            "i3": "i2 i4",
            "n2": "n1",
            "i4": "i2 i4",
            "s2": "s1 s2 p2 i5",
            "p2": "p1",
            "i5": "i2 i4",
            "s3": "s1 s2",
        },
    ),
    "c: a while loop, entered or not": (
        "c",
        "int f(int n) { while (n) n = n - 1; return n; }",
        {"n2": "n1 n3", "n3": "n4 1_1", "n4": "n1 n3", "n5": "n1 n3"},
    ),
    "c: a do loop is entered": (
        "c",
        "int f(int n) { int x = 1; do { x = n; n--; } while (n); return x; }",
        {"x1": "1_1", "x2": "n2", "n2": "n1 n3", "n3": "n1 n3", "n4": "n3", "x3": "x2"},
    ),
    "c: pointers, fields and elements": (
        "c",
        "void f(struct s *p, int n) { p->len = n; *p->buf = p->len; p[0] = n; g(p); }",
        {
            "p2": "p1 n2",
            "len1": "n2",
            "n2": "n1",
            "p3": "p2 p4 len2",
            "buf1": "p4 len2",
            "p4": "p2",
            "len2": "len1",
            "p5": "p3 n3",
            "n3": "n1",
            "p6": "p5",
        },
    ),
    "c: a switch": (
        "c",
        "int f(int n) { int x = 0; switch (n) { case 1: x = 1; break; case 2: x = n; default: x = x + 1; } return x; }",
        SWITCH,
    ),
    "c: declarators": (
        "c",
        "int f(int n) { char *a = g(n), b[n], **c; c = b; return *c; }",
        {"a1": "g1 n2", "n2": "n1", "n3": "n1", "c2": "b2", "b2": "b1", "c3": "c2"},
    ),
    "c: assignments in a row": (
        "c",
        "int f(int n) { int a, b; a = b = n; return a; }",
        {"a2": "b2", "b2": "n2", "n2": "n1", "a3": "a2"},
    ),
    "c: a fragment with errors": (
        "c",
        "x = ) 1; } if (x { y = x; z(y",
        {"x1": "1_1", "x2": "x1", "y1": "x3", "x3": "x1", "y2": "y1"},
    ),
    "java: either branch": (
        "java",
        "int max(int a, int b) { int x = 0; if (b > a) x = b; else x = a; return x; }",
        MAXIMUM,
    ),
    "java: for each, and try": (
        "java",
        "int f(int[] xs) { int s = 0; for (int v : xs) s += v; try { s = g(s); } catch (E e) { s = h(e); } return s; }",
        {
            "s1": "0_1",
            "v1": "xs2",
            "xs2": "xs1",
            "s2": "s1 s2 v2",
            "v2": "v1",
            "s3": "g1 s4",
            "s4": "s1 s2",
            "s5": "h1 e2",
            "e2": "e1",
            "s6": "s3 s5",
        },
    ),
    "java: a field is not the variable of its name": (
        "java",
        "void set(int x) { this.x = x; int y = this.x + x; y++; use(y); }",
        {"x2": "x3", "x3": "x1", "y1": "x4 x5", "x4": "x2", "x5": "x1", "y2": "y1", "y3": "y2"},
    ),
    "java: a switch": (
        "java",
        "int f(int n) { int x = 0; switch (n) { case 1: x = 1; break; case 2: x = n; default: x = x + 1; } return x; }",
        SWITCH,
    ),
    "java: a for loop": (
        "java",
        "int f(int n) { int s = 0; for (int i = 0; i < n; i++) { s = s + i; } return s; }",
        {
            "s1": "0_1",
            "i1": "0_2",
            "i2": "i1 i3",
            "n2": "n1",
            "i3": "i1 i3",
            "s2": "s3 i4",
            "s3": "s1 s2",
            "i4": "i1 i3",
            "s4": "s1 s2",
        },
    ),
    "python: either branch": (
        "python",
        "def max(a, b):\n    x = 0\n    if b > a:\n        x = b\n    else:\n        x = a\n    return x\n",
        MAXIMUM,
    ),
    "python: elif": (
        "python",
        "x = 0\nif a:\n    x = 1\nelif b:\n    x = 2\ny = x\n",
        {"x1": "0_1", "x2": "1_1", "x3": "2_1", "y1": "x4", "x4": "x1 x2 x3"},
    ),
    "python: with, a comprehension, for and its else": (
        "python",
        "def f(xs):\n    with open(xs) as g:\n        y = [g(i) for i in xs if i]\n"
        "    for i, j in y:\n        y += i\n    else:\n        y = j\n    return y\n",
        {
            "xs2": "xs1",
            "g1": "open1 xs2",
            "y1": "g2 i1 i2 xs3 i3",
            "g2": "g1",
            "i1": "i2",
            "i2": "xs3",
            "xs3": "xs1",
            "i3": "i2",
            "i4": "y2",
            "j1": "y2",
            "y2": "y1",
            "y3": "y1 y3 i5",
            "i5": "i4",
            "y4": "j2",
            "j2": "j1",
            "y5": "y4",
        },
    ),
    "python: one by one": ("python", "a, b = b, a\nc = a", {"a1": "b2", "b1": "a2", "c1": "a3", "a3": "a1"}),
    "python: not one by one": ("python", "a, *b = c, d\n", {"a1": "c1 d1", "b1": "c1 d1"}),
    "python: parameters, keywords, attributes": (
        "python",
        "def f(a, k=1, *r):\n    o.k = g(k=a)\n    return o.k, k, r\n",
        {"k1": "1_1", "o1": "g1 k3 a2", "k2": "g1 k3 a2", "a2": "a1", "o2": "o1", "k4": "k2", "k5": "k1", "r2": "r1"},
    ),
    "python: except and while": (
        "python",
        "try:\n    n = f()\nexcept E as e:\n    n = e\nwhile (m := n):\n    n = m\n",
        {"n1": "f1", "e1": "E1", "n2": "e2", "e2": "e1", "m1": "n3", "n3": "n1 n2 n4", "n4": "m2", "m2": "m1"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_data_flow_matches_cases_by_hand(case):
    language, code, expected = CASES[case]
    assert arrows(code, language) == expected


def test_figure_of_the_paper_has_eleven_variables():
    flow = data_flow(CASES["python: either branch"][1], "python")
    assert "".join(node.name for node in flow.nodes) == "abx0baxbxax"
    assert [node.relation for node in flow.nodes if node.name == "x"] == [COMPUTED_FROM] * 3 + [COMES_FROM]


def test_comments_and_docstrings_are_not_tokens():
    assert data_flow("int x; /* y */ // z\n", "c").tokens == ("int", "x", ";")
    assert data_flow('def f(a):\n    "a"\n    return a  # a\n', "python").tokens[-2:] == ("return", "a")
    assert data_flow('def f(a):\n    "a"\n    return a  # a\n', "python").tokens.count('"a"') == 0


def test_isolated_names_become_nodes_on_request():
    code = "int f(int a) { return 3; }"
    assert data_flow(code, "c").nodes == ()
    assert [node.name for node in data_flow(code, "c", isolated=True).nodes] == ["f", "a", "3"]


def test_limit_truncates_the_tokens():
    code = "int a = 1; int b = a; int c = b;"
    flow = data_flow(code, "c", limit=10)
    assert flow.tokens == data_flow(code, "c").tokens[:10]
    assert [node.name for node in flow.nodes] == ["a", "1", "b", "a"]


def test_rejects_another_language():
    with pytest.raises(UserError, match=r"'cobol' cannot be found.* c, java, python"):
        data_flow("", "cobol")
