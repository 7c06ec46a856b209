"""A function as a flat list of steps, and the definitions that reach each use when the steps are followed.

Branches and loops are steps too, over a stack of states, so that nothing here recurses, however deeply the code nests.
A state maps each name to the tokens that may have assigned its value: reaching definitions, iterated to their fixed
point (Kildall, "A unified approach to global program optimization", 1973).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

State = dict[str, tuple[int, ...]]
"""Name -> tokens, ascending."""

ENTRY, FALL, FIRST = "entry", "fall", "first"
"""Where an alternative begins: at the branch; at the branch or the end of the previous alternative; at the branch or
the end of the first alternative."""


class Read(NamedTuple):
    """``token`` uses ``name``; the first use of a name that nothing has defined counts as its definition."""

    token: int
    name: str


class Target(NamedTuple):
    """A name that is assigned at ``token``; ``partial``: only a part of what it names, an element or a field."""

    token: int
    name: str
    partial: bool


class Write(NamedTuple):
    """``targets`` get their values from the tokens ``sources``; ``keeps``: and their old values, as in ``x += 1``."""

    targets: Sequence[Target]
    sources: Sequence[int]
    computed: bool
    keeps: bool = False


class Split(NamedTuple):
    """A branch: the first alternative begins."""


class Alternative(NamedTuple):
    """The next alternative begins, at :data:`ENTRY`, :data:`FALL` or :data:`FIRST`."""

    start: str


class Join(NamedTuple):
    """The branch ends; ``skips``: possibly no alternative is taken."""

    skips: bool


class Head(NamedTuple):
    """A loop begins."""

    loop: int


class Mark(NamedTuple):
    """The loop exits here."""

    loop: int


class Back(NamedTuple):
    """The loop goes back to its head; without a :class:`Mark`, it exits here."""

    loop: int


Step = Read | Write | Split | Alternative | Join | Head | Mark | Back

PASSES = 16
"""Most steps that are executed, as a multiple of the list's length: nested loops need a few passes, real code no more.
"""


@dataclass
class Edges:
    """The edges found by following the steps.

    Attributes:
        sources: token -> the tokens its value comes from.
        computed: tokens whose value is computed from their sources.
    """

    sources: dict[int, set[int]] = field(default_factory=dict)
    computed: set[int] = field(default_factory=set)


def follow(steps: Sequence[Step]) -> Edges:
    """The edges between tokens that ``steps`` make."""
    run = _Run()
    left = PASSES * len(steps)
    while run.place < len(steps):
        step = steps[run.place]
        run.place += 1
        left -= 1
        run.repeats = left > 0
        _ACTIONS[type(step)](run, step)
    return run.edges


@dataclass
class _Branch:
    entry: State
    ends: list[State] = field(default_factory=list)


class _Run:
    """The state of following the steps."""

    def __init__(self) -> None:
        self.edges = Edges()
        self.place = 0  # the next step
        self.repeats = True  # whether loops may still go back
        self.state: State = {}
        self.branches: list[_Branch] = []
        self.heads: dict[int, tuple[int, State]] = {}  # loop -> its first step, and all that ever reached it
        self.exits: dict[int, State] = {}

    def read(self, step: Read) -> None:
        found = self.state.setdefault(step.name, (step.token,))
        self.edges.sources.setdefault(step.token, set()).update(token for token in found if token != step.token)

    def write(self, step: Write) -> None:
        for token, name, partial in step.targets:
            before = self.state.get(name, ()) if partial or step.keeps else ()
            self.edges.sources.setdefault(token, set()).update(step.sources, before)
            if step.computed:
                self.edges.computed.add(token)
            self.state[name] = (token,)

    def split(self, step: Split) -> None:
        self.branches.append(_Branch(dict(self.state)))

    def alternative(self, step: Alternative) -> None:
        branch = self.branches[-1]
        before = self.state
        if step.start != FALL:
            branch.ends.append(before)
        self.state = dict(branch.entry)
        if step.start != ENTRY:
            _merge(self.state, before if step.start == FALL else branch.ends[0])

    def join(self, step: Join) -> None:
        branch = self.branches.pop()
        for end in (*branch.ends, *([branch.entry] if step.skips else [])):
            _merge(self.state, end)

    def head(self, step: Head) -> None:
        _, head = self.heads.setdefault(step.loop, (self.place, {}))
        _merge(head, self.state)
        self.state = dict(head)

    def mark(self, step: Mark) -> None:
        self.exits[step.loop] = dict(self.state)

    def back(self, step: Back) -> None:
        first, head = self.heads[step.loop]
        if _merge(head, self.state) and self.repeats:
            self.state, self.place = dict(head), first
        else:
            self.state = self.exits.pop(step.loop, self.state)


_ACTIONS: Mapping[type, Callable[[_Run, Any], None]] = {
    Read: _Run.read,
    Write: _Run.write,
    Split: _Run.split,
    Alternative: _Run.alternative,
    Join: _Run.join,
    Head: _Run.head,
    Mark: _Run.mark,
    Back: _Run.back,
}


def _merge(into: State, other: State) -> bool:
    """Add ``other``'s definitions to ``into``; return whether any were new."""
    grown = False
    for name, tokens in other.items():
        known = into.get(name)
        if known is tokens or known == tokens:
            continue
        merged = tokens if known is None else tuple(sorted({*known, *tokens}))
        if merged != known:
            into[name] = merged
            grown = True
    return grown
