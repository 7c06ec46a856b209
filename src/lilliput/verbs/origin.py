"""Where a generator's checkpoint is from, and its license, as far as its own files say.

Nothing is guessed: the name of a folder or model is not a hub id, and ``_name_or_path`` in ``config.json`` is whatever
path somebody trained from. Facts that the files do not state are left out.

Sources: the hub's model cards (https://huggingface.co/docs/hub/model-cards) and GGUF's metadata keys
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, "General metadata").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.report.front import hub_id, read_front
from lilliput.teachers.hub import CARD

_MOST = 1_000_000
"""Bytes of a card to read: its front matter is at the beginning."""

_CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)")
"""A model's folder in the hub cache."""

_HUB = re.compile(r"https://(?:huggingface\.co|hf\.co)/([^/?#]+/[^/?#]+)/?")

_GGUF_SOURCES = ("general.source.huggingface.repository", "general.source.repo_url", "general.repo_url")


def origin_of(path: Path, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What is known about the origin of a checkpoint.

    Args:
        path: its folder, or its GGUF file.
        metadata: metadata of the GGUF file.

    Returns:
        Any of ``source`` (its own id on the hub), ``base_model`` (ids of the models it was made from), ``title`` (its
        name in words), ``license``, ``license_name`` and ``license_link`` (as on the hub).
    """
    facts = _of_folder(path) if metadata is None else _of_gguf(metadata)
    return {name: value for name, value in facts.items() if value}


def _of_folder(folder: Path) -> dict[str, Any]:
    try:
        with (folder / CARD).open("rb") as stream:
            front = read_front(stream.read(_MOST).decode("utf-8", "replace"))
    except OSError:  # no card, or not readable
        front = {}
    cached = next((found for part in folder.resolve().parts if (found := _CACHED.fullmatch(part))), None)
    return {
        "source": None if cached is None else hub_id(f"{cached[1]}/{cached[2]}"),
        "base_model": [name for name in front.get("base_model", ()) if hub_id(name)],
        **{name: _only(front.get(name, ())) for name in ("license", "license_name", "license_link")},
    }


def _of_gguf(metadata: Mapping[str, Any]) -> dict[str, Any]:
    def text(name: str) -> str | None:
        value = metadata.get(name)
        return value if isinstance(value, str) else None

    count = metadata.get("general.base_model.count", 0)
    places = range(min(int(count), 16)) if isinstance(count, int) else ()
    bases = [_hub_repository(text(f"general.base_model.{place}.repo_url")) for place in places]
    return {
        "source": next((found for name in _GGUF_SOURCES if (found := _hub_repository(text(name)))), None),
        "base_model": [base for base in bases if base],
        "title": text("general.name"),
        "license": text("general.license"),
        "license_name": text("general.license.name"),
        "license_link": text("general.license.link"),
    }


def _hub_repository(address: str | None) -> str | None:
    """The id in a hub URL, or the string itself if it is an id."""
    found = _HUB.fullmatch(address or "")
    return hub_id(address if found is None else found[1])


def _only(texts: tuple[str, ...]) -> str | None:
    """The only element, if there is one: of several licenses, none is *the* license."""
    return texts[0] if len(texts) == 1 else None
