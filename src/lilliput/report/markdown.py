"""Untrusted facts as Markdown."""

from __future__ import annotations

import re

from lilliput.report import clean


def markdown_text(value: str) -> str:
    """``value`` as Markdown text: on one line, with nothing in it read as markup."""
    return re.sub(r"([\\`*_~$\[\]<>|#&])", r"\\\1", clean(value))


def markdown_code(value: str) -> str:
    """``value`` as Markdown code, in a fence longer than any run of backticks it holds (CommonMark, section 6.1)."""
    text = clean(value)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
