"""PyTorch files: written atomically, read without executing anything in them."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from lilliput.errors import CheckpointError
from lilliput.files import atomic_file


def save(path: Path, value: Any) -> None:
    """Write ``value`` (tensors in dicts, lists and plain values) to ``path`` atomically.

    Raises:
        UserError: the operating system refuses the write; the message says why.
    """
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        try:
            torch.save(value, stream)
        except RuntimeError as error:  # torch hides the OSError behind its own error
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def load(path: Path, mapped: bool = False) -> Any:
    """Read tensors and plain values onto the CPU with torch's weights-only reader; ``mapped``: memory-map the tensors.

    Files from before torch 1.6, which are not zip archives, cannot be mapped and are read whole.

    Raises:
        CheckpointError: the file is missing, damaged, or a pickle with code to run, none of which was run.
    """
    try:
        mapped = mapped and zipfile.is_zipfile(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except FileNotFoundError as error:
        raise CheckpointError("there is no such file.", where=path, remedy="Check the path.") from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "is damaged, or holds more than tensors and plain values, which could run code; nothing of it was run.",
            where=path,
            remedy="Ask its author for safetensors, or for a plain state dict.",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"is not a PyTorch file, or is damaged ({type(error).__name__}: {error}).",
            where=path,
            remedy="Get the file again.",
        ) from error
