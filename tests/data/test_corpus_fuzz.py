"""Random programs before and after rewriting: same results, same exceptions, same order of side effects."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from inspect import isgenerator
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data.corpus.rewrites import opened, rewrite

NUMBERS = ("a", "b", "n")
LISTS = ("xs", "ys")


class Programs:
    """Writes functions of ``(a, b, xs)`` that always terminate: loops are bounded, and numbers grow slowly.

    ``note(v)`` is their side effect: it records ``v``, returns it, and raises ``ValueError`` for some values.
    """

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.counters = 0
        self.generator = rng.random() < 0.2

    def function(self) -> str:
        helper = self.rng.choice(
            (
                ["def helper():", "    return note(n)"],
                ["def helper():", "    nonlocal n", "    n += 1", "    return n"],
                ["helper = lambda: (a, len(ys))"],
                ["global g", "g = 1", "def helper():", "    global g", "    g += 1", "    return g"],
                ["helper = len"],
            )
        )
        end = self.rng.choice(([f"return {self.expression(2)}"], ["return None"], ["return"], []))
        body = ["n = 0", "ys = []", *helper, *self.block(3), *end]
        return "def f(a, b, xs):\n" + "".join(f"    {line}\n" for line in body)

    def pick(self, *options: Callable[[], Any]) -> Any:
        return self.rng.choice(options)()

    def number(self, depth: int) -> str:
        """An expression that, if it has a value, is a number."""
        leaves = (lambda: self.rng.choice(NUMBERS), lambda: str(self.rng.randrange(-2, 4)))
        if depth == 0:
            return str(self.pick(*leaves))
        less = depth - 1
        return str(
            self.pick(
                *leaves,
                lambda: f"note({self.number(less)})",
                lambda: f"len({self.listing(less)})",
                lambda: f"{self.number(less)} {self.rng.choice('+-')} {self.number(less)}",
                lambda: f"({self.number(less)} if {self.test(less)} else {self.number(less)})",
                lambda: f"{self.rng.choice(LISTS)}[{self.number(0)}]",
                lambda: f"(n := {self.number(0)})",
            )
        )

    def listing(self, depth: int) -> str:
        if depth == 0:
            return self.rng.choice((*LISTS, "[]", "list()"))
        less = depth - 1
        return str(
            self.pick(
                lambda: self.rng.choice(LISTS),
                lambda: f"[{self.number(less)}, {self.number(less)}]",
                lambda: f"[{self.with_v(less)} for v in {self.listing(less)}]",
                lambda: f"[{self.with_v(less)} for v in {self.listing(less)} if v != {self.number(0)}]",
                lambda: f"list(map(note, {self.listing(less)}))",
            )
        )

    def with_v(self, depth: int) -> str:
        return self.rng.choice(("v", "v + 1", "note(v)", f"v - {self.number(depth)}", "(v, a)")).replace(":=", "+")

    def test(self, depth: int) -> str:
        less = max(depth - 1, 0)
        options = (
            lambda: f"{self.number(less)} {self.rng.choice(('<', '<=', '>', '>=', '==', '!='))} {self.number(less)}",
            lambda: f"{self.number(less)} < {self.rng.choice(NUMBERS)} <= {self.number(less)}",
            lambda: f"{self.number(0)} in ({self.number(0)}, {self.number(0)})",
            lambda: f"isinstance({self.rng.choice(NUMBERS)}, (int, str))",
            lambda: self.rng.choice((*LISTS, *NUMBERS)),
            lambda: f"{self.rng.choice(NUMBERS)} is {self.rng.choice(('None', 'not None'))}",
        )
        if depth == 0:
            return str(self.pick(*options))
        return str(
            self.pick(
                *options,
                lambda: f"not {self.test(less)}",
                lambda: f"({self.test(less)} {self.rng.choice(('and', 'or'))} {self.test(less)})",
                lambda: f"not ({self.test(less)} {self.rng.choice(('and', 'or'))} {self.test(less)})",
            )
        )

    def expression(self, depth: int) -> str:
        return str(
            self.pick(
                lambda: self.number(depth),
                lambda: self.listing(depth),
                lambda: self.test(depth),
                lambda: "(a, b, n, xs, ys)",
                lambda: f"f'{{a}}: {{b!r}} {{{{{self.rng.choice(NUMBERS)}}}}}'",
                lambda: "'{}-{}'.format(a, ys)",
                lambda: "dict(a=a, b=note(b))",
            )
        )

    def block(self, depth: int, loop: bool = False) -> list[str]:
        return [line for _ in range(self.rng.randrange(1, 4)) for line in self.statement(depth, loop)]

    def indented(self, depth: int, loop: bool) -> list[str]:
        return [f"    {line}" for line in self.block(depth - 1, loop)]

    def statement(self, depth: int, loop: bool) -> list[str]:
        simple = (
            lambda: [f"{self.rng.choice(NUMBERS)} = {self.number(2)}"],
            lambda: [f"{self.rng.choice(NUMBERS)} {self.rng.choice('+-')}= {self.number(1)}"],
            lambda: [f"n = n + {self.number(0)}"],
            lambda: [f"{self.rng.choice(LISTS)} = {self.listing(2)}"],
            lambda: [f"a, b = {self.number(0)}, {self.number(0)}"],
            lambda: [f"a = b = {self.number(1)}"],
            lambda: [f"ys.append({self.number(1)})"],
            lambda: [f"xs += [{self.number(1)}]"],
            lambda: [f"note({self.expression(1)})"],
            lambda: [f"note({self.number(1)}).bit_length()"],
            lambda: [f"{self.rng.choice(NUMBERS)} = helper()"],
            lambda: [f"note({self.number(1)})", "return"] if self.generator else ["g = 5", "b = helper()", "note(g)"],
            lambda: [f"{self.rng.choice(NUMBERS)} = yield {self.number(1)}"] if self.generator else ["note(a)"],
            lambda: [f"t = {self.number(2)}", f"note(t + {self.number(1)})"],
            self.filled_list,
        )
        leaving = (
            lambda: [f"if {self.test(2)}:", f"    return {self.expression(1)}"],
            lambda: [f"if {self.test(1)}:", f"    return {self.number(1)}", "else:", f"    return {self.number(1)}"],
            lambda: [f"if {self.test(1)}:", "    raise KeyError(n)"],
        )
        in_loop = (lambda: [f"if {self.test(1)}:", f"    {self.rng.choice(('break', 'continue'))}"],) if loop else ()
        if depth == 0:
            return list(self.pick(*simple, *in_loop))
        compound = (
            lambda: [f"if {self.test(2)}:", *self.indented(depth, loop)],
            lambda: [f"if {self.test(2)}:", *self.indented(depth, loop), "else:", *self.indented(depth, loop)],
            lambda: [
                *(f"if {self.test(1)}:", *self.indented(depth, loop)),
                *(f"elif {self.test(1)}:", *self.indented(depth, loop)),
                *("else:", *self.indented(depth, loop)),
            ],
            lambda: [f"if {self.test(1)}:", f"    if {self.test(1)}:", *("    " + s for s in self.indented(1, loop))],
            lambda: [f"for v in list({self.listing(1)}):", *self.indented(depth, True)],
            self.indexed_loop,
            lambda: [
                "for i, v in enumerate(list(ys)):",
                f"    note(i - {self.number(0)})",
                *self.indented(depth, True),
            ],
            lambda: self.counted_loop(depth),
            lambda: ["try:", *self.indented(depth, loop), "except (ValueError, IndexError):", "    note(n)"],
            lambda: ["try:", *self.indented(depth, loop), "finally:", "    note(-9)"],
            lambda: ["with suppress(ValueError):", *self.indented(depth, loop)],
            lambda: [f"for v in list({self.listing(1)}):", *self.indented(depth, True), "else:", "    note(8)"],
        )
        return list(self.pick(*simple, *compound, *compound, *leaving, *in_loop))

    def filled_list(self) -> list[str]:
        """A loop that a comprehension can replace, or nearly so."""
        test, after = self.rng.choice(("w != a", "len(ys) < 2", "note(w)")), self.rng.choice(([], [], ["note(w)"]))
        return ["ys = []", f"for w in list({self.listing(1)}):", f"    if {test}:", "        ys.append(w)", *after]

    def indexed_loop(self) -> list[str]:
        """A loop over indices that may be used after it, changed in it, or captured."""
        self.counters += 1
        i = f"i{self.counters}"
        over = self.rng.choice(
            (
                f"{i} in range(len(xs))",
                f"{i} in range(3)",
                f"{i} in range(1, len(ys))",
                f"{i}, v in enumerate(list(xs))",
            )
        )
        inside = [f"note({i})", f"{i} += 1", f"helper = lambda: {i}", f"if {i} < {self.number(0)}: continue"]
        body = [f"note({i} - n)", *self.rng.sample(inside, self.rng.choice((0, 0, 1, 2))), "n += 1"]
        after = self.rng.choice(([], [], [f"note({i})"], ["note(helper())"]))
        return [f"for {over}:", *(f"    {line}" for line in body), *after]

    def counted_loop(self, depth: int) -> list[str]:
        """A ``while`` loop that advances its counter first, so that ``continue`` cannot make it endless."""
        self.counters += 1
        k = f"k{self.counters}"
        ends = f"if {k} > 3:", "    break"
        head = self.rng.choice(([f"while {k} < 3:"], ["while True:", *(f"    {line}" for line in ends)]))
        return [f"{k} = 0", *head, f"    {k} += 1", *self.indented(depth, True)]


def observed(source: str, name: str, arguments: tuple[Any, ...]) -> tuple[Any, list[str]]:
    """What a caller observes: the result, or the exception (only its type if its text may differ), and side effects."""
    trace: list[str] = []

    def note(value: Any) -> Any:
        trace.append(repr(value))
        if value in (3, 5):
            raise ValueError(value)
        return value

    space: dict[str, Any] = {"note": note, "suppress": suppress}
    exec(source, space)
    given = [list(argument) if isinstance(argument, list) else argument for argument in arguments]
    try:
        result = space[name](*given)
        outcome = repr(list(result) if isgenerator(result) else result)
    except (NameError, TypeError) as error:
        outcome = type(error).__name__
    except Exception as error:
        outcome = repr(error)
    return (outcome, repr(given)), trace


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    a=st.integers(-3, 6),
    b=st.none() | st.integers(-2, 6),
    xs=st.lists(st.integers(-1, 6), max_size=4),
)
def test_rewritten_programs_behave_the_same(seed: int, a: int, b: int | None, xs: list[int]) -> None:
    rng = Random(seed)
    source = Programs(rng).function()
    wanted = observed(source, "f", (a, b, xs))
    for _ in range(3):
        changed = rewrite(source, rng, rng.choice((0.5, 1.0)))
        assert changed is not None
        function = opened(changed)
        assert function is not None
        got = observed(changed, function.name, (a, b, xs))
        assert got == wanted, f"\n{source}\n{changed}"
