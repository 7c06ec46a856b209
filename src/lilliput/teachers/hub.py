"""Locate a checkpoint: a local folder or file, or a model on the Hugging Face hub, which is downloaded to a folder."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from lilliput.artifact import is_artifact
from lilliput.errors import CheckpointError
from lilliput.teachers.tensors import shards

CONFIG = "config.json"
SAFETENSORS = ("model*.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")
TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
"""Any of these holds a tokenizer's vocabulary."""

_SIDE_FILES = (
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
    "chat_template.jinja",
)
CARD = "README.md"
"""The model card, license included; a model need not have one."""

TEACHER = "lilliput-teacher.json"
"""Manifest of a teacher that lilliput made."""

_OURS = (TEACHER, "head.safetensors")
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


def locate(checkpoint: str | Path) -> Path:
    """The folder or file that ``checkpoint`` names; a hub id is downloaded first, or found in the hub's cache.

    Raises:
        CheckpointError: there is no such path and no such model on the hub, the hub cannot be reached, or the path is
            an artifact.
    """
    path = Path(checkpoint)
    with contextlib.suppress(RuntimeError):  # "~name" without such a user: a folder of that name
        path = path.expanduser()
    if is_artifact(path) and not any((path / name).is_file() for name in (CONFIG, TEACHER)):
        raise CheckpointError(
            "is an artifact: lilliput made it from a checkpoint, and it is not a checkpoint itself.",
            where=path,
            remedy="Give the model that it was made from ('lilliput inspect' names it), or another one.",
        )
    if path.exists():
        return path
    if isinstance(checkpoint, Path) or not _HUB_ID.fullmatch(checkpoint):
        raise CheckpointError("there is no such file or folder.", where=path, remedy="Check the path.")
    folder = _download(checkpoint, (CONFIG, *SAFETENSORS, *TOKENIZER_FILES, *_SIDE_FILES, *_OURS, CARD))
    if not weight_files(folder):
        folder = _download(checkpoint, PICKLES)
    return folder


def weight_files(folder: Path) -> list[Path]:
    """The weight files of a folder: safetensors, else pickles; plus every file that an index names.

    Raises:
        CheckpointError: an index is damaged, or a file that it names is missing.
    """
    for patterns in (SAFETENSORS, PICKLES):
        found = {path for pattern in patterns for path in folder.glob(pattern)}
        if found:
            indices = [path for path in found if path.suffix == ".json"]
            return sorted(found.union(*(shards(index).values() for index in indices)))
    return []


def checkpoint_files(folder: Path) -> tuple[Path, ...]:
    """The files that opening a folder as a model reads; others in it (logs, optimizer states) are left out."""
    names = (CONFIG, *TOKENIZER_FILES, *_SIDE_FILES, *_OURS)
    return (*weight_files(folder), *(folder / name for name in names if (folder / name).is_file()))


def tokenizer_files(tokenizer: str | Path | None) -> tuple[Path, ...]:
    """The files of a tokenizer that is given in addition to a checkpoint: the file, or those of its folder."""
    if tokenizer is None:
        return ()
    place = Path(tokenizer)
    return (
        (place,)
        if place.is_file()
        else tuple(place / name for name in (*TOKENIZER_FILES, *_SIDE_FILES) if (place / name).is_file())
    )


def bytes_by_part(files: Iterable[Path]) -> dict[str, int]:
    """Bytes of a checkpoint's files: ``total``, and per part."""
    parts = {"weights": 0, "tokenizer": 0, "manifest": 0}
    for file in files:
        parts[_part_of(file)] += file.stat().st_size
    return {"total": sum(parts.values()), **parts}


def _part_of(file: Path) -> str:
    if file.suffix in (".safetensors", ".bin"):
        return "weights"
    return "tokenizer" if any(word in file.name for word in ("token", "vocab", "merges", "bpe")) else "manifest"


def _download(model: str, patterns: tuple[str, ...]) -> Path:
    """Download a hub model's files that match ``patterns``; return the folder that holds its files."""
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=list(patterns)))
    except errors.GatedRepoError as error:
        raise CheckpointError(
            "its owner asks you to accept conditions first.", where=model, remedy="Accept them on the hub, then log in."
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise CheckpointError(
            "there is no such path here and no such model on the Hugging Face hub.",
            where=model,
            remedy="Check the name.",
        ) from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, errors.HfHubHTTPError, OSError) as error:
        raise CheckpointError(
            "there is no such path here, and the Hugging Face hub cannot be reached (no network?).",
            where=model,
            remedy="Download the model where there is a network, and give the path of its folder.",
        ) from error
