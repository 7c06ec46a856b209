"""The Jinja chat template of a checkpoint, read as text and never rendered here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.errors import UserError
from lilliput.files import read_json

TEMPLATE_FILE, TOKENIZER_CONFIG = "chat_template.jinja", "tokenizer_config.json"

GGUF_KEY = "tokenizer.chat_template"
"""Metadata key of the template in a GGUF file."""


def folder_template(folder: Path) -> tuple[str, str] | None:
    """The chat template in a folder, and its file's name: ``chat_template.jinja`` or ``tokenizer_config.json``.

    Raises:
        UserError: the file is damaged.
    """
    file, config = folder / TEMPLATE_FILE, folder / TOKENIZER_CONFIG
    try:
        if file.is_file():
            return file.read_text(encoding="utf-8"), file.name
        values = read_json(config) if config.is_file() else {}
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read: {error}.", where=folder, remedy="Get the files again.") from error
    found = values.get("chat_template") if isinstance(values, Mapping) else None
    if isinstance(found, list):  # several named templates
        named: dict[Any, Any] = {item.get("name"): item.get("template") for item in found if isinstance(item, dict)}
        found = named.get("default")
    return (found, config.name) if isinstance(found, str) else None
