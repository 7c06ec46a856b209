"""Arrays in files, and arrays of numbers that are none."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.errors import NumericError


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz``, which may come from a stranger: no pickle is opened.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none, or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (EOFError, KeyError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def require_finite(values: NDArray[np.floating[Any]]) -> None:
    """Refuse what a model computed where some of it is infinite, or no number at all.

    Raises:
        NumericError: some is.
    """
    if not np.isfinite(values).all():
        raise NumericError(
            "the model gives no numbers: something in it overflows, or its weights do.",
            where="logits",
            remedy="Get the model again, or make it small otherwise.",
        )
