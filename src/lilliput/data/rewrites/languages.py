"""What the rewrites need to know about each language: names of its grammar's nodes, and a little of its text.

One frozen record per language, so that the rewrites do not branch on languages. The names are those of the tree-sitter
grammars ``tree-sitter-c``, ``tree-sitter-java`` and ``tree-sitter-python``.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from lilliput.data.languages import for_language

Places = frozenset[tuple[str, str]]
"""Pairs of a node's type and the name of one of its fields."""


@dataclass(frozen=True)
class Language:
    """A language whose functions can be rewritten.

    Attributes:
        name: its name for ``--language``.
        grammar: the package with its grammar.
        wrappers: text before and after a function that makes it a whole program; the first without a parse error is
            used, else the one with the fewest.
        comments: types of comments.
        atoms: types of nodes that count as one token, whatever they contain.
        blocks: types of nodes that are lists of statements.
        closed: parents whose blocks are not lists of a function's statements.
        unentered: statements before which nothing may be inserted.
        comment_forms: how a comment is written, ``{}`` being its words.
        dead_code: statements that have no effect; ``{name}`` is a fresh name, ``{a}`` and ``{b}`` are numbers.
        keywords: words that cannot name a variable.
        camel: whether names of two words are written ``twoWords``, not ``two_words``.
        elsewhere: places of identifiers that do not name variables: fields, methods, labels.
        called: places of identifiers that are called.
        type_names: types of identifiers that name types or labels.
        zones: nodes in which names cannot be resolved: assembler, macro definitions.
        zone_fields: the same, for one field of a node.
        macro: pattern of the usual names of macros; ``None`` if there are no macros.
        true: a condition that always holds.
        for_loop: type of loops with initializer, condition and update.
        initializer: the field of that initializer.
        while_loop: type of loops with only a condition.
        loops: types of all loops.
        barriers: nodes that a ``continue`` cannot cross, besides loops.
        declarations: types of declarations among statements.
        labelled: type of statements with a label.
        completes: types of statements after which another is reachable; ``None`` if the language does not care.
        operators: nodes whose punctuation may be written with or without spaces.
        spaced_keywords: keywords that are followed by a parenthesis.
        braces: whether blocks are in braces, so that line breaks have no meaning.
    """

    name: str
    grammar: str
    comments: frozenset[str]
    atoms: frozenset[str]
    blocks: frozenset[str]
    comment_forms: tuple[str, ...]
    dead_code: tuple[str, ...]
    keywords: frozenset[str]
    operators: frozenset[str]
    wrappers: tuple[tuple[str, str], ...] = (("", ""),)
    closed: frozenset[str] = frozenset()
    unentered: frozenset[str] = frozenset()
    camel: bool = False
    elsewhere: Places = frozenset()
    called: Places = frozenset()
    type_names: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    zone_fields: Places = frozenset()
    macro: re.Pattern[str] | None = None
    true: str = ""
    for_loop: str = ""
    initializer: str = ""
    while_loop: str = ""
    loops: frozenset[str] = frozenset()
    barriers: frozenset[str] = frozenset()
    declarations: frozenset[str] = frozenset()
    labelled: str = ""
    completes: frozenset[str] | None = None
    spaced_keywords: frozenset[str] = frozenset()
    braces: bool = True


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


C = Language(
    name="c",
    grammar="tree_sitter_c",
    comments=_words("comment"),
    atoms=_words(
        "comment string_literal char_literal preproc_def preproc_function_def preproc_call preproc_include "
        "system_lib_string"
    ),
    blocks=_words("compound_statement"),
    unentered=_words("case_statement attributed_statement"),
    comment_forms=("/* {} */", "// {}"),
    dead_code=(
        "if (0) {{\n    int {name} = {a};\n    {name} += {b};\n}}",
        "while (0) {{\n    int {name} = {a};\n    {name} -= {b};\n}}",
        "int {name} = {a};\n(void) {name};",
    ),
    keywords=_words(
        "auto break case char const continue default do double else enum extern float for goto if inline int long "
        "register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while "
        "asm bool true false typeof class new delete this template namespace errno index signal"
    ),
    type_names=_words("type_identifier statement_identifier"),
    called=frozenset({("call_expression", "function")}),
    zones=_words(
        "preproc_def preproc_function_def preproc_call preproc_include preproc_defined gnu_asm_expression "
        "attribute_specifier macro_type_specifier type_definition enum_specifier"
    ),
    zone_fields=frozenset({("preproc_if", "condition"), ("preproc_elif", "condition"), ("preproc_ifdef", "name")}),
    macro=re.compile(r"_*[A-Z][A-Z0-9_]+"),
    true="1",
    for_loop="for_statement",
    initializer="initializer",
    while_loop="while_statement",
    loops=_words("for_statement while_statement do_statement"),
    declarations=_words("declaration"),
    labelled="labeled_statement",
    operators=_words("binary_expression assignment_expression init_declarator"),
    spaced_keywords=_words("if for while switch"),
)

JAVA = Language(
    name="java",
    grammar="tree_sitter_java",
    wrappers=(("", ""), ("class A {", "}")),
    comments=_words("line_comment block_comment"),
    atoms=_words("line_comment block_comment string_literal character_literal"),
    blocks=_words("block"),
    unentered=_words("yield_statement"),
    comment_forms=("/* {} */", "// {}"),
    dead_code=(
        "if (false) {{\n    int {name} = {a};\n    {name} += {b};\n}}",
        "int {name} = {a};",
        "for (int {name} = {a}; {name} < {a}; {name}++) {{\n}}",
    ),
    keywords=_words(
        "abstract assert boolean break byte case catch char class const continue default do double else enum extends "
        "final finally float for goto if implements import instanceof int interface long native new package private "
        "protected public record return short static strictfp super switch synchronized this throw throws transient "
        "try var void volatile while yield true false null sealed permits"
    ),
    camel=True,
    elsewhere=frozenset(
        {
            ("method_invocation", "name"),
            ("field_access", "field"),
            ("method_declaration", "name"),
            ("constructor_declaration", "name"),
            ("class_declaration", "name"),
            ("annotation", "name"),
            ("marker_annotation", "name"),
            ("element_value_pair", "key"),
            ("labeled_statement", ""),
            ("break_statement", ""),
            ("continue_statement", ""),
            ("method_reference", ""),
        }
    ),
    type_names=_words("type_identifier"),
    zones=_words("switch_label"),
    true="true",
    for_loop="for_statement",
    initializer="init",
    while_loop="while_statement",
    loops=_words("for_statement while_statement do_statement enhanced_for_statement"),
    barriers=_words("lambda_expression class_body"),
    declarations=_words("local_variable_declaration"),
    labelled="labeled_statement",
    completes=_words("expression_statement local_variable_declaration enhanced_for_statement"),
    operators=_words("binary_expression assignment_expression variable_declarator"),
    spaced_keywords=_words("if for while switch catch"),
)

PYTHON = Language(
    name="python",
    grammar="tree_sitter_python",
    comments=_words("comment"),
    atoms=_words("comment string"),
    blocks=_words("block"),
    closed=_words("class_definition"),
    comment_forms=("# {}",),
    dead_code=(
        "if False:\n    {name} = {a}",
        "while False:\n    {name} = {a}",
        "{name} = {a}",
    ),
    keywords=frozenset(keyword.kwlist) | frozenset(keyword.softkwlist),
    operators=_words("binary_operator comparison_operator assignment augmented_assignment"),
    braces=False,
)

LANGUAGES = {language.name: language for language in (C, JAVA, PYTHON)}
"""Name -> language."""


def language_named(name: str) -> Language:
    """The language called ``name``.

    Raises:
        UserError: there is no such language; the message lists the known ones.
    """
    return for_language(LANGUAGES, name, "functions in '{}' cannot be rewritten.")
