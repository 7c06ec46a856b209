"""Functions found in files: their names, lines and texts, also in real code if available."""

import gzip
import itertools
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data.functions import Function, functions_in
from tests.conftest import shared_folder

C = r"""#include <stdio.h>
#define SQUARE(x) \
    do { (x) * (x); } while (0)
/* int commented(void) { } */
struct point { int x, y; };
static const char *const words[] = { "a {", "b }" };
typedef struct QEMU_PACKED { int a; } packed;
int declared(int a);

static __attribute__((noinline)) int first(int a)
{
    if (a) { return '{'; } // }
    return 0;
}
extern "C" {
const struct point *second(struct point p[], int (*call)(int)) { return &p[call(1)]; }
}
#ifdef A
int third(int a) {
#else
int third(void) {
#endif
    return 3;
}
int fourth(int a)
{
#if B
    if (a) {
#else
    while (a) {
#endif
        a--;
    }
    return a;
}
struct ALIGNED(8) other { int b; };
"""

JAVA = """package a.b;

@Deprecated
public class Outer<T extends Object> extends Base implements One, Two {
    private static final int[] TABLE = { 1, 2 };
    private final Runnable run = new Runnable() { public void run() { hidden(); } };
    private final Callable<Integer> call = wrap(() -> { return 1; });
    static { System.load("x"); }

    public Outer(int a) { this.a = a; }

    @SuppressWarnings({"unchecked", "x"})
    public <U> List<U> method(Map<String, U> m) throws IOException, Other {
        for (String s : m.keySet()) { if (s.equals("}")) { continue; } }
        return null;
    }

    abstract int declared(int a);

    interface Inner {
        default void inner() { }
    }

    enum Kind { A, B; int code() { return 1; } }
}
"""

PYTHON = '''import os

@decorated
def first(a):
    """Text
that is not indented."""
    def inside():
        pass
    return a

class Outer:
    x = 1

    class Inner:
        async def second(self):
            return 2

    def third(self):
        return 3

try:
    import x
except ImportError:
    x = None
'''


def found(text: str, name: str) -> list[tuple[str, int]]:
    return [(item.name, item.line) for item in functions_in(text, Path(name))]


def test_c_functions_are_found() -> None:
    assert found(C, "a.c") == [("first", 10), ("second", 16), ("third", 19), ("fourth", 25)]
    first, second, *_ = functions_in(C, Path("a.h"))
    assert first.text.startswith("static __attribute__((noinline)) int first(int a)\n{")
    assert first.text.endswith("return 0;\n}")
    assert second.text == "const struct point *second(struct point p[], int (*call)(int)) { return &p[call(1)]; }"


def test_java_functions_are_found() -> None:
    assert found(JAVA, "A.java") == [("Outer", 10), ("method", 12), ("inner", 21), ("code", 24)]
    method = functions_in(JAVA, Path("A.java"))[1]
    assert method.text.startswith("@SuppressWarnings") and method.text.endswith("return null;\n    }")


def test_python_functions_are_found() -> None:
    first, second, third = functions_in(PYTHON, Path("a.py"))
    assert (first.name, first.line) == ("first", 4)
    assert first.text.startswith("def first(a):") and first.text.endswith("return a")
    assert second == Function("Outer.Inner.second", 15, "async def second(self):\n    return 2")
    assert third == Function("Outer.third", 18, "def third(self):\n    return 3")


def test_python_functions_in_any_block_of_a_module_are_found() -> None:
    blocks = "try:\n    import a\nexcept ImportError:\n    def one(): pass\nfinally:\n    def two(): pass\n"
    blocks += "with a:\n    def three(): pass\nfor b in a:\n    def four(): pass\nwhile a:\n    def five(): pass\n"
    blocks += "match a:\n    case 1:\n        def six(): pass\n"
    assert [name for name, _ in found(blocks, "a.py")] == ["one", "two", "three", "four", "five", "six"]


@pytest.mark.parametrize("text", ["def f(:", "x = 1\n", "", "print 'two'\n", "(" * 5000])
def test_python_without_functions_gives_none(text: str) -> None:
    assert functions_in(text, Path("a.py")) == []


@pytest.mark.parametrize("ends", [("\r",), ("\r\n",), ("\n",), ("\r", "\n", "\r\n"), ("\r\n", "\r")])
def test_python_line_ends_follow_its_parser(ends: tuple[str, ...]) -> None:
    lines = ["x = 1", "\f", "def f():", "    return 1", "pass", "class A:", "    def g(self):", "        return '\f'"]
    text = "".join(map("".join, zip(lines, itertools.cycle(ends), strict=False)))
    one, other = functions_in(text, Path("a.py"))
    assert one == Function("f", 3, "def f():\n    return 1")
    assert other == Function("A.g", 7, "def g(self):\n    return '\f'")


def test_single_indented_method_is_found() -> None:
    assert found("    def f(self):\n        return 1\n", "a.py") == [("f", 1)]
    assert found("    public int size() {\n        return n;\n    }\n", "A.java") == [("size", 1)]


def test_body_without_an_end_extends_to_the_end_of_the_file() -> None:
    text = "int f(int a)\n{\n    if (a) {\n    return 1;\n"
    assert functions_in(text, Path("a.c")) == [Function("f", 1, text)]


def test_other_languages_are_not_parsed() -> None:
    assert functions_in("function f() { return 1 }", Path("a.js")) == []
    assert functions_in("int f(void) { return 1; }", Path("-")) == []


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([*"{}()[];=\"'/*#\\\n@,:. ", "if", "f", "class ", "def ", "#if x\n", "#else\n"])),
    st.sampled_from(["a.c", "A.java", "a.py"]),
)
def test_any_text_is_accepted_and_functions_are_at_their_lines(pieces: list[str], name: str) -> None:
    text = "".join(pieces)
    lines = [item.line for item in functions_in(text, Path(name))]
    assert lines == sorted(lines)
    for item in functions_in(text, Path(name)):
        rest = "\n".join(text.split("\n")[item.line - 1 :])
        assert name == "a.py" or item.text in rest
        assert item.name.split(".")[-1] in rest


@pytest.mark.parametrize("piece", ["#/*", "{(", '"""\n', "/*", "#if x\n", "f(){", "'\\", "class A {"])
def test_hostile_text_takes_linear_time(piece: str) -> None:
    began = time.process_time()
    for name in ("A.java", "a.c"):
        functions_in(piece * (100_000 // len(piece)), Path(name))
    assert time.process_time() - began < 8  # each takes less than a second; quadratic time would take minutes


@pytest.mark.parametrize(
    ("data", "name", "least"),
    [("devign/valid.jsonl.gz", "a.c", 0.99), ("bigclonebench/data.jsonl.gz", "A.java", 0.99)],
)
def test_real_functions_are_found_individually(data: str, name: str, least: float) -> None:
    path = shared_folder() / "data" / data
    if not path.exists():
        pytest.skip(f"needs {data}")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        functions = [json.loads(line)["func"].strip() for line in itertools.islice(stream, 500)]
    exact = [[item.text for item in functions_in(text, Path(name))] == [text] for text in functions]
    assert sum(exact) / len(exact) >= least
    closed = [len(functions_in(f"{text}\nint g() {{ }}", Path(name))) == 2 for text in functions]  # some are cut short
    whole = [text for text, fine, ends in zip(functions, exact, closed, strict=True) if fine and ends][:200]
    parts = functions_in("#include <a.h>\n" * name.endswith(".c") + "\n\n".join(whole), Path(name))
    assert sum(part.text in whole for part in parts) >= least * len(whole)
