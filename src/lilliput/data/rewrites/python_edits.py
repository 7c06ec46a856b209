"""Python rewrites that need its scoping rules: those of the embedded corpus, applied to the existing text.

:mod:`lilliput.data.corpus` decides what may be changed, on a syntax tree of Python's own ``ast``, and would regenerate
the whole function; here only the affected statements are written, so that nothing else about the text changes.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from lilliput.data.corpus import loops
from lilliput.data.corpus.naming import Variable, variables
from lilliput.data.corpus.rewrites import opened
from lilliput.data.corpus.statements import swap_assignments
from lilliput.data.corpus.trees import Function, mentioned, own_blocks, walk
from lilliput.data.rewrites.source import Edit, Source, disjoint
from lilliput.data.rewrites.words import fresh_names

if TYPE_CHECKING:
    from tree_sitter import Node

_KEPT = frozenset({"self", "cls", "mcs", "_"})
_LOOPS = (loops.range_to_while, loops.enumerate_to_counter, loops.test_inside)
_SHARE = 0.75
_ELSEWHERE = frozenset({("attribute", "attribute"), ("keyword_argument", "name")})

Change = Callable[[Function, Random, float], bool]


def _function(source: Source) -> Function | None:
    """The single function that the text defines; ``None`` if it is anything else, or inspects its own variables."""
    try:
        return opened(source.text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def rename_variables(source: Source, rng: Random) -> list[Edit]:
    """Rename every local variable and positional parameter of a Python function.

    The syntax tree decides which these are. Variables that share a name get the same new one. A name is left alone if
    one of them must keep it, if it is also mentioned in any other role, or if the two parsers disagree on how often it
    is mentioned. A function that mentions itself keeps its parameters.
    """
    function = _function(source)
    if function is None:
        return []
    by_name: dict[str, list[Variable]] = defaultdict(list)
    for variable in variables(function):
        by_name[variable.name].append(variable)
    places = _identifiers(source)
    mentions = mentioned(function)
    recursive = mentions.count(function.name) > 1
    names = fresh_names(source, rng)
    edits = []
    for name, group in by_name.items():
        nodes = [node for variable in group for node in variable.nodes]
        free = not any(variable.fixed or (variable.parameter and recursive) for variable in group)
        kept = name in _KEPT or name.startswith("__") or name == function.name
        if free and not kept and len(nodes) == len(places[name]) == mentions.count(name):
            new = next(names)
            edits += [Edit(place.start_byte, place.end_byte, new) for place in places[name]]
    return edits


def change_loops(source: Source, rng: Random) -> list[Edit]:
    """``for i in range(n)`` as ``while``, ``enumerate`` as a counter, tests of a ``while`` inside with a ``break``."""
    function = _function(source)
    if function is None:
        return []
    before = {id(node.body[0]): node for node in walk(function) if isinstance(node, ast.For | ast.While)}
    state = rng.getstate()
    for change in _LOOPS:
        changed = change(function, rng, _SHARE)
        if not changed:
            rng.setstate(state)
            change(function, rng, 1.0)
    lines = _Lines(source)
    groups = []
    for block in own_blocks(function):
        new: list[ast.stmt] = []
        for statement in block.statements:
            if hasattr(statement, "lineno"):
                new = []
                continue
            new.append(statement)
            if isinstance(statement, ast.For | ast.While):
                groups.append(_loop_edits(new, statement, before, lines))
                new = []
    return disjoint([group for group in groups if group])


def _loop_edits(
    new: list[ast.stmt], loop: ast.For | ast.While, before: dict[int, ast.For | ast.While], lines: _Lines
) -> list[Edit]:
    """Replace the head of the original loop by the text of ``new`` statements, the last of which is ``loop``.

    Args:
        new: statements that are not in the text.
        loop: a new loop around statements that are in the text, possibly with new ones before and after them.
        before: the loops of the text, by the identity of their first statement.
        lines: of the text.
    """
    old = [statement for statement in loop.body if hasattr(statement, "lineno")]
    former = before.get(id(old[0])) if old else None
    if former is None or len(old) != len(former.body) or former.orelse:
        return []
    margin, inner = lines.margin(former), lines.margin(old[0])
    if margin is None or inner is None:
        return []
    first = next(place for place, statement in enumerate(loop.body) if statement is old[0])
    head, tail = loop.body[:first], loop.body[first + len(old) :]
    header = ast.unparse(ast.fix_missing_locations(_emptied(loop))).splitlines()[0]
    written = [*_unparsed(new[:-1], margin), margin + header, *_unparsed(head, inner)]
    start, last = lines.start(former), lines.after(old[-1])
    end = lines.head_end(start, lines.start(old[0]))
    if end is None or (tail and last is None):
        return []
    edits = [Edit(start, end, "".join(f"{line}\n" for line in written))]
    if tail and last is not None:
        position, lead = last
        added = "\n".join(_unparsed(tail, inner))
        edits.append(Edit(position, position, f"\n{added}" if lead else f"{added}\n"))
    return edits


def _emptied(loop: ast.For | ast.While) -> ast.stmt:
    """The head of a loop, with an empty body."""
    if isinstance(loop, ast.While):
        return ast.While(loop.test, [ast.Pass()], [])
    return ast.For(loop.target, loop.iter, [ast.Pass()], [])


def _unparsed(statements: list[ast.stmt], margin: str) -> list[str]:
    """The lines of new statements: simple ones, and tests that guard a single one."""
    lines = []
    for statement in statements:
        for line in ast.unparse(ast.fix_missing_locations(statement)).splitlines():
            code = line.lstrip(" ")
            lines.append(margin + " " * (len(line) - len(code)) + code)
    return lines


def swap_statements(source: Source, rng: Random) -> list[Edit]:
    """Swap adjacent assignments that do not affect each other."""
    function = _function(source)
    if function is None:
        return []
    state = rng.getstate()
    if not swap_assignments(function, rng, _SHARE):
        rng.setstate(state)
        swap_assignments(function, rng, 1.0)
    lines = _Lines(source)
    groups = []
    for block in own_blocks(function):
        for second, first in zip(block.statements, block.statements[1:], strict=False):
            one, other = lines.span(first), lines.span(second)
            if one < other:
                text = source.between(one[1], other[0])
                if "\n" in text and not text.strip():
                    groups.append([Edit(*one, source.between(*other)), Edit(*other, source.between(*one))])
    return disjoint(groups)


class _Lines:
    """Byte offsets in the text, from lines and columns of ``ast``."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.starts = [0]
        for line in source.data.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.stmt) -> tuple[int, int]:
        """First and last byte of a statement."""
        assert node.end_lineno is not None  # parsed, not constructed
        assert node.end_col_offset is not None
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def start(self, node: ast.stmt) -> int:
        """Start of the line on which a statement begins."""
        return self.starts[node.lineno - 1]

    def margin(self, node: ast.stmt) -> str | None:
        """The indentation of a statement that begins its line."""
        before = self.source.between(self.start(node), self.span(node)[0])
        return before if not before.strip() else None

    def after(self, node: ast.stmt) -> tuple[int, bool] | None:
        """Start of the next line, and whether a line break is missing before it; ``None`` if code follows."""
        end = self.span(node)[1]
        line = self.source.data.find(b"\n", end)
        stop = len(self.source.data) if line < 0 else line
        rest = self.source.between(end, stop).strip()
        if rest and not rest.startswith("#"):
            return None
        return (stop, True) if line < 0 else (line + 1, False)

    def head_end(self, start: int, end: int) -> int | None:
        """End of the lines of a loop's head that begins at ``start`` and whose body begins at ``end``.

        That is the start of a line with nothing but a comment, or of the body; ``None`` if a comment follows code.
        """
        for leaf in self.source.leaves:
            if leaf.type in self.source.language.comments and start <= leaf.start_byte < end:
                return None if self.source.indentation(leaf) is None else self.source.line_start(leaf.start_byte)
        return end


def _identifiers(source: Source) -> dict[str, list[Node]]:
    """Every identifier that may name a variable, by name: not attributes, not keywords of calls."""
    kinds = {kind for kind, _ in _ELSEWHERE}
    elsewhere = {
        child.id
        for node in source.nodes
        if node.type in kinds
        for place, child in enumerate(node.children)
        if (node.type, node.field_name_for_child(place)) in _ELSEWHERE
    }
    found: dict[str, list[Node]] = defaultdict(list)
    for node in _with_strings(source):
        if node.type == "identifier" and node.id not in elsewhere:
            found[source.of(node)].append(node)
    return found


def _with_strings(source: Source) -> list[Node]:
    """All nodes, including those inside f-strings."""
    found = []
    waiting = [source.root]
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting.extend(reversed(node.children))
    return found
