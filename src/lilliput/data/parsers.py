"""tree-sitter parsers, each created once."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from lilliput.extras import require

if TYPE_CHECKING:
    from tree_sitter import Parser


@cache
def parser_of(package: str) -> Parser:
    """The parser of the language whose grammar is in ``package``, such as ``tree_sitter_c``.

    Raises:
        MissingExtra: tree-sitter or the grammar is not installed.
    """
    engine, grammar = require("tree_sitter"), require(package)
    parser: Parser = engine.Parser(engine.Language(grammar.language()))
    return parser
