"""What each language's syntax means for data flow: one frozen table per language, over tree-sitter's node types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lilliput.data.dataflow.rules import (
    Access,
    Assign,
    Branch,
    Define,
    ForEach,
    Ignore,
    Last,
    Loop,
    Only,
    Rule,
    Switch,
    Try,
    Update,
)
from lilliput.data.languages import for_language


@dataclass(frozen=True)
class Aim:
    """How to find the names that are assigned in the target of an assignment.

    Attributes:
        into: fields to search; empty: every named child.
        reads: fields that are only read to locate the target: an index.
        partial: whether only a part of what ``into`` names is assigned.
        member: field of the name of a member, which is assigned.
    """

    into: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    partial: bool = False
    member: str = ""


@dataclass(frozen=True)
class Grammar:
    """A language whose data flow can be found.

    Attributes:
        name: of the language.
        package: package of its tree-sitter grammar.
        comments: types of comments.
        atoms: types of nodes that are one token, whatever they contain.
        names: types of leaves that name variables (and functions: a called function is a source of the value, too).
        members: types of leaves that always name fields.
        constants: types of leaves that are sources of values, besides names.
        rules: type -> its rule; other nodes stand for their children, in order.
        aims: type -> how an assignment's target of this type is read.
        tuples: types of nodes whose elements are assigned one by one.
        splats: types of elements that prevent this.
        jumps: types of statements after which the next one is not reached.
        blocks: types of nodes that end with their last statement.
        wrappers: text around a function that makes it a whole program; the first that parses without errors is used.
        docstrings: pairs of the types of a statement and its only child that count as comments, too.
    """

    name: str
    package: str
    comments: frozenset[str]
    atoms: frozenset[str]
    names: frozenset[str]
    constants: frozenset[str]
    rules: Mapping[str, Rule]
    aims: Mapping[str, Aim]
    members: frozenset[str] = frozenset()
    tuples: frozenset[str] = frozenset()
    splats: frozenset[str] = frozenset()
    jumps: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()
    wrappers: tuple[tuple[bytes, bytes], ...] = ((b"", b""),)
    docstrings: frozenset[tuple[str, str]] = field(default_factory=frozenset)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


C = Grammar(
    name="c",
    package="tree_sitter_c",
    comments=_words("comment"),
    atoms=_words("comment string_literal char_literal system_lib_string preproc_arg"),
    names=_words("identifier"),
    members=_words("field_identifier"),
    constants=_words("number_literal string_literal char_literal true false null"),
    rules={
        "declaration": Define("declarator", nested=_words("init_declarator")),
        "init_declarator": Assign("declarator", "value", computed=False),
        "parameter_declaration": Define("declarator"),
        "assignment_expression": Assign("left", "right", operator="operator"),
        "update_expression": Update("argument"),
        "if_statement": Branch(),
        "while_statement": Loop(test=("condition",)),
        "for_statement": Loop(test=("condition",), body=("body", "update")),
        "do_statement": Loop(test=(), body=("body", "condition")),
        "switch_statement": Switch(_words("case_statement")),
        "goto_statement": Ignore(),
    },
    aims={
        "pointer_declarator": Aim(("declarator",)),
        "array_declarator": Aim(("declarator",), reads=("size",)),
        "function_declarator": Aim(("declarator",)),
        "init_declarator": Aim(("declarator",), reads=("value",)),
        "parenthesized_declarator": Aim(),
        "attributed_declarator": Aim(),
        "parenthesized_expression": Aim(),
        "cast_expression": Aim(("value",)),
        "pointer_expression": Aim(("argument",), partial=True),
        "subscript_expression": Aim(("argument",), reads=("index",), partial=True),
        "field_expression": Aim(("argument",), partial=True, member="field"),
    },
    jumps=_words("break_statement return_statement continue_statement goto_statement"),
    blocks=_words("compound_statement case_statement"),
)

JAVA = Grammar(
    name="java",
    package="tree_sitter_java",
    comments=_words("line_comment block_comment"),
    atoms=_words("line_comment block_comment string_literal character_literal"),
    names=_words("identifier"),
    constants=_words(
        "type_identifier string_literal character_literal decimal_integer_literal hex_integer_literal "
        "octal_integer_literal binary_integer_literal decimal_floating_point_literal hex_floating_point_literal "
        "true false null_literal"
    ),
    rules={
        "variable_declarator": Assign("name", "value", computed=False),
        "resource": Assign("name", "value", computed=False),
        "formal_parameter": Define("name"),
        "catch_formal_parameter": Define("name"),
        "inferred_parameters": Define(),
        "assignment_expression": Assign("left", "right", operator="operator"),
        "update_expression": Update(),
        "field_access": Access("field", "."),
        "method_invocation": Access("name", "()"),
        "if_statement": Branch(last=""),
        "while_statement": Loop(test=("condition",)),
        "for_statement": Loop(test=("condition",), body=("body", "update")),
        "enhanced_for_statement": ForEach("name", "value"),
        "do_statement": Loop(test=(), body=("body", "condition")),
        "switch_expression": Switch(_words("switch_block_statement_group switch_rule")),
        "try_statement": Try(_words("catch_clause")),
        "try_with_resources_statement": Try(_words("catch_clause")),
        "break_statement": Ignore(),
        "continue_statement": Ignore(),
        "marker_annotation": Ignore(),
    },
    aims={
        "parenthesized_expression": Aim(),
        "field_access": Aim(("object",), partial=True, member="field"),
        "array_access": Aim(("array",), reads=("index",), partial=True),
    },
    jumps=_words("break_statement return_statement continue_statement throw_statement"),
    blocks=_words("block switch_block_statement_group"),
    wrappers=((b"", b""), (b"class A {", b"}")),
)

_PARAMETERS = Define(nested=_words("default_parameter typed_parameter typed_default_parameter"))

PYTHON = Grammar(
    name="python",
    package="tree_sitter_python",
    comments=_words("comment"),
    atoms=_words("comment string"),
    names=_words("identifier"),
    constants=_words("string integer float true false none"),
    rules={
        "parameters": _PARAMETERS,
        "lambda_parameters": _PARAMETERS,
        "default_parameter": Assign("name", "value", computed=False),
        "typed_default_parameter": Assign("name", "value", computed=False),
        "typed_parameter": Define(nested=_words("type")),
        "type": Ignore(),
        "assignment": Assign("left", "right"),
        "augmented_assignment": Assign("left", "right", keeps=True),
        "named_expression": Assign("name", "value"),
        "as_pattern": Assign("alias", computed=False),
        "for_in_clause": Assign("left", "right"),
        "attribute": Access("attribute", "."),
        "keyword_argument": Only(("value",)),
        "if_statement": Branch(),
        "while_statement": Loop(test=("condition",)),
        "for_statement": ForEach("left", "right"),
        "match_statement": Switch(_words("case_clause")),
        "try_statement": Try(_words("except_clause except_group_clause")),
        "list_comprehension": Last("body"),
        "set_comprehension": Last("body"),
        "dictionary_comprehension": Last("body"),
        "generator_expression": Last("body"),
        "global_statement": Ignore(),
        "nonlocal_statement": Ignore(),
    },
    aims={
        "pattern_list": Aim(),
        "tuple_pattern": Aim(),
        "list_pattern": Aim(),
        "list_splat_pattern": Aim(),
        "dictionary_splat_pattern": Aim(),
        "as_pattern_target": Aim(),
        "attribute": Aim(("object",), partial=True, member="attribute"),
        "subscript": Aim(("value",), reads=("subscript",), partial=True),
    },
    tuples=_words("pattern_list tuple_pattern list_pattern expression_list tuple list"),
    splats=_words("list_splat_pattern list_splat"),
    docstrings=frozenset({("expression_statement", "string")}),
)

GRAMMARS: Mapping[str, Grammar] = {grammar.name: grammar for grammar in (C, JAVA, PYTHON)}
"""Language -> its table."""


def grammar_named(language: str) -> Grammar:
    """The table of ``language``.

    Raises:
        UserError: there is no such table; the message lists the known languages.
    """
    return for_language(GRAMMARS, language, "the data flow of '{}' cannot be found.")
