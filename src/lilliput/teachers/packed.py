"""Refuse checkpoints whose weights are already quantized: their codes, read as weights, would make a broken model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.errors import CheckpointError

FIELD = "quantization_config"
"""Field of a ``config.json``: how transformers reads weights packed by bitsandbytes, GPTQ, AWQ and others."""

_REMEDY = "Give the checkpoint that it was made from, in float32, bfloat16 or float16."


def refuse_quantized(config: object, where: Path) -> None:
    """Refuse a checkpoint that declares itself quantized.

    Args:
        config: the value of :data:`FIELD` in its ``config.json``.
        where: that file.

    Raises:
        CheckpointError: the field is set; the message names the method.
    """
    if config:
        raise CheckpointError(
            f"has '{FIELD}': its weights are quantized already, by {_method(config)}.", where=where, remedy=_REMEDY
        )


def _method(config: object) -> str:
    values: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
    old = next(("bitsandbytes" for name in values if name.startswith("load_in_")), "an unnamed method")
    return str(values.get("quant_method") or old)


def codes_refused(name: str, kind: str, file: Path) -> CheckpointError:
    """The error to raise for a weight that is stored as codes.

    Args:
        name: the tensor's name.
        kind: how it is stored.
        file: the file that holds it.
    """
    return CheckpointError(
        f"holds the tensor '{name}' as {kind}: codes of weights that are quantized already.",
        where=file,
        remedy=_REMEDY,
    )
