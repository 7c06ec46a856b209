"""The front matter of a model card: metadata for a model hub, as YAML between two lines of dashes.

Fields follow the Hugging Face hub's model card specification. A field whose value is unknown is left out: a guessed
license or base model would be worse than none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lilliput.report import clean

LIBRARY = "lilliput"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

_PLAIN = re.compile(r"[A-Za-z][^:#{}\[\],&*!|>'\"%@`]*(?::[^ \t]+)?|[0-9][\w.-]*/[\w.-]+")
"""Some of the texts that need no quotes in YAML; one that begins with a digit could be a number or a date."""

_NO_TEXTS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
"""Scalars that YAML reads as null or as Booleans."""

_TAG = re.compile(r"[\w.-]+", re.ASCII)


def front_matter(fields: Mapping[str, Any]) -> str:
    """Return the block, dashes included; fields that are ``None`` or empty are left out.

    Args:
        fields: plain-word names mapped to text, finite numbers, or lists and mappings of these.
    """
    return "\n".join(["---", *_block(_known(fields), ""), "---", ""])


def read_front(card: str) -> dict[str, tuple[str, ...]]:
    """Read the top-level texts of a card's front matter; anything but a plain text or a list of them is left out.

    This is not a YAML parser: anchors, block scalars and nested mappings are skipped, so that nothing is misread.

    Args:
        card: a card's text; without front matter the result is empty.

    Returns:
        Names mapped to their texts: one, or several from a list.
    """
    block = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", card, re.DOTALL | re.MULTILINE)
    found: dict[str, list[str]] = {}
    texts: list[str] = []
    for line in block[1].splitlines() if block else ():
        if entry := re.fullmatch(r"([A-Za-z]\w*):(?:[ \t]+(\S.*))?", line.rstrip()):
            value = _unquoted(entry[2] or "")
            texts = found[entry[1]] = [] if value is None else [value]
        elif item := re.fullmatch(r"[ \t]*-[ \t]+(\S.*)", line.rstrip()):
            value = _unquoted(item[1])
            texts += [] if value is None else [value]
        elif line.strip() and not line.lstrip().startswith("#"):
            texts.clear()  # the field has nested content: not a text
            texts = []
    return {name: tuple(texts) for name, texts in found.items() if texts}


def _unquoted(value: str) -> str | None:
    """A scalar without quotes and comment; ``None`` where it is not a scalar, or needs a YAML parser."""
    if quoted := re.fullmatch(r"(['\"])([^'\"\\]*)\1(?:[ \t]+#.*)?", value):
        return quoted[2]
    plain = re.split(r"[ \t]#", value, maxsplit=1)[0].rstrip()
    return plain if _PLAIN.fullmatch(plain) and plain.lower() not in _NO_TEXTS else None


def hub_id(name: str | None) -> str | None:
    """``name`` if it has the form of a hub id, ``owner/model``: a plain folder name identifies nothing."""
    return name if name is not None and _HUB_ID.fullmatch(name) else None


def tags(*names: str) -> list[str]:
    """Those of ``names`` that are plain words, without duplicates: a tag is part of a URL."""
    return [name for name in dict.fromkeys(names) if _TAG.fullmatch(name)]


def evaluated(
    model: str, task: str, dataset: tuple[str, str], metrics: Mapping[str, float | None]
) -> list[dict[str, Any]]:
    """``model-index`` with one result; empty where no metric is known.

    Args:
        model: its name.
        task: one of the hub's tasks.
        dataset: its name, and its hub id or ``custom``.
        metrics: name -> value; ``None``: not known.
    """
    known = [
        {"type": name, "name": name, "value": round(value, 4)} for name, value in metrics.items() if value is not None
    ]
    name, kind = dataset
    result = {"task": {"type": task}, "dataset": {"name": name, "type": kind}, "metrics": known}
    return [{"name": model, "results": [result]}] if known else []


def _known(value: Any) -> Any:
    """``value`` with each text on one line, and without values that are ``None`` or empty, at any depth."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {name: known for name, item in value.items() if (known := _known(item)) not in _EMPTY}
    if isinstance(value, Sequence):
        return [known for item in value if (known := _known(item)) not in _EMPTY]
    return value


_EMPTY: tuple[Any, ...] = (None, "", [], {})


def _block(fields: Mapping[str, Any], pad: str) -> Iterator[str]:
    inner = f"{pad}  "
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield f"{pad}{name}:"
            yield from _block(value, inner)
        elif isinstance(value, list):
            yield f"{pad}{name}:"
            for item in value:
                first, *rest = _block(item, inner) if isinstance(item, Mapping) else [f"{inner}{_scalar(item)}"]
                yield f"{pad}- {first.removeprefix(inner)}"
                yield from rest
        else:
            yield f"{pad}{name}: {_scalar(value)}"


def _scalar(value: Any) -> str:
    """Text in JSON notation, which YAML reads the same way; always quoted, so that ``no`` is not a Boolean."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else f"{value}"
