"""A function's text with its syntax tree, and edits of the text by means of the tree.

tree-sitter parses fragments: text that it cannot parse becomes an ``ERROR`` node, a missing token a node of zero width,
and the rest of the tree is intact. All offsets are in bytes of UTF-8.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lilliput.data.parsers import parser_of
from lilliput.data.rewrites.languages import Language

if TYPE_CHECKING:
    from tree_sitter import Node

WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Edit:
    """Replacement of the bytes from ``start`` up to ``end`` by ``text``."""

    start: int
    end: int
    text: str


class Source:
    """A function's text, parsed.

    Attributes:
        language: the language it is parsed as.
        data: the bytes that were parsed: the text, in a wrapper if it needs one.
        root: root of the tree.
        errors: number of ``ERROR`` and missing nodes in the tree.
    """

    def __init__(self, text: str, language: Language) -> None:
        self.text, self.language = text, language
        content = text.encode("utf-8", "surrogatepass")
        fewest: int | None = None
        for before, after in language.wrappers:
            data = before.encode() + content + after.encode()
            root = parser_of(language.grammar).parse(data).root_node
            errors = sum(1 for _ in _errors(root))
            if fewest is None or errors < fewest:
                fewest, self.data, self.root, self._margin = errors, data, root, (len(before), len(after))
            if not errors:
                break
        self.errors = fewest or 0

    def of(self, node: Node) -> str:
        """The text of a node."""
        return self.between(node.start_byte, node.end_byte)

    def between(self, start: int, end: int) -> str:
        """The text of the bytes from ``start`` up to ``end``."""
        return self.data[start:end].decode("utf-8", "surrogatepass")

    @cached_property
    def nodes(self) -> list[Node]:
        """All nodes, each before its children; none inside an atom."""
        found: list[Node] = []
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            found.append(node)
            if node.type not in self.language.atoms:
                waiting.extend(reversed(node.children))
        return found

    @cached_property
    def leaves(self) -> list[Node]:
        """The tokens in order: nodes without children, and atoms; without missing ones and line ends of directives."""
        atoms = self.language.atoms
        return [
            node
            for node in self.nodes
            if (node.type in atoms or not node.child_count)
            and self.data[node.start_byte : node.end_byte].strip()
            and self._inside(node)
        ]

    @cached_property
    def tokens(self) -> list[str]:
        """The text of :attr:`leaves` without comments."""
        return [self.of(leaf) for leaf in self.leaves if leaf.type not in self.language.comments]

    @cached_property
    def broken(self) -> list[tuple[int, int]]:
        """The spans of ``ERROR`` nodes."""
        return [(node.start_byte, node.end_byte) for node in _errors(self.root) if node.is_error]

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word of the text, including those in comments and strings."""
        return frozenset(WORD.findall(self.text))

    def in_error(self, node: Node) -> bool:
        """Whether ``node`` lies inside an ``ERROR`` node, or holds an error itself."""
        start, end = node.start_byte, node.end_byte
        return node.has_error or any(first <= start and end <= last for first, last in self.broken)

    def follows_error(self, node: Node) -> bool:
        """Whether the node before ``node`` has an error: a macro without a semicolon, for example, may govern it."""
        before = node.prev_named_sibling
        while before is not None and before.type in self.language.comments:
            before = before.prev_named_sibling
        return before is not None and before.has_error

    def line_start(self, position: int) -> int:
        """Start of the line that contains a byte."""
        return max(self.data.rfind(b"\n", 0, position) + 1, self._margin[0])

    def indentation(self, node: Node) -> str | None:
        """The white space before ``node`` on its line; ``None`` if there is anything else."""
        before = self.between(self.line_start(node.start_byte), node.start_byte)
        return before if not before.strip() else None

    def statements(self) -> Iterator[list[Node]]:
        """The children of each list of statements, comments and directives among them, outermost first."""
        for node in self.nodes:
            if node.type in self.language.blocks and not (node.parent and node.parent.type in self.language.closed):
                yield node.named_children

    def entries(self) -> list[Node]:
        """Statements before which something may be inserted: each begins its line, and no parse error is near it."""
        found = []
        for siblings in self.statements():
            for node in siblings:
                if (
                    self._is_statement(node)
                    and self.indentation(node) is not None
                    and not self.in_error(node)
                    and not self.follows_error(node)
                    and not (node == siblings[0] and _is_docstring(node))
                ):
                    found.append(node)
        return found

    def edited(self, edits: Iterable[Edit]) -> str:
        """The text after ``edits``, which must not overlap; insertions at one place come in the order given."""
        parts: list[bytes] = []
        first, last = self._margin[0], len(self.data) - self._margin[1]
        done = first
        for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
            if not done <= edit.start <= edit.end <= last:
                raise ValueError(f"edits overlap or leave the text at byte {edit.start}")
            parts += [self.data[done : edit.start], edit.text.encode("utf-8", "surrogatepass")]
            done = edit.end
        return b"".join([*parts, self.data[done:last]]).decode("utf-8", "surrogatepass")

    def _is_statement(self, node: Node) -> bool:
        kind, language = node.type, self.language
        return (kind.endswith("_statement") or kind in language.declarations) and kind not in language.unentered

    def _inside(self, node: Node) -> bool:
        return self._margin[0] <= node.start_byte and node.end_byte <= len(self.data) - self._margin[1]


def below(node: Node, stop: frozenset[str] = frozenset()) -> Iterator[Node]:
    """The nodes below ``node``, in order, without those below a node of a type in ``stop``."""
    waiting = list(reversed(node.children))
    while waiting:
        inner = waiting.pop()
        yield inner
        if inner.type not in stop:
            waiting.extend(reversed(inner.children))


def disjoint(groups: Sequence[Sequence[Edit]]) -> list[Edit]:
    """The edits of every group that does not overlap a group taken before it; whole groups only."""
    spans: list[tuple[int, int]] = []  # of the edits taken, in order
    taken: list[Edit] = []
    for group in groups:
        if not any(_meets(spans, edit) for edit in group):
            taken.extend(group)
            for edit in group:
                insort(spans, (edit.start, edit.end))
    return taken


def _meets(spans: list[tuple[int, int]], edit: Edit) -> bool:
    """Whether ``edit`` overlaps one of ``spans``, which are in order and disjoint; touching is not overlapping."""
    place = bisect_left(spans, (edit.start, edit.start))
    if place and spans[place - 1][1] > edit.start:
        return True
    while place < len(spans) and spans[place][0] < edit.end:
        if spans[place][1] > edit.start:
            return True
        place += 1
    return False


def _errors(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        inner = waiting.pop()
        if inner.has_error:
            if inner.is_error or inner.is_missing:
                yield inner
            waiting.extend(inner.children)


def _is_docstring(node: Node) -> bool:
    return bool(node.children) and node.children[0].type == "string"
