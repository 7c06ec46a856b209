"""Models that ship with the package: their names and folders.

A name is accepted wherever an artifact's path is, because every such path goes through :func:`folder_named`. The user's
own model takes precedence: if the current folder has a folder ``clone`` that is an artifact or a checkpoint, ``clone``
means that folder. Any other file or folder of that name, such as one with source code, changes nothing, and a path that
is not the bare name (``./clone``) is never a shipped model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from lilliput.errors import UserError

MARKS = ("manifest.json", "lilliput-teacher.json", "config.json", "model.bin")
"""A folder with any of these files is a model: an artifact, a lilliput teacher, a Hugging Face folder, or the
Compressor paper's checkpoint."""


@dataclass(frozen=True)
class Shipped:
    """A model in the package.

    Attributes:
        name: its name, and its folder's.
        task: name of its task.
        language: language of its training functions, a key of :data:`lilliput.data.languages.LANGUAGES`.
        says: what it is for, in a few words.
    """

    name: str
    task: str
    language: str
    says: str


SHIPPED = {
    model.name: model
    for model in (
        Shipped("vulnerability", "vulnerability", "c", "which functions in C to review first"),
        Shipped("clone", "clone", "java", "whether two methods in Java do the same"),
        Shipped("clone-python", "clone", "python", "whether two functions in Python do the same"),
    )
}
"""Name -> model."""

NAMES = ", ".join(SHIPPED)
"""The names, for messages."""


def folder_of(name: str) -> Path:
    """The folder of the shipped model ``name``, whether it exists or not."""
    return Path(str(resources.files("lilliput") / "models" / name))


def shipped_named(path: str | Path) -> Shipped | None:
    """The shipped model called ``path``, unless the user has a model at that path."""
    found = SHIPPED.get(str(path))
    return None if found is None or is_model_folder(Path(path)) else found


def folder_named(path: str | Path) -> Path:
    """The folder of :func:`shipped_named`, or ``path`` itself if there is no such model."""
    found = shipped_named(path)
    return Path(path) if found is None else folder_of(found.name)


@contextlib.contextmanager
def names_told(path: str | Path) -> Iterator[None]:
    """Add the shipped names to a :class:`UserError` if ``path`` may be a misspelled name and nothing is at that path.

    For code that opens models other than artifacts, whose errors do not list these names.
    """
    try:
        yield
    except UserError as error:
        if _may_be_a_name(path):
            error.remedy = f"{error.remedy} Models that come with lilliput: {NAMES}.".lstrip()
            error.args = (str(error),)
        raise


def is_model_folder(folder: Path) -> bool:
    """Whether ``folder`` is a model: it has one of :data:`MARKS`, or is not accessible."""
    try:
        return any((folder / mark).is_file() for mark in MARKS)
    except OSError:  # not accessible: opening the folder says so
        return True


def _may_be_a_name(path: str | Path) -> bool:
    name = str(path)
    return len(Path(name).parts) == 1 and len(name) <= 2 * max(map(len, SHIPPED)) and not Path(name).exists()
