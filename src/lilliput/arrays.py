"""Read arrays from files, and reject NaN and infinity."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import NumericError


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays of an untrusted ``.npz`` file; pickles are not loaded.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not an ``.npz`` file, or is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (EOFError, KeyError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def require_finite(values: NDArray[np.floating[Any]]) -> None:
    """Reject a model's output if any value is infinite or NaN.

    Raises:
        NumericError: a value is infinite or NaN.
    """
    if not np.isfinite(values).all():
        raise NumericError(
            "the model computes infinity or NaN: its activations or its weights overflow.",
            where="logits",
            remedy="Get the model again, or shrink it with other settings.",
        )
