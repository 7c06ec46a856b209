"""The local variables and parameters of a C or Java function, and every place that names one.

A name counts as a variable's only if the function's text alone proves it: each identifier with that name must lie in
the scope of a declaration, after it. An identifier outside means that a field, a global variable or a macro has the
same name, and the name is left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from lilliput.data.rewrites.source import WORD, Source, below

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass
class Variable:
    """A name that refers only to local variables or parameters.

    Attributes:
        name: the name.
        places: all identifiers with that name.
        types: types of its declarations, as written; a name may be declared in several scopes.
        called: whether it is called like a function.
        passed: whether it is passed to what looks like a macro, which may use it as a part of a name.
        plain: whether it is an ordinary variable: not volatile, not static.
    """

    name: str
    places: list[Node] = field(default_factory=list)
    types: set[str] = field(default_factory=set)
    called: bool = False
    passed: bool = False
    plain: bool = True

    @property
    def renameable(self) -> bool:
        """Whether it can be renamed."""
        return not (self.called or self.passed)


@dataclass(frozen=True)
class Declaration:
    """Where a name is declared.

    Attributes:
        name: the identifier.
        start: of the scope, in bytes.
        end: of the scope.
        type: as written.
        plain: see :class:`Variable`.
    """

    name: Node
    start: int
    end: int
    type: str
    plain: bool = True

    def covers(self, place: Node, barriers: list[tuple[int, int]]) -> bool:
        """Whether the identifier ``place`` refers to this variable: it is in scope, with no barrier in between."""
        if place == self.name:
            return True
        position = place.start_byte
        between = any(self.start < start <= position < end for start, end in barriers)
        return self.start <= position < self.end and not between


def variables(source: Source) -> dict[str, Variable]:
    """The local variables and parameters of a C or Java function, by name, in order of first appearance."""
    language = source.language
    declared: dict[str, list[Declaration]] = defaultdict(list)
    for declaration in DECLARATIONS[language.name](source):
        declared[source.of(declaration.name)].append(declaration)
    barriers = [(n.start_byte, n.end_byte) for n in source.nodes if n.type == "class_body"]
    elsewhere = {node.id for node in _at(source, language.elsewhere)}
    called = {node.id for node in _at(source, language.called)}
    passed = _passed_to_macros(source)
    refused = _refused_words(source)
    found: dict[str, Variable] = {}
    for leaf in source.leaves:
        name = source.of(leaf)
        if leaf.type != "identifier" or leaf.id in elsewhere or name not in declared or name in refused:
            continue
        if not any(declaration.covers(leaf, barriers) for declaration in declared[name]):
            refused.add(name)
            found.pop(name, None)
            continue
        variable = found.setdefault(name, Variable(name))
        variable.places.append(leaf)
        variable.called |= leaf.id in called
        variable.passed |= leaf.id in passed
    for name, variable in found.items():
        variable.types = {declaration.type for declaration in declared[name]}
        variable.plain = all(declaration.plain for declaration in declared[name])
    return found


def names_in(source: Source, node: Node) -> set[str]:
    """Every identifier in ``node``, whatever it names."""
    return {source.of(inner) for inner in chain((node,), below(node)) if inner.type.endswith("identifier")}


def _at(source: Source, places: frozenset[tuple[str, str]]) -> Iterator[Node]:
    """The nodes at ``places``; the empty field name stands for children without one."""
    kinds = {kind for kind, _ in places}
    for node in source.nodes:
        if node.type in kinds:
            for index, child in enumerate(node.children):
                if (node.type, node.field_name_for_child(index) or "") in places:
                    yield child


def _refused_words(source: Source) -> set[str]:
    """Names that are mentioned where they cannot be resolved: in parse errors, macros, types, assembler, labels."""
    language = source.language
    words: set[str] = set()
    for node in source.nodes:
        if node.is_error or node.type in language.zones or node.type in language.type_names:
            words.update(WORD.findall(source.of(node)))
    for node in _at(source, language.zone_fields):
        words.update(WORD.findall(source.of(node)))
    return words


def _passed_to_macros(source: Source) -> set[int]:
    """Identifiers that are a whole argument of what looks like a macro call."""
    macro = source.language.macro
    found: set[int] = set()
    for node in source.nodes:
        if macro is None or node.type != "call_expression":
            continue
        function, arguments = node.child_by_field_name("function"), node.child_by_field_name("arguments")
        if function is not None and arguments is not None and macro.fullmatch(source.of(function)):
            found.update(inner.id for inner in arguments.children if inner.type == "identifier")
    return found


_C_SCOPES = frozenset({"compound_statement", "for_statement", "function_definition", "translation_unit"})
_C_QUALIFIERS = frozenset({"storage_class_specifier", "type_qualifier"})
_C_UNPLAIN = frozenset({"static", "volatile", "register", "_Thread_local", "__thread", "_Atomic"})


def _c_declarations(source: Source) -> Iterator[Declaration]:
    for node in source.nodes:
        if node.type not in ("declaration", "parameter_declaration") or node.has_error:
            continue
        scope = _c_scope(node)
        kind = node.child_by_field_name("type")
        qualifiers = {source.of(child) for child in node.children if child.type in _C_QUALIFIERS}
        if scope is None or kind is None or "extern" in qualifiers:
            continue
        for declarator in node.children_by_field_name("declarator"):
            name = _c_declared(declarator)
            if name is not None:
                plain = not _C_UNPLAIN & qualifiers
                yield Declaration(name, name.start_byte, scope.end_byte, source.of(kind), plain)


def _c_scope(declaration: Node) -> Node | None:
    """The scope of a declared name: the whole function for its own parameters, the prototype for a prototype's."""
    parent = declaration.parent
    if declaration.type == "parameter_declaration":
        outer = parent.parent if parent is not None else None  # of the list, the declarator
        while outer is not None and outer.type in ("function_declarator", "pointer_declarator"):
            if outer.parent is not None and outer.parent.type == "function_definition":
                return outer.parent
            outer = outer.parent
        return parent
    while parent is not None and parent.type not in _C_SCOPES:
        if parent.type in ("field_declaration_list", "parameter_list"):
            return None
        parent = parent.parent
    return parent if parent is not None and parent.type != "translation_unit" else None


def _c_declared(declarator: Node) -> Node | None:
    """The identifier that a declarator declares as a variable; ``None`` if it declares a function."""
    node: Node | None = declarator
    while node is not None and node.type != "identifier":
        inner = node.child_by_field_name("declarator")
        if node.type == "function_declarator" and (inner is None or inner.type == "identifier"):
            return None
        if inner is None and node.type == "parenthesized_declarator":
            inner = next((child for child in node.named_children if child.type.endswith("declarator")), None)
        node = inner
    return node


_JAVA_NAMED = frozenset({"formal_parameter", "catch_formal_parameter", "enhanced_for_statement", "resource"})
_JAVA_SCOPES = frozenset(
    {
        "block",
        "for_statement",
        "switch_block",
        "constructor_body",
        "method_declaration",
        "constructor_declaration",
        "lambda_expression",
    }
)


def _java_declarations(source: Source) -> Iterator[Declaration]:
    for node in source.nodes:
        if node.has_error:
            continue
        kind = node.child_by_field_name("type")
        written = "" if kind is None else source.of(kind)
        if node.type in ("local_variable_declaration", "spread_parameter"):
            scope = _around(node, _JAVA_SCOPES)
            for declarator in node.children:
                name = declarator.child_by_field_name("name") if declarator.type == "variable_declarator" else None
                if name is not None and scope is not None:
                    yield Declaration(name, name.start_byte, scope.end_byte, written)
        elif node.type == "lambda_expression":
            for name in _lambda_names(node):
                yield Declaration(name, name.start_byte, node.end_byte, "")
        elif node.type in _JAVA_NAMED:
            name = node.child_by_field_name("name")
            if name is None:
                continue
            scope = _named_scope(node)
            if scope is not None:
                start = scope.start_byte if node.type == "enhanced_for_statement" else name.start_byte
                yield Declaration(name, start, scope.end_byte, written)


def _lambda_names(node: Node) -> list[Node]:
    """The untyped parameters of a lambda expression."""
    parameters = node.child_by_field_name("parameters")
    if parameters is None:
        return []
    names = [parameters] if parameters.type == "identifier" else parameters.named_children
    return [name for name in names if name.type == "identifier"]


def _named_scope(node: Node) -> Node | None:
    """The scope of the variable of a loop, a ``catch``, a resource or a parameter list."""
    if node.type == "formal_parameter":
        return _around(node, _JAVA_SCOPES)
    owners = frozenset({"enhanced_for_statement", "catch_clause", "try_with_resources_statement"})
    owner = node if node.type in owners else _around(node, owners)
    return None if owner is None else owner.child_by_field_name("body")


def _around(node: Node, kinds: frozenset[str]) -> Node | None:
    parent = node.parent
    while parent is not None and parent.type not in kinds:
        parent = parent.parent
    return parent


DECLARATIONS: dict[str, Callable[[Source], Iterator[Declaration]]] = {"c": _c_declarations, "java": _java_declarations}
"""Language -> what finds the declarations of local variables and parameters."""
