"""tree-sitter's parsers."""

import pytest

from lilliput.data.parsers import parser_of


@pytest.mark.parametrize(
    ("package", "code", "root"),
    [
        ("tree_sitter_c", b"int f(void) { return 1; }", "translation_unit"),
        ("tree_sitter_java", b"class A { int f() { return 1; } }", "program"),
        ("tree_sitter_python", b"def f():\n    return 1\n", "module"),
    ],
)
def test_each_grammar_parses_its_language(package, code, root):
    tree = parser_of(package).parse(code).root_node
    assert (tree.type, tree.has_error) == (root, False)


def test_parser_is_created_once():
    assert parser_of("tree_sitter_c") is parser_of("tree_sitter_c")
