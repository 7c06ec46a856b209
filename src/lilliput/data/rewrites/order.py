"""Swap neighbouring statements of C and Java whose order does not matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING

from lilliput.data.rewrites.source import Edit, Source
from lilliput.data.rewrites.variables import Variable, names_in, variables

if TYPE_CHECKING:
    from tree_sitter import Node

SHARE = 0.75
"""Average share of the swappable pairs that are swapped; at least one is."""


@dataclass(frozen=True)
class Purity:
    """Which statements only assign local variables, and which expressions have a value but no effect.

    Attributes:
        declaration: type of a declaration.
        parts: what a declaration may consist of, besides its declarators and their values.
        literals: expressions that are constants.
        operations: expressions that are pure if their operands are.
        operators: allowed operators of those: none that can fail or call anything.
        operand_types: types whose variables may be operands; ``None``: all.
    """

    declaration: str
    parts: frozenset[str]
    literals: frozenset[str]
    operations: frozenset[str]
    operators: frozenset[str]
    operand_types: frozenset[str] | None


_OPERATORS = frozenset(
    {"+", "-", "*", "&", "|", "^", "<<", ">>", "==", "!=", "<", ">", "<=", ">=", "&&", "||"}
    | {"!", "~", "(", ")", ",", "{", "}", "?", ":"}
)
_OPERATIONS = frozenset(
    {"parenthesized_expression", "unary_expression", "binary_expression", "initializer_list", "conditional_expression"}
)
PURITY = {
    "c": Purity(
        declaration="declaration",
        parts=frozenset(
            {"primitive_type", "type_identifier", "sized_type_specifier", "struct_specifier", "type_qualifier"}
            | {"pointer_declarator", "array_declarator", "init_declarator", "identifier", "number_literal"}
        ),
        literals=frozenset({"number_literal", "char_literal", "string_literal", "true", "false", "null"}),
        operations=_OPERATIONS,
        operators=_OPERATORS,
        operand_types=None,
    ),
    "java": Purity(
        declaration="local_variable_declaration",
        parts=frozenset(
            {"integral_type", "floating_point_type", "boolean_type", "type_identifier", "array_type", "generic_type"}
            | {"scoped_type_identifier", "type_arguments", "dimensions", "variable_declarator", "identifier"}
        ),
        literals=frozenset(
            {"decimal_integer_literal", "hex_integer_literal", "decimal_floating_point_literal", "character_literal"}
            | {"string_literal", "true", "false", "null_literal"}
        ),
        operations=_OPERATIONS - {"initializer_list", "conditional_expression"},
        operators=_OPERATORS,
        operand_types=frozenset({"int", "long", "short", "byte", "char", "boolean", "float", "double"}),
    ),
}
"""Language -> its table. A declaration's own node types are its ``parts``; ``struct s { ... }`` has one that is not."""

_TARGETS = {"assignment_expression": "left", "update_expression": "argument"}
_VALUE_FIELDS = ("value", "right")


def swap_statements(source: Source, rng: Random) -> list[Edit]:
    """Swap adjacent statements, each of which does nothing but declare or set local variables.

    Only if neither mentions what the other declares or sets, values are built from constants and local variables by
    operators that cannot fail, and nothing but white space is between the two.
    """
    known = variables(source)
    purity = PURITY[source.language.name]
    found = []
    for siblings in source.statements():
        pairs = [(a, b) for a, b in pairwise(siblings) if _swappable(source, a, b, known, purity)]
        last = None
        for first, second in pairs:
            if first != last:  # a statement is swapped at most once
                found.append((first, second))
                last = second
    chosen = [pair for pair in found if rng.random() < SHARE] or found[:1]
    return [
        edit
        for first, second in chosen
        for edit in (
            Edit(first.start_byte, first.end_byte, source.of(second)),
            Edit(second.start_byte, second.end_byte, source.of(first)),
        )
    ]


def _swappable(source: Source, first: Node, second: Node, known: Mapping[str, Variable], purity: Purity) -> bool:
    if source.between(first.end_byte, second.start_byte).strip():
        return False
    if source.in_error(first) or source.in_error(second) or source.follows_error(first):
        return False
    one, other = _writes(source, first, known, purity), _writes(source, second, known, purity)
    if one is None or other is None:
        return False
    return not one & names_in(source, second) and not other & names_in(source, first)


def _writes(source: Source, node: Node, known: Mapping[str, Variable], purity: Purity) -> set[str] | None:
    """The variables that a statement declares or sets; ``None`` if it may do more than that."""
    if node.type == purity.declaration:
        return _declares(source, node, known, purity)
    if node.type == "expression_statement" and node.named_child_count == 1:
        return _sets(source, node.named_children[0], known, purity)
    return None


def _sets(source: Source, expression: Node, known: Mapping[str, Variable], purity: Purity) -> set[str] | None:
    """The variable that an assignment sets, or an update such as ``x++``."""
    if expression.type not in _TARGETS:
        return None
    field = _TARGETS[expression.type]
    # Java's updates have no field names.
    target = expression.child_by_field_name(field) or expression.named_children[0]
    if not _is_plain(source, target, known):
        return None
    variable = known[source.of(target)]
    right, operator = (expression.child_by_field_name(name) for name in ("right", "operator"))
    sign = "" if operator is None else source.of(operator)
    # In Java, ``x += y`` on an object calls, and ``x++`` on an Integer may fail: only ``=`` does not read ``x``.
    looks = purity.operand_types is not None and sign != "=" and not variable.types <= purity.operand_types
    if looks or sign in ("/=", "%="):
        return None
    return {variable.name} if right is None or _pure(source, right, known, purity) else None


def _declares(source: Source, node: Node, known: Mapping[str, Variable], purity: Purity) -> set[str] | None:
    names: set[str] = set()
    waiting = list(node.named_children)
    while waiting:
        inner = waiting.pop()
        if inner.type not in purity.parts or (inner.type == "struct_specifier" and inner.child_count > 2):
            return None
        if inner.type == "type_qualifier" and source.of(inner) != "const":
            return None
        if inner.type == "identifier":
            if not _is_plain(source, inner, known):
                return None
            names.add(source.of(inner))
        for child in inner.named_children:
            field = inner.field_name_for_child(inner.children.index(child))
            if field in _VALUE_FIELDS:
                if not _pure(source, child, known, purity):
                    return None
            elif field == "size" and child.type != "number_literal":
                return None
            else:
                waiting.append(child)
    return names


def _pure(source: Source, node: Node, known: Mapping[str, Variable], purity: Purity) -> bool:
    """Whether evaluating an expression can neither fail nor change anything."""
    waiting = [node]
    while waiting:
        inner = waiting.pop()
        if inner.type in purity.literals:
            if purity.operand_types is not None and inner != node and inner.type in ("string_literal", "null_literal"):
                return False
        elif inner.type == "identifier":
            if not _is_plain(source, inner, known):
                return False
            if purity.operand_types is not None and not known[source.of(inner)].types <= purity.operand_types:
                return False
        elif inner.type in purity.operations:
            if any(not child.is_named and source.of(child) not in purity.operators for child in inner.children):
                return False
            waiting.extend(inner.named_children)
        else:
            return False
    return True


def _is_plain(source: Source, node: Node, known: Mapping[str, Variable]) -> bool:
    """Whether ``node`` names an ordinary local variable or a parameter."""
    variable = known.get(source.of(node)) if node.type == "identifier" else None
    return variable is not None and variable.plain
