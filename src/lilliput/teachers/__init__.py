"""Teachers: open a fine-tuned checkpoint of any kind, or fine-tune one.

>>> from lilliput.teachers import open_teacher
>>> teacher = open_teacher("microsoft/codebert-base")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from lilliput.errors import CheckpointError
from lilliput.extras import require
from lilliput.tasks import task_named
from lilliput.teachers.hub import TEACHER

if TYPE_CHECKING:
    from lilliput.teachers.teacher import Teacher


@dataclass(frozen=True)
class Kind:
    """A kind of checkpoint.

    Attributes:
        name: human-readable name, for messages.
        module: submodule whose ``open_checkpoint(path, tokenizer=, task=)`` opens such a checkpoint.
        matches: whether a path looks like such a checkpoint.
    """

    name: str
    module: str
    matches: Callable[[Path], bool]


KINDS = (
    Kind("a teacher made by lilliput", "folder", lambda path: (path / TEACHER).is_file()),
    Kind("a Hugging Face model's folder", "huggingface", lambda path: (path / "config.json").is_file()),
    Kind("the Compressor paper's model.bin", "compressor", lambda path: (path / "model.bin").is_file()),
    Kind("the Compressor paper's model.bin", "compressor", lambda path: path.is_file() and path.suffix == ".bin"),
    Kind("recorded logits", "recorded", lambda path: path.is_file() and path.suffix == ".npz"),
)
"""Tried in order; the first kind that matches opens the checkpoint."""


def open_teacher(checkpoint: str | Path, *, tokenizer: str | Path | None = None, task: str | None = None) -> Teacher:
    """Open a fine-tuned classifier.

    Args:
        checkpoint: a folder or file, or the id of a model on the Hugging Face hub.
        tokenizer: a ``tokenizer.json`` or a tokenizer's folder, if the checkpoint comes without one.
        task: name of the task the checkpoint must be for; its classes are then in the task's order. A checkpoint for
            another task is refused.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, of an unknown kind, or for another task.
        MissingExtra: torch or transformers are not installed.
    """
    for package in ("torch", "transformers", "safetensors"):
        require(package)
    from lilliput.teachers.hub import locate

    path = locate(checkpoint)
    if tokenizer is not None and not Path(tokenizer).exists():
        raise CheckpointError("there is no such tokenizer.", where=tokenizer, remedy="Check the path.")
    for kind in KINDS:
        if kind.matches(path):
            opener = import_module(f"lilliput.teachers.{kind.module}")
            wanted = None if task is None else task_named(task)
            found = None if tokenizer is None else Path(tokenizer)
            return cast("Teacher", opener.open_checkpoint(path, tokenizer=found, task=wanted))
    known = "; ".join(dict.fromkeys(kind.name for kind in KINDS))
    raise CheckpointError(f"is none of these: {known}.", where=path, remedy="Name the checkpoint's own folder or file.")


def __getattr__(name: str) -> object:
    """Import ``Teacher`` on first use: it needs torch, this module does not."""
    if name == "Teacher":
        require("torch")
        return import_module("lilliput.teachers.teacher").Teacher
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["KINDS", "Teacher", "open_teacher"]
