"""Rewrites of Java: methods compile and return the same, tokens are kept, and names used elsewhere are not changed."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data.rewrites import LANGUAGES, REWRITES, attempt, rewrite
from lilliput.data.rewrites.source import Source
from tests.data.rewritten_functions import JAVA_CALLS, JAVA_FIELDS, JAVA_METHODS

JAVA = LANGUAGES["java"]
SEEDS = range(2)


def subject(name: str, methods: list[str]) -> str:
    body = JAVA_FIELDS + "\n".join(methods).replace("Subject.n", f"{name}.n")
    run = f"    static String run() {{\n        StringBuilder out = new StringBuilder();\n{JAVA_CALLS}"
    return f"class {name} {{\n{body}\n{run}        return out.toString();\n    }}\n}}\n"


def test_methods_compile_and_return_the_same(tmp_path):
    if shutil.which("javac") is None or shutil.which("java") is None:
        pytest.skip("this machine has no Java compiler")
    methods = list(JAVA_METHODS.values())
    classes = {"Original": methods}
    for name in REWRITES:
        for seed in SEEDS:
            classes[f"R{name}{seed}"] = [rewrite(text, "java", name, seed) for text in methods]
            assert classes[f"R{name}{seed}"] != methods
    shown = "".join(f'        System.out.println("{name} " + {name}.run());\n' for name in classes)
    main = f"public class Main {{\n    public static void main(String[] a) {{\n{shown}    }}\n}}\n"
    (tmp_path / "Main.java").write_text("".join(subject(*item) for item in classes.items()) + main)
    flags = ["-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-nowarn"]
    how = {"cwd": tmp_path, "capture_output": True, "text": True}
    built = subprocess.run(["javac", *flags, "Main.java"], check=False, **how)
    assert built.returncode == 0, built.stderr
    ran = subprocess.run(["java", "-XX:TieredStopAtLevel=1", "Main"], check=False, **how)
    lines = dict(line.split(" ", 1) for line in ran.stdout.splitlines())
    assert len(lines) == len(classes)
    assert {name for name, values in lines.items() if values != lines["Original"]} == set()


@given(st.sampled_from(sorted(JAVA_METHODS)), st.sampled_from(sorted(REWRITES)), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_rewrites_pass_their_own_checks(method, name, seed):
    found = attempt(JAVA_METHODS[method], "java", name, seed)
    assert not found.refused
    assert Source(found.text, JAVA).errors == 0


@given(st.sampled_from(sorted(JAVA_METHODS)), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_renaming_is_one_to_one(method, seed):
    before = Source(JAVA_METHODS[method], JAVA)
    after = Source(rewrite(before.text, "java", "rename", seed), JAVA)
    assert len(before.tokens) == len(after.tokens)
    pairs = {(old, new) for old, new in zip(before.tokens, after.tokens, strict=True) if old != new}
    assert pairs
    assert len({old for old, _ in pairs}) == len({new for _, new in pairs}) == len(pairs)
    assert not {new for _, new in pairs} & set(before.tokens)


def test_renaming_keeps_fields_and_labels():
    text = rewrite(JAVA_METHODS["fieldsAndLocals"], "java", "rename", 1)
    # ``n`` is a field before it is a local variable; ``a`` is a field of the inner class; ``total`` is a field.
    for kept in ("int n = a;", "n + total", "int a = 3;", "tick()", "o.toString" if " o = " in text else ".toString()"):
        assert kept in text
    assert "int before" not in text
    text = rewrite(JAVA_METHODS["loops"], "java", "rename", 1)
    assert "continue outer;" in text
    assert "int sum" not in text


def test_constructors_and_truncated_methods_are_handled():
    text = "    Point(int x) {\n        super(x);\n        this.x = x;\n        int k = 1;\n        int j = 2;\n    }\n"
    assert Source(text, JAVA).errors == 0
    for name in REWRITES:
        found = attempt(text, "java", name, 1)
        assert not found.refused
        assert "super(" in found.text.replace(" ", "")
        assert found.text.index("super") < found.text.index("this")
    cut = "public void f() { int a = 1; for (int i = 0; i < 3; i++) { a += i;"
    for name in REWRITES:
        assert attempt(cut, "java", name, 1).refused is False


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("int a = field;", "int b = 2;"),
        ("int a = n;", "String b = s + 1;"),
        ("int a = 1;", "int b = boxed;"),
        ("s += 1;", "int b = 2;"),
        ("boxed++;", "int b = 2;"),
        ("int a = n % 2;", "int b = 2;"),
    ],
)
def test_statements_that_may_depend_on_each_other_are_not_swapped(first, second):
    text = f"void f(int n, String s, Integer boxed) {{\n    {first}\n    {second}\n}}\n"
    assert rewrite(text, "java", "order") == text


def test_independent_statements_are_swapped():
    text = "void f(int n, String s) {{\n    {}\n    {}\n}}\n"
    pair = ("String b = null;", "int a = n * 2;")
    assert rewrite(text.format(*pair), "java", "order") == text.format(*reversed(pair))


def test_comment_with_a_unicode_escape_is_kept():
    text = "void f() {\n    // ends \\u000a int a = 1;\n    g(); // gone\n}\n"
    changed = rewrite(text, "java", "remove_comments")
    assert "\\u000a" in changed
    assert "gone" not in changed
