"""Each rewrite: its effect on an example, what it leaves alone, and that rewrites depend on the seed alone."""

from __future__ import annotations

import ast
import textwrap
from random import Random

import pytest

from lilliput.data.corpus.lexing import scan
from lilliput.data.corpus.naming import VERBS
from lilliput.data.corpus.rewrites import NAMES, REWRITES, STRUCTURE, opened, rewrite
from lilliput.data.corpus.trees import WORDS

TABLE = {change.name: change for change in REWRITES}


def applied(name: str, body: str) -> str | None:
    """``body`` after one rewrite wherever it applies, or ``None`` if nowhere; new names become t1, t2, ..."""
    source = "def f(a, b, c):\n" + textwrap.indent(body, "    ")
    function = opened(source)
    assert function is not None
    if not TABLE[name].apply(function, Random(0), 1.0):
        assert ast.unparse(function) == ast.unparse(ast.parse(source)), "it reported no change but made one"
        return None
    text = ast.unparse(ast.fix_missing_locations(function))
    compile(text, "rewritten", "exec")
    known = {token for _, token, _ in scan(source)}
    new: dict[str, str] = {}
    pieces, end = [], 0
    for _, token, start in scan(text):
        made_up = token not in known and set(token.split("_")) <= set(WORDS)
        pieces += [text[end:start], new.setdefault(token, f"t{len(new) + 1}") if made_up else token]
        end = start + len(token)
    return textwrap.dedent("".join(pieces).split("\n", 1)[1])


EXAMPLES = [
    ("invert_if", "if a:\n    b\nelse:\n    c", "if not a:\n    c\nelse:\n    b"),
    (
        "invert_if",
        "if a is None:\n    b\nelif c == 1:\n    c",
        "if a is not None:\n    if c == 1:\n        c\nelse:\n    b",
    ),
    ("invert_conditional", "return a if b in c else c", "return c if b not in c else a"),
    ("nest_after_guard", "if a:\n    return b\nc()\nreturn c", "if a:\n    return b\nelse:\n    c()\n    return c"),
    ("unnest_after_guard", "if a:\n    return b\nelse:\n    c()", "if a:\n    return b\nc()"),
    ("split_and", "if a and b and c:\n    return 1", "if a:\n    if b and c:\n        return 1"),
    ("merge_nested_if", "if a:\n    if b:\n        return 1", "if a and b:\n    return 1"),
    ("conditional_to_if", "x = a if b else c", "if b:\n    x = a\nelse:\n    x = c"),
    ("if_to_conditional", "if b:\n    return a\nelse:\n    return c", "return a if b else c"),
    ("join_guard_return", "if b:\n    return a\nreturn c", "return a if b else c"),
    ("name_condition", "if a(b):\n    c()", "t1 = a(b)\nif t1:\n    c()"),
    ("de_morgan", "return not (a and b)", "return not a or not b"),
    ("de_morgan", "return not a and not b", "return not (a or b)"),
    ("flip_comparison", "return a.x <= 1", "return 1 >= a.x"),
    ("split_chain", "return a() < b <= c()", "return a() < b and b <= c()"),
    ("split_isinstance", "return isinstance(a, (int, str))", "return isinstance(a, int) or isinstance(a, str)"),
    ("membership_display", "return a in (b, c)", "return a in [b, c]"),
    (
        "for_to_iterator",
        "for x in a():\n    b(x)",
        "t1 = iter(a())\nwhile True:\n    try:\n        x = next(t1)\n    except StopIteration:\n        break\n"
        "    b(x)",
    ),
    (
        "for_to_iterator",
        "for x, y in a:\n    b(x)",
        "t1 = iter(a)\nwhile True:\n    try:\n        t2 = next(t1)\n    except StopIteration:\n        break\n"
        "    x, y = t2\n    b(x)",
    ),
    (
        "range_to_while",
        "for i in range(2, len(a)):\n    b(i)",
        "i = 2\nt1 = len(a)\nwhile i < t1:\n    b(i)\n    i += 1",
    ),
    ("enumerate_to_counter", "for i, x in enumerate(a):\n    b(i)", "i = -1\nfor x in a:\n    i += 1\n    b(i)"),
    ("enumerate_to_counter", "for i, x in enumerate(a, 5):\n    b(i)", "i = 5 - 1\nfor x in a:\n    i += 1\n    b(i)"),
    ("test_inside", "while a in b:\n    c()", "while True:\n    if a not in b:\n        break\n    c()"),
    ("test_on_top", "while 1:\n    if a:\n        break\n    c()", "while not a:\n    c()"),
    ("while_to_for", "while a:\n    c()", "for t1 in iter(int, 1):\n    if not a:\n        break\n    c()"),
    (
        "comprehension_to_loop",
        "return [v + a for v in b if v]",
        "t1 = []\nfor t2 in b:\n    if t2:\n        t1.append(t2 + a)\nreturn t1",
    ),
    ("loop_to_comprehension", "x = []\nfor v in a:\n    if b(v):\n        x.append(v)", "x = [v for v in a if b(v)]"),
    ("inline_temporary", "x = a()\nreturn x.y(b())", "return a().y(b())"),
    ("swap_assignments", "x = a()\ny = b", "y = b\nx = a()"),
    ("split_tuple_assignment", "x, y = a, b", "x = a\ny = b"),
    ("join_assignments", "x = a\ny = 1", "x, y = (a, 1)"),
    ("split_chained_assignment", "x = y = a()", "x = a()\ny = x"),
    ("expand_augmented", "n = 0\nfor x in a:\n    n += len(x)", "n = 0\nfor x in a:\n    n = n + len(x)"),
    ("contract_augmented", "n = 0\nfor x in a:\n    n = n + 1", "n = 0\nfor x in a:\n    n += 1"),
    ("spell_return", "if a:\n    return\nb()", "if a:\n    return None\nb()\nreturn None"),
    ("call_for_display", "return [] or {} or ()", "return list() or dict() or tuple()"),
    ("display_for_call", "return list() or dict(x=a) or tuple()", "return [] or {'x': a} or ()"),
    ("format_for_fstring", "return f'{a!r} {{{b}'", "return '{!r} {{{}'.format(a, b)"),
    ("fstring_for_format", "return '{}: {}.'.format(a, b)", "return f'{a}: {b}.'"),
    ("commute_integers", "return len(a) + 1", "return 1 + len(a)"),
]


@pytest.mark.parametrize(("name", "before", "after"), EXAMPLES)
def test_rewrites_the_example(name: str, before: str, after: str) -> None:
    assert applied(name, before) == after


def test_temporary_takes_what_is_evaluated_first() -> None:
    assert applied("introduce_temporary", "return (a + b) * c") in (
        "t1 = a + b\nreturn t1 * c",
        "t1 = (a + b) * c\nreturn t1",
    )
    assert applied("introduce_temporary", "x = a(b()).c") == "t1 = a(b())\nx = t1.c"
    assert applied("introduce_temporary", "x = len(b())") == "t1 = b()\nx = len(t1)"


def test_every_structural_rewrite_has_an_example() -> None:
    assert {change.name for change in STRUCTURE} == {name for name, _, _ in EXAMPLES} | {"introduce_temporary"}


LEFT_ALONE = [
    ("invert_if", "if a:\n    b()", "there is no else"),
    ("split_and", "if a and b:\n    c()\nelse:\n    b()", "the else would be lost"),
    ("merge_nested_if", "if a:\n    if b:\n        c()\n    else:\n        a()", "likewise"),
    ("if_to_conditional", "if a:\n    x = b\nelse:\n    y = c", "two variables"),
    ("flip_comparison", "return a() < b", "a call may have side effects"),
    ("flip_comparison", "return a.x < b.x", "both may fail, and the first error counts"),
    ("split_chain", "return a < b() < c", "b() would run twice"),
    ("split_isinstance", "return isinstance(a(), (int, str))", "a() would run twice"),
    ("split_isinstance", "isinstance = b\nreturn isinstance(a, (int, str))", "not the built-in"),
    ("for_to_iterator", "for x in a:\n    b()\nelse:\n    c()", "the else"),
    ("for_to_iterator", "next = b\nfor x in a:\n    c(next)", "next is not the built-in"),
    ("range_to_while", "for i in range(a):\n    b(i)", "a may not be an int"),
    ("range_to_while", "for i in range(9):\n    b(i)\nreturn i", "i is used after the loop"),
    ("range_to_while", "for i in range(9):\n    if a:\n        continue\n    b(i)", "continue would skip the step"),
    ("range_to_while", "for i in range(9):\n    i = i + a\n    b(i)", "i changes"),
    ("range_to_while", "for i in range(9):\n    b(lambda: i)", "i is captured"),
    ("range_to_while", "global i\nfor i in range(9):\n    b()", "b may read i"),
    ("enumerate_to_counter", "for i, x in enumerate(a):\n    b(i)\nreturn i", "i is used after the loop"),
    ("enumerate_to_counter", "for i, x in enumerate(a, b):\n    c(i)", "b may not be an int"),
    ("enumerate_to_counter", "for i, x in enumerate(a):\n    b([i for _ in x])", "i is captured"),
    ("enumerate_to_counter", "for i, a[i] in enumerate(b):\n    c(i)", "the target reads i"),
    ("enumerate_to_counter", "for i, x in enumerate(c(a), len(a)):\n    b(i)", "the start would be found first"),
    ("test_inside", "while a:\n    b()\nelse:\n    c()", "the else"),
    ("test_on_top", "while a:\n    if b:\n        break\n    c()", "not an endless loop"),
    ("while_to_for", "while a:\n    b()\nelse:\n    c()", "the else"),
    ("comprehension_to_loop", "x = [lambda: v for v in a]", "v is captured"),
    ("comprehension_to_loop", "x = [v for w in a for v in w]", "two loops"),
    ("loop_to_comprehension", "x = []\nfor v in a:\n    x.append(len(x))", "x is read while it grows"),
    ("loop_to_comprehension", "x = []\nfor v in a:\n    x.append(v)\nreturn v", "v is used after the loop"),
    (
        "loop_to_comprehension",
        "try:\n    x = []\n    for v in a:\n        x.append(b(v))\nfinally:\n    c(x)",
        "guarded",
    ),
    ("loop_to_comprehension", "def g():\n    return x\nx = []\nfor v in a:\n    x.append(b(v))", "g may see x grow"),
    ("loop_to_comprehension", "x = []\nfor v in a:\n    x.append((yield v))", "no yield in a comprehension"),
    ("inline_temporary", "x = a()\nreturn b() + x", "b() would come first"),
    ("inline_temporary", "x = a()\nreturn x + x", "a() would run twice"),
    ("inline_temporary", "x = a()\nreturn c and x", "a() might not run"),
    ("inline_temporary", "x = a()\nwhile x:\n    b()", "a() would run each time"),
    ("swap_assignments", "x = a()\ny = x", "the second needs the first"),
    ("swap_assignments", "x = a\na = b", "the first needs the second's old value"),
    ("swap_assignments", "x = a()\ny = b()", "two calls"),
    ("swap_assignments", "b = 0\nx = (b := a)\ny = b\nreturn x + y", "the first value assigns what the second reads"),
    ("swap_assignments", "try:\n    x = a()\n    y = 1\nfinally:\n    c(y)", "guarded"),
    ("swap_assignments", "x = a()\ny = SETTING", "a() may change the global"),
    ("swap_assignments", "global y\nx = a()\ny = 1", "a() may read the global"),
    ("split_tuple_assignment", "a, b = b, a", "an exchange"),
    ("split_tuple_assignment", "x, y = a(), b()", "x would be bound before b() runs"),
    ("join_assignments", "x = a\ny = x", "the second needs the first"),
    ("expand_augmented", "a += [b]", "a list would no longer change in place"),
    ("expand_augmented", "n = 0\nn += b", "b may be anything"),
    ("expand_augmented", "n = 0\nn = a\nn += 1", "n may be anything"),
    ("expand_augmented", "n = 0\nfor n in a:\n    n += 1", "n may be anything"),
    ("contract_augmented", "x = a\nx = x + b", "it may be a list"),
    ("call_for_display", "list = dict = tuple = a\nreturn [] or {} or ()", "not the built-ins"),
    ("call_for_display", "def g(x=[], *, y=()):\n    return x", "defaults run in a scope of their own"),
    ("call_for_display", "x: tuple[()] = a", "an annotation"),
    ("display_for_call", "return dict(**a)", "{**a} takes keys that dict(**a) refuses"),
    ("format_for_fstring", "return f'{a:>{b}} {c()}'", "a format specification"),
    ("fstring_for_format", "return '{0} {x}'.format(a, x=b)", "numbered and named fields"),
    ("commute_integers", "return a + 1", "a may be anything"),
]


@pytest.mark.parametrize(("name", "body", "why"), LEFT_ALONE)
def test_leaves_unsafe_code_alone(name: str, body: str, why: str) -> None:
    assert applied(name, body) is None, why


def test_asynchronous_generators_keep_their_bare_returns() -> None:
    function = opened("async def f(a):\n    if a:\n        return\n    yield a\n")
    assert function is not None
    TABLE["spell_return"].apply(function, Random(0), 1.0)
    compile(ast.unparse(ast.fix_missing_locations(function)), "rewritten", "exec")


SAMPLE = '''
def tally(sequence, bar=10):
    """Add up.

    At length.
    """
    accumulated = 0
    for index, value in enumerate(sequence):
        if value > bar:
            continue
        accumulated += index
    return accumulated
'''


def test_rewrites_depend_on_the_random_state() -> None:
    made = [rewrite(SAMPLE, Random(seed)) for seed in (1, 1, *range(2, 20))]
    assert made[0] == made[1]
    assert len(set(made)) > 15


def test_full_strength_renames_most_names() -> None:
    texts = [rewrite(SAMPLE, Random(seed)) or "" for seed in range(40)]
    for name in ("tally", "sequence", "bar", "accumulated"):
        assert 20 < sum(name not in text for text in texts) <= 40
    made_up = [function.name.split("_") for text in texts if (function := opened(text)) and function.name != "tally"]
    assert all(verb in VERBS and set(words) <= set(WORDS) for verb, *words in made_up)


def test_at_most_one_line_of_a_docstring_remains() -> None:
    texts = [rewrite(SAMPLE, Random(seed), 0.5) or "" for seed in range(30)]
    assert not any("At length" in text for text in texts)
    assert 0 < sum("Add up" in text for text in texts) < 30


def test_weak_rewrites_change_less() -> None:
    def kept(strength: float) -> int:
        return sum("accumulated" in (rewrite(SAMPLE, Random(seed), strength) or "") for seed in range(60))

    assert kept(0.1) > kept(0.5) > kept(1.0)


@pytest.mark.parametrize(
    "body",
    [
        "return locals()",
        "return eval(a)",
        "x = vars\nreturn x()",
        "return sys._getframe().f_locals",
        "from inspect import currentframe\nreturn inspect.currentframe()",
    ],
)
def test_functions_that_inspect_themselves_are_not_rewritten(body: str) -> None:
    assert rewrite("def f(a):\n" + textwrap.indent(body, "    "), Random(0)) is None


def test_variable_named_like_a_builtin_does_not_prevent_rewriting() -> None:
    assert rewrite("def f(dir):\n    x = dir\n    return x.y(1)", Random(0)) is not None


@pytest.mark.parametrize("source", ["x = 1", "", "def f():\n    pass\ndef g():\n    pass", "class A:\n    pass"])
def test_anything_but_a_single_function_is_not_rewritten(source: str) -> None:
    assert rewrite(source, Random(0)) is None


def test_nothing_to_change_gives_none() -> None:
    assert rewrite("def __len__(self):\n    raise", Random(0)) is None


def test_even_a_weak_rewrite_changes_more_than_the_layout() -> None:
    function = ast.dump(ast.parse("def f(a):\n    return a.x"))
    for seed in range(40):
        text = rewrite("def f(a):\n    return a.x", Random(seed), 0.01)
        assert text is not None
        assert ast.dump(ast.parse(text)) != function


def test_invalid_python_raises() -> None:
    with pytest.raises(SyntaxError):
        rewrite("def f(:", Random(0))


def test_renaming_comes_last_and_names_of_rewrites_are_unique() -> None:
    assert REWRITES[-len(NAMES) :] == NAMES
    assert len(TABLE) == len(REWRITES)
    assert all(0 < change.chance <= 1 for change in REWRITES)
