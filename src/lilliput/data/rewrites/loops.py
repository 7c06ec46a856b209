"""Rewrite loops of C and Java in the other form: ``for`` as ``while``, ``while`` as ``for``."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from lilliput.data.rewrites.source import Edit, Source, below, disjoint
from lilliput.data.rewrites.variables import DECLARATIONS, names_in

if TYPE_CHECKING:
    from tree_sitter import Node

SHARE = 0.75
"""Average share of the rewritable loops that are rewritten; at least one is."""


def change_loops(source: Source, rng: Random) -> list[Edit]:
    """``for (a; b; c) d`` -> ``a; while (b) { d c; }``, and ``while (b) d`` -> ``for (; b; ) d``.

    The first is refused if ``d`` continues the loop before its end (``continue``, or what may be a macro with one
    inside), if it declares a name that ``c`` mentions, and in Java if its end may be unreachable.
    """
    makers = {source.language.for_loop: _as_while, source.language.while_loop: _as_for}
    names = sorted((item.name.start_byte, source.of(item.name)) for item in DECLARATIONS[source.language.name](source))
    found = [
        group
        for node in reversed(source.nodes)  # inner loops first: those with the same end close from inside outwards
        if node.type in makers and not source.in_error(node)
        for group in [makers[node.type](source, node, names)]
        if group
    ]
    chosen = [group for group in found if rng.random() < SHARE] or found[:1]
    return disjoint(chosen)


def _as_for(source: Source, node: Node, names: Sequence[tuple[int, str]]) -> list[Edit]:
    del names  # nothing moves
    condition = node.child_by_field_name("condition")
    if condition is None or condition.type != "parenthesized_expression" or condition.child_count < 3:
        return []
    first, last = condition.children[0], condition.children[-1]
    keyword = node.children[0]
    return [
        Edit(keyword.start_byte, keyword.end_byte, "for"),
        Edit(first.end_byte, first.end_byte, "; "),
        Edit(last.start_byte, last.start_byte, "; "),
    ]


def _as_while(source: Source, node: Node, names: Sequence[tuple[int, str]]) -> list[Edit]:
    """``names``: the names declared in the function, with their places, in order."""
    language = source.language
    body, parent = node.child_by_field_name("body"), node.parent
    updates = node.children_by_field_name("update")
    if body is None or parent is None or any(child.type in language.comments for child in node.children):
        return []
    labelled = parent.type == language.labelled and language.completes is not None  # ``continue label`` needs a loop
    if labelled or _goes_on_early(source, body) or (updates and not _ends(source, body)):
        return []
    first, last = (bisect_left(names, (place, "")) for place in (body.start_byte, body.end_byte))
    inside = {name for _, name in names[first:last]}
    if any(names_in(source, update) & inside for update in updates):
        return []
    starts = node.children_by_field_name(language.initializer)
    condition = node.child_by_field_name("condition")
    margin = source.indentation(node)
    lead = " " if margin is None else f"\n{margin}"
    before = lead.join(_statement(source, start) for start in starts)
    after = " ".join(_statement(source, update) for update in updates)
    declares = any(start.type in language.declarations for start in starts)
    alone = parent.type in language.blocks and not source.follows_error(node)
    wrapped = bool(before) and (declares or not alone)
    test = language.true if condition is None else source.of(condition)
    header = f"{'{' + lead if wrapped else ''}{before}{lead if before else ''}while ({test}) "
    close = f"{lead}}}" if wrapped else ""
    return [Edit(node.start_byte, body.start_byte, header), *_closed(source, body, after, close, lead)]


def _closed(source: Source, body: Node, after: str, close: str, lead: str) -> list[Edit]:
    """The body with ``after`` as its last statement, in braces, followed by ``close``.

    ``lead`` precedes statements at the level of the loop: a line break and spaces, or a space.
    """
    language = source.language
    if body.type in language.blocks:
        end = body.children[-1].start_byte
        inside = [child for child in body.named_children if child.type not in language.comments]
        indent = source.indentation(inside[-1]) if inside else None
        margin = source.indentation(body.children[-1])
        if after and indent is not None and margin is not None:
            end -= len(margin.encode())
            added = [Edit(end, end, f"{indent}{after}\n")]
        else:
            added = [Edit(end, end, f"{after} ")] if after else []
        return [*added, *([Edit(body.end_byte, body.end_byte, close)] if close else [])]
    if not after:
        return [Edit(body.end_byte, body.end_byte, close)] if close else []
    deeper = lead if lead == " " else f"{lead}    "
    return [
        Edit(body.start_byte, body.start_byte, f"{{{deeper}"),
        Edit(body.end_byte, body.end_byte, f"{deeper}{after}{lead}}}{close}"),
    ]


def _statement(source: Source, node: Node) -> str:
    text = source.of(node)
    return text if node.type in source.language.declarations else f"{text};"


def _goes_on_early(source: Source, body: Node) -> bool:
    """Whether the loop may continue with its next iteration before the end of ``body``."""
    language = source.language
    stops = language.loops | language.barriers
    if body.type in stops:
        inner: Sequence[Node] = ()
    else:
        inner = [body, *below(body, stops)]
    if any(node.type == "continue_statement" for node in inner):
        return True
    everything = [body, *below(body)]
    if any(node.type == "continue_statement" and node.named_child_count for node in everything):
        return True
    return language.macro is not None and any(_may_hide_control(source, node) for node in everything)


def _may_hide_control(source: Source, node: Node) -> bool:
    """Whether ``node`` looks like a macro used as a statement, or like a call of one."""
    macro = source.language.macro
    if node.type == "expression_statement":
        return bool(node.named_children) and node.named_children[0].type == "identifier"
    if node.type != "call_expression":
        return False
    function = node.child_by_field_name("function")
    return function is not None and macro is not None and macro.fullmatch(source.of(function)) is not None


def _ends(source: Source, body: Node) -> bool:
    """Whether a statement after the last one of ``body`` is reachable, if the language forbids unreachable ones."""
    completes = source.language.completes
    if completes is None:
        return True
    last = body
    if body.type in source.language.blocks:
        inside = [child for child in body.named_children if child.type not in source.language.comments]
        if not inside:
            return True
        last = inside[-1]
    if last.type == "if_statement":
        return last.child_by_field_name("alternative") is None
    return last.type in completes
