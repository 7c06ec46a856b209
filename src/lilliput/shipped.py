"""Models that come with the package: their names, and the folders they are in.

A name is accepted wherever the path of an artifact is, because every such path goes through :func:`folder_named`. A
model of the user's own wins over the name: a folder called ``clone`` here that is an artifact, or a checkpoint, is what
``clone`` means. Any other file or folder of that name, such as one with source code, changes nothing, and a path that
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
"""A folder with any of these is a model: an artifact, a teacher of ours, a Hugging Face folder, the Compressor paper's
checkpoint."""


@dataclass(frozen=True)
class Shipped:
    """A model in the package.

    Attributes:
        name: what it is called, and its folder.
        task: name of its task.
        language: of the functions it was trained on, as :data:`lilliput.data.languages.LANGUAGES` has it.
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
"""For messages."""


def folder_of(name: str) -> Path:
    """The folder of the shipped model called ``name``, whether it is there or not."""
    return Path(str(resources.files("lilliput") / "models" / name))


def shipped_named(path: str | Path) -> Shipped | None:
    """The shipped model where ``path`` is its name and no model of the user's is there."""
    found = SHIPPED.get(str(path))
    return None if found is None or is_model_folder(Path(path)) else found


def folder_named(path: str | Path) -> Path:
    """The shipped model's folder where ``path`` is its name and no model of the user's is there, else ``path``."""
    found = shipped_named(path)
    return Path(path) if found is None else folder_of(found.name)


@contextlib.contextmanager
def names_told(path: str | Path) -> Iterator[None]:
    """Where ``path`` might be meant as a name and is nothing here, errors that users see list the shipped names, too.

    For what opens other things than artifacts: their errors speak of these alone.
    """
    try:
        yield
    except UserError as error:
        if _may_be_a_name(path):
            error.remedy = f"{error.remedy} Models that come with lilliput: {NAMES}.".lstrip()
            error.args = (str(error),)
        raise


def is_model_folder(folder: Path) -> bool:
    """Whether a model is there: its folder has one of :data:`MARKS`, or may not be looked into."""
    try:
        return any((folder / mark).is_file() for mark in MARKS)
    except OSError:  # a folder that may not be looked into: opening it says so
        return True


def _may_be_a_name(path: str | Path) -> bool:
    name = str(path)
    return len(Path(name).parts) == 1 and len(name) <= 2 * max(map(len, SHIPPED)) and not Path(name).exists()
