"""Extract the data flow of a function from its text: one walker for all languages."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from lilliput.data.dataflow.flow import COMES_FROM, COMPUTED_FROM, Flow, FlowNode
from lilliput.data.dataflow.grammars import Grammar, grammar_named
from lilliput.data.dataflow.rules import Assign
from lilliput.data.dataflow.steps import Edges, Read, Step, Target, follow
from lilliput.data.parsers import parser_of

if TYPE_CHECKING:
    from tree_sitter import Node

    from lilliput.data.dataflow.rules import Items

LIMIT = 4096
"""Default limit of the tokens that are examined. Edges may grow with the square of their number."""


def data_flow(code: str, language: str | Grammar, limit: int = LIMIT, isolated: bool = False) -> Flow:
    """The tokens of ``code`` and the data flow among its variables.

    Any text yields a result: parts that do not parse as the language are still searched for uses.

    Args:
        code: a function, whole or in part.
        language: a name in :data:`~lilliput.data.dataflow.grammars.GRAMMARS`, or a custom table.
        limit: tokens that are examined, from the function's beginning; the flow has no others.
        isolated: also keep variables and constants without any edge.

    Raises:
        UserError: no language of that name.
        MissingExtra: tree-sitter or the language's grammar is not installed.
    """
    grammar = language if isinstance(language, Grammar) else grammar_named(language)
    function = _Function(code, grammar, limit)
    return function.flow(follow(function.steps()), isolated)


class _Function:
    """A parsed function: the :class:`~lilliput.data.dataflow.rules.Place` that rules query."""

    def __init__(self, code: str, grammar: Grammar, limit: int) -> None:
        self.grammar = grammar
        content = code.encode("utf-8", "surrogatepass")
        self.root, self.data, first, last = _parsed(content, grammar)
        self.starts: list[int] = []  # of tokens, in bytes
        self.tokens: list[str] = []
        self.spans: list[tuple[int, int]] = []  # of tokens, in characters of the code
        self.kinds: list[str] = []
        self._loops = 0
        character = _characters(content, code)
        for leaf in self._leaves():
            start, end = leaf.start_byte, leaf.end_byte
            spaced = self.data[start:end].decode("utf-8", "surrogatepass")
            text = spaced.strip()
            if text and first <= start and end <= last:
                if len(self.tokens) == limit:
                    break
                begin = character[start - first] + len(spaced) - len(spaced.lstrip())
                self.starts.append(start)
                self.tokens.append(text)
                self.spans.append((begin, begin + len(text)))
                self.kinds.append(leaf.type)
        self.end = self.starts[-1] + 1 if self.starts else 0
        valued = grammar.names | grammar.members | grammar.constants
        self.valued = [place for place, kind in enumerate(self.kinds) if kind in valued]

    def _leaves(self) -> Iterator[Node]:
        """Tokens in order, without comments and docstrings."""
        atoms, comments = self.grammar.atoms, self.grammar.comments
        statements = dict(self.grammar.docstrings)
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            kind = node.type
            if kind in comments:
                continue
            if kind in atoms or not node.child_count:
                yield node
            elif not (kind in statements and node.child_count == 1 and node.children[0].type == statements[kind]):
                waiting.extend(reversed(node.children))

    def steps(self) -> list[Step]:
        """The steps of the function, in order."""
        from tree_sitter import Node

        rules, atoms = self.grammar.rules, self.grammar.atoms
        found: list[Step] = []
        waiting: Items = [self.root]
        while waiting:
            item = waiting.pop()
            if not isinstance(item, Node):
                found.append(item)
                continue
            if item.start_byte >= self.end:
                continue
            kind = item.type
            if kind in atoms or not item.child_count:
                found.extend(self._use(item, kind))
                continue
            rule = rules.get(kind)
            waiting.extend(reversed(item.children if rule is None else rule.items(item, self)))
        return found

    def flow(self, edges: Edges, isolated: bool) -> Flow:
        """The flow that ``edges`` between tokens make."""
        touched = {token for token, sources in edges.sources.items() if sources}
        touched.update(*edges.sources.values())
        if isolated:
            touched.update(self.valued)
        order = sorted(touched)
        places = {token: place for place, token in enumerate(order)}
        nodes = tuple(
            FlowNode(
                name=self.tokens[token],
                token=token,
                relation=COMPUTED_FROM if token in edges.computed else COMES_FROM,
                sources=tuple(sorted(places[source] for source in edges.sources.get(token, ()))),
            )
            for token in order
        )
        return Flow(tuple(self.tokens), nodes, tuple(self.spans))

    def _token(self, node: Node) -> int | None:
        """The index of a leaf's token; ``None`` if it has none, such as a node that the parser reports as missing."""
        start = node.start_byte
        place = bisect_left(self.starts, start)
        found = place < len(self.starts) and self.starts[place] == start and node.end_byte > start
        return place if found else None

    def _use(self, leaf: Node, kind: str) -> list[Step]:
        if kind in self.grammar.names:
            return self.member(leaf, "")
        if kind in self.grammar.members:
            return self.member(leaf, ".")
        return []

    def member(self, node: Node, kind: str) -> list[Step]:
        """See :class:`~lilliput.data.dataflow.rules.Place`."""
        token = self._token(node)
        if token is None or (node.type not in self.grammar.names and node.type not in self.grammar.members):
            return []
        return [Read(token, kind + self.tokens[token])]

    def targets(self, node: Node) -> tuple[list[Target], list[Node]]:
        """See :class:`~lilliput.data.dataflow.rules.Place`."""
        grammar = self.grammar
        found: list[Target] = []
        used: list[Node] = []
        waiting = [(node, False)]
        while waiting:
            inner, partial = waiting.pop()
            kind = inner.type
            token = self._token(inner) if kind in grammar.names or kind in grammar.members else None
            aim = grammar.aims.get(kind)
            if token is not None:
                name = self.tokens[token]
                found.append(Target(token, f".{name}" if kind in grammar.members else name, partial))
            elif aim is None:
                used.append(inner)
            else:
                for index, child in enumerate(inner.children):
                    name_of = inner.field_name_for_child(index) or ""
                    if aim.member and name_of == aim.member:
                        found.extend(Target(step.token, step.name, partial) for step in self._members(child))
                    elif name_of in aim.into or (not aim.into and child.is_named):
                        waiting.append((child, partial or aim.partial))
                    elif name_of in aim.reads:
                        used.append(child)
        found.sort()
        return found, used

    def _members(self, node: Node) -> list[Read]:
        return [step for step in self.member(node, ".") if isinstance(step, Read)]

    def values(self, node: Node) -> list[int]:
        """See :class:`~lilliput.data.dataflow.rules.Place`."""
        rule = self.grammar.rules.get(node.type)
        inner = node.child_by_field_name(rule.target) if isinstance(rule, Assign) else None
        node = node if inner is None else inner  # in "x = y = 0", x has the value of y, and y that of 0
        first, last = bisect_left(self.starts, node.start_byte), bisect_left(self.starts, node.end_byte)
        return self.valued[bisect_left(self.valued, first) : bisect_left(self.valued, last)]

    def parts(self, node: Node) -> list[Node] | None:
        """See :class:`~lilliput.data.dataflow.rules.Place`."""
        if node.type not in self.grammar.tuples:
            return None
        parts = [child for child in node.named_children if child.type not in self.grammar.comments]
        return None if any(part.type in self.grammar.splats for part in parts) else parts

    def falls_through(self, case: Node) -> bool:
        """See :class:`~lilliput.data.dataflow.rules.Place`."""
        last = case
        while last.type in self.grammar.blocks:
            inside = [child for child in last.named_children if child.type not in self.grammar.comments]
            if not inside:
                return True
            last = inside[-1]
        return last.type not in self.grammar.jumps and case.type in self.grammar.blocks

    def loop(self) -> int:
        """See :class:`~lilliput.data.dataflow.rules.Place`."""
        self._loops += 1
        return self._loops


def _characters(content: bytes, code: str) -> Sequence[int]:
    """For each byte of ``content``, the encoded ``code``, the index of the character that it belongs to."""
    if len(content) == len(code):
        return range(len(code))
    begins = accumulate(int(byte & 0xC0 != 0x80) for byte in content)  # continuation bytes are 10xxxxxx
    return [count - 1 for count in begins]


def _parsed(content: bytes, grammar: Grammar) -> tuple[Node, bytes, int, int]:
    """The root of the tree, the bytes that were parsed, and where in them the function begins and ends."""
    parser = parser_of(grammar.package)
    first: tuple[Node, bytes, int, int] | None = None
    for before, after in grammar.wrappers:
        data = before + content + after
        root = parser.parse(data).root_node
        found = (root, data, len(before), len(before) + len(content))
        if first is None or not root.has_error:
            first = found
        if not root.has_error:
            break
    assert first is not None  # every grammar has a wrapper
    return first
