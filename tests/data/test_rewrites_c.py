"""Rewrites of C: programs print the same before and after, and what must not be changed is not."""

import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data.rewrites import LANGUAGES, REWRITES, attempt, rewrite
from lilliput.data.rewrites.datasets import mixed
from lilliput.data.rewrites.source import Source
from lilliput.data.rewrites.variables import variables
from tests.data.rewritten_functions import C_FUNCTIONS, C_MAIN, C_PRELUDE

COMPILER = shutil.which("gcc") or shutil.which("cc")
SEEDS = range(3)


def output(functions, folder, name) -> str:
    source = folder / f"{name}.c"
    source.write_text(C_PRELUDE + "\n".join(functions) + C_MAIN)
    built = subprocess.run(
        [COMPILER, "-std=gnu11", "-w", "-fwrapv", source, "-o", folder / name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return subprocess.run([folder / name], capture_output=True, text=True, check=True, timeout=20).stdout


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> str:
    if COMPILER is None:
        pytest.skip("this machine has no C compiler")
    return output(C_FUNCTIONS.values(), tmp_path_factory.mktemp("original"), "program")


@pytest.mark.parametrize("name", [*REWRITES, "mixed"])
def test_program_prints_the_same(name, original, tmp_path):
    for seed in SEEDS:
        texts = [mixed(t, "c", seed) if name == "mixed" else rewrite(t, "c", name, seed) for t in C_FUNCTIONS.values()]
        assert texts != list(C_FUNCTIONS.values())
        assert output(texts, tmp_path, f"{name}{seed}") == original, "\n".join(texts)


@given(st.sampled_from(sorted(C_FUNCTIONS)), st.sampled_from(sorted(REWRITES)), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_rewrites_pass_their_own_checks(function, name, seed):
    found = attempt(C_FUNCTIONS[function], "c", name, seed)
    assert not found.refused
    assert Source(found.text, LANGUAGES["c"]).errors <= Source(C_FUNCTIONS[function], LANGUAGES["c"]).errors


def names_of(text: str) -> set[str]:
    return {name for name, variable in variables(Source(text, LANGUAGES["c"])).items() if variable.renameable}


def test_which_names_are_variables():
    # ``next`` and ``node`` go through a macro; ``count`` is global before the block that declares its own.
    assert names_of(C_FUNCTIONS["fields"]) == {"data", "member", "other"}
    assert names_of(C_FUNCTIONS["continues"]) == {"n", "total", "i"}
    assert "again" not in names_of(C_FUNCTIONS["jumps"])  # also a label
    assert "n" not in names_of(C_FUNCTIONS["directives"])  # in a macro's text
    assert names_of("int f(int (*call)(int), int x) { return call(x); }") == {"x"}
    assert names_of("int f(int x) { extern int y; int g(int); typedef int t; t z = y; return x + z + g(1); }") == {
        *("x", "z")
    }
    assert names_of('int f(int x) { int y; asm("nop" : "=r"(y)); return x; }') == {"x"}
    assert names_of("int f(int x) { return x + y; }") == {"x"}
    assert names_of("int f(int x { return x + ; }") == set()


def test_fields_calls_macros_and_labels_keep_their_names():
    text = rewrite(C_FUNCTIONS["fields"], "c", "rename", 4)
    for kept in ("node->count + count", "FIELD(node, next)", ".next = next", "TWICE(next)", "struct node *node"):
        assert kept in text
    assert "int data" not in text


def loop(body: str, head: str = "i = 0; i < n; i++") -> str:
    return f"int f(int n)\n{{\n    int i, s = 0;\n    for ({head}) {{\n        {body}\n    }}\n    return s;\n}}\n"


@pytest.mark.parametrize(
    "body",
    [
        "if (s) continue; s++;",
        "switch (s) { case 1: continue; } s++;",
        "NEXT_IF(s); s++;",
        "DONE; s++;",
        "int i = 3; s += i;",
        "EACH(j, 3) { if (j) continue; }",
    ],
)
def test_for_that_cannot_become_a_while_is_unchanged(body):
    assert rewrite(loop(body), "c", "loops") == loop(body)


def test_for_becomes_while_and_back():
    text = rewrite(loop("while (s < i) { s++; continue; }"), "c", "loops", 1)
    assert re.search(r"i = 0;\n    while \(i < n\) {\n.*\n        i\+\+;\n    }", text)
    assert rewrite("int f(int n) { while (n) n--; return n; }", "c", "loops") == (
        "int f(int n) { for (; n; ) n--; return n; }"
    )
    assert rewrite("int f(int n) { for (int i = n; ; ) g(i); }", "c", "loops") == (
        "int f(int n) { { int i = n; while (1) g(i); } }"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("int a = 1;", "int b = a;"),
        ("int a = g();", "int b = 2;"),
        ("int a = *p;", "int b = 2;"),
        ("int a = n / 2;", "int b = 2;"),
        ("int a = COUNT;", "int b = 2;"),
        ("n = 1;", "global = 2;"),
        ("n = 1;", "p = n;"),
        ("n++;", "n--;"),
        ("volatile int a = 1;", "int b = 2;"),
        ("static int a = 1;", "int b = 2;"),
        ("int a = 1;", "/* why */ int b = 2;"),
        ("p->x = 1;", "n = 2;"),
        ("int a[n];", "int b = 2;"),
        ("struct t { int x; } a;", "int b = 2;"),
        ("MACRO(n) a = 1;", "int b = 2;"),
    ],
)
def test_statements_that_may_depend_on_each_other_are_not_swapped(first, second):
    text = f"void f(int n, struct s *p)\n{{\n    {first}\n    {second}\n}}\n"
    assert rewrite(text, "c", "order") == text


@pytest.mark.parametrize(
    ("first", "second"),
    [("int a = 1;", "int b = n;"), ("char a[8], *c;", "T *b = 0;"), ("n = -1;", "m += 2;"), ("n++;", "int b = m & 3;")],
)
def test_independent_statements_are_swapped(first, second):
    text = "void f(int n, int m)\n{{\n    {}\n    {}\n}}\n"
    assert rewrite(text.format(first, second), "c", "order") == text.format(second, first)


def test_statements_after_an_unknown_macro_are_not_swapped():
    text = "void f(int n)\n{\n    FOREACH(x)\n    n = 1;\n    int b = 2;\n}\n"
    assert rewrite(text, "c", "order") == text


def test_nothing_is_inserted_between_a_macro_and_its_block():
    text = "void f(int n)\n{\n    FOREACH(x, n)\n    {\n        g(x);\n    }\n}\n"
    for name in ("dead_code", "add_comments"):
        for seed in range(20):
            changed = rewrite(text, "c", name, seed)
            assert re.search(r"FOREACH\(x, n\)\n    {", changed)


def test_only_the_broken_part_is_left_alone():
    text = "int f(int n)\n{\n    int a = 1;\n    int b = 2;\n    for (i = 0 i < 3; @) { }\n    return n;\n}\n"
    for name in REWRITES:
        found = attempt(text, "c", name, 3)
        assert "for (i = 0 i < 3; @) { }" in found.text
        assert not found.refused
    assert rewrite(text, "c", "dead_code", 1) != text


def test_removing_comments_keeps_directives_and_strings():
    text = rewrite(C_FUNCTIONS["directives"], "c", "remove_comments")
    assert "#endif \n" in text or "#endif\n" in text
    assert "// one" not in text
    text = rewrite(C_FUNCTIONS["texts"], "c", "remove_comments")
    assert '"/* not a comment */ // neither"' in text
    assert "two lines */ n += 1;" in text  # code follows on its last line: removing it would remove a line break
    assert "4  + 2" in text or "4 + 2" in text
    assert "the end" not in text


def test_changed_spacing_never_joins_tokens():
    text = "int f(int a, int *b)\n{\n    return a - -a + 0xe + a / *b & a < 3;\n}\n"
    for seed in range(30):
        found = attempt(text, "c", "format", seed)
        assert not found.refused
        assert "- -" in found.text
        assert "/*" not in found.text
        assert "0xe+" not in found.text
