"""Optional dependencies: the map from modules to the extras that install them."""

from __future__ import annotations

import importlib
from types import ModuleType

from lilliput.errors import MissingExtra

EXTRA_OF = {
    "torch": "train",
    "transformers": "train",
    "safetensors": "train",
    "onnx": "train",
    "sklearn": "evaluate",
    "scipy": "evaluate",
    "onnxruntime": "evaluate",
    "pyarrow": "evaluate",
    "lemminflect": "evaluate",
    "tree_sitter": "evaluate",
    "tree_sitter_c": "evaluate",
    "tree_sitter_java": "evaluate",
    "tree_sitter_python": "evaluate",
    "gguf": "quantize",
    "matplotlib": "report",
    "jinja2": "report",
    "distributed": "cluster",
}
"""Module name -> the extra of this package that installs it."""


def require(module: str) -> ModuleType:
    """Import ``module`` and return it.

    Raises:
        MissingExtra: it is not installed; the message gives the ``pip install`` command for it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        extra = EXTRA_OF[module.split(".", maxsplit=1)[0]]
        raise MissingExtra(
            f"this needs the package '{module.split('.', maxsplit=1)[0]}', which is not installed ({error}).",
            remedy=f"Run: pip install 'lilliput[{extra}]'",
        ) from error
