"""Rules that say what a piece of syntax means for data flow; a language's table assigns them to node types.

A rule turns a node of the tree into what happens there, in order: nodes still to be visited, and steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from lilliput.data.dataflow.steps import (
    ENTRY,
    FALL,
    FIRST,
    Alternative,
    Back,
    Head,
    Join,
    Mark,
    Split,
    Step,
    Target,
    Write,
)

if TYPE_CHECKING:
    from tree_sitter import Node

    Items = list[Node | Step]


class Place(Protocol):
    """What a rule can query about the function it is applied to."""

    def targets(self, node: Node) -> tuple[list[Target], list[Node]]:
        """The names that are assigned if ``node`` is, and the nodes that are read to locate them."""

    def values(self, node: Node) -> Sequence[int]:
        """The tokens in ``node`` that are variables or constants."""

    def member(self, node: Node, kind: str) -> list[Step]:
        """The use of a name that belongs to something: a field, a method."""

    def parts(self, node: Node) -> list[Node] | None:
        """The elements of a tuple or list; ``None`` if it is neither, or cannot be unpacked one by one."""

    def falls_through(self, case: Node) -> bool:
        """Whether a case falls through to the next."""

    def loop(self) -> int:
        """A number for a new loop."""


class Rule(Protocol):
    """See the module."""

    def items(self, node: Node, place: Place) -> Items:
        """What happens at ``node``, in order."""


def _fields(node: Node) -> list[tuple[str | None, Node]]:
    return [(node.field_name_for_child(index), child) for index, child in enumerate(node.children)]


def _first_named(node: Node) -> Node | None:
    return node.named_children[0] if node.named_child_count else None


@dataclass(frozen=True)
class Ignore:
    """Nothing in the node is a use."""

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        return []


@dataclass(frozen=True)
class Only:
    """Only some fields matter: a keyword argument's value, not its name."""

    fields: tuple[str, ...]

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        return [child for name, child in _fields(node) if name in self.fields]


@dataclass(frozen=True)
class Last:
    """One field is evaluated after all others: a comprehension's body after its loops."""

    field: str

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        children = _fields(node)
        return [child for last in (False, True) for name, child in children if (name == self.field) == last]


@dataclass(frozen=True)
class Assign:
    """A value is assigned to a target.

    Attributes:
        target: field of the target.
        value: field of the value; empty: the first named child.
        computed: whether the target is computed from the value, or just is the value.
        keeps: whether the target's old value is a part of the new one.
        operator: field of an operator that decides ``keeps``: anything but ``=`` keeps.
    """

    target: str
    value: str = ""
    computed: bool = True
    keeps: bool = False
    operator: str = ""

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        target = node.child_by_field_name(self.target)
        value = node.child_by_field_name(self.value) if self.value else _first_named(node)
        if target is None:
            return list(node.children)
        sign = node.child_by_field_name(self.operator) if self.operator else None
        keeps = self.keeps or (sign is not None and sign.type != "=")
        return assignment(place, target, value, self.computed, keeps)


def assignment(place: Place, target: Node, value: Node | None, computed: bool, keeps: bool = False) -> Items:
    """``value`` is used, then assigned to ``target``: element by element if both are lists of the same length."""
    pairs: list[tuple[Node, Node | None]] = [(target, value)]
    if value is not None:
        left, right = place.parts(target), place.parts(value)
        if left is not None and right is not None and len(left) == len(right):
            pairs = list(zip(left, right, strict=True))
    found: Items = [] if value is None else [value]
    writes: list[Step] = []
    for one, other in pairs:
        targets, used = place.targets(one)
        found.extend(used)
        writes.append(Write(targets, () if other is None else place.values(other), computed, keeps))
    return [*found, *writes]


@dataclass(frozen=True)
class Define:
    """Names appear without a value: declarations, parameters.

    Attributes:
        field: of what is declared; empty: every named child.
        nested: types of children that have a rule of their own.
    """

    field: str = ""
    nested: frozenset[str] = frozenset()

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        found: Items = []
        for name, child in _fields(node):
            if child.type in self.nested or (self.field and name != self.field):
                found.append(child)
            elif child.is_named:
                found.extend(assignment(place, child, None, computed=False))
        return found


@dataclass(frozen=True)
class Update:
    """``x++``: the new value is computed from the old one."""

    field: str = ""

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        target = node.child_by_field_name(self.field) if self.field else _first_named(node)
        return [] if target is None else assignment(place, target, None, computed=True, keeps=True)


@dataclass(frozen=True)
class Access:
    """Access to a member: ``object.member``.

    Attributes:
        member: field of the member's name.
        kind: kind of that name, so that it is not confused with a variable of the same name.
    """

    member: str
    kind: str

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        found: Items = []
        for name, child in _fields(node):
            if name == self.member:
                found.extend(place.member(child, self.kind))
            else:
                found.append(child)
        return found


@dataclass(frozen=True)
class Branch:
    """``if``: one alternative or another, or, without an ``else``, none."""

    last: str = "else_clause"
    """Type of an alternative that is always taken if no other is; empty: any alternative is."""

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        found: Items = []
        started, skips = False, True
        for name, child in _fields(node):
            if name == "consequence" and not started:
                found.append(Split())
                started = True
            elif name == "alternative" and started:
                found.append(Alternative(ENTRY))
                skips = skips and bool(self.last) and child.type != self.last
            found.append(child)
        return [*found, Join(skips)] if started else found


@dataclass(frozen=True)
class Loop:
    """A loop, with all its fields in the order in which they run.

    Attributes:
        test: fields that run before each pass, after which the loop may exit; empty: it exits after a pass.
        body: fields of a pass.
    """

    test: tuple[str, ...]
    body: tuple[str, ...] = ("body",)

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        children = _fields(node)
        number = place.loop()

        def of(fields: tuple[str, ...]) -> Items:
            return [child for wanted in fields for name, child in children if name == wanted]

        before: Items = [child for name, child in children if name not in (*self.test, *self.body)]
        mark: Items = [Mark(number)] if self.test else []
        return [*before, Head(number), *of(self.test), *mark, *of(self.body), Back(number)]


@dataclass(frozen=True)
class ForEach:
    """The target is computed from the value before each pass."""

    target: str
    value: str
    last: str = "alternative"

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        target, value = node.child_by_field_name(self.target), node.child_by_field_name(self.value)
        rest = [child for name, child in _fields(node) if name not in (self.target, self.value, self.last)]
        after = [child for name, child in _fields(node) if name == self.last]
        if target is None or value is None:
            return [*rest, *after]
        number = place.loop()
        targets, used = place.targets(target)
        write = Write(targets, place.values(value), computed=True)
        return [value, Head(number), Mark(number), *used, write, *rest, Back(number), *after]


def _is_default(case: Node) -> bool:
    """Whether a case begins with the word ``default``, itself or in its label."""
    first: Node | None = case
    while first is not None and first.child_count:
        first = first.children[0]
    return first is not None and first.type == "default"


@dataclass(frozen=True)
class Switch:
    """One case or another, or, without a ``default``, none.

    Attributes:
        cases: types of the cases, which lie in the field ``body``.
    """

    cases: frozenset[str]

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        found: Items = []
        for name, child in _fields(node):
            found.extend(self._cases(child, place) if name == "body" else [child])
        return found

    def _cases(self, body: Node, place: Place) -> Items:
        found: Items = [Split()]
        before: Node | None = None
        skips = True
        for child in body.children:
            if child.type in self.cases:
                skips = skips and not _is_default(child)
                if before is not None:
                    found.append(Alternative(FALL if place.falls_through(before) else ENTRY))
                before = child
            found.append(child)
        return [*found, Join(skips)]


@dataclass(frozen=True)
class Try:
    """A body, and handlers that begin wherever the body was left."""

    handlers: frozenset[str]

    def items(self, node: Node, place: Place) -> Items:
        """See :class:`Rule`."""
        found: Items = []
        opened = joined = False
        for name, child in _fields(node):
            if name == "body" and not opened:
                found.append(Split())
                opened = True
            elif child.type in self.handlers and opened and not joined:
                found.append(Alternative(FIRST))
            elif opened and not joined and child.is_named:
                found.append(Join(skips=False))
                joined = True
            found.append(child)
        return [*found, Join(skips=False)] if opened and not joined else found
