"""Checkpoints whose weights are quantized already: their codes, taken for weights, would make a model that babbles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lilliput.errors import CheckpointError

FIELD = "quantization_config"
"""Of a ``config.json``: how transformers is to read what bitsandbytes, GPTQ, AWQ and others have packed."""

_REMEDY = "Give the checkpoint that it was made of, in float32, bfloat16 or float16."


def refuse_quantized(config: object, where: Path) -> None:
    """Refuse a checkpoint that says that it is quantized.

    Args:
        config: what its ``config.json`` has as :data:`FIELD`.
        where: that file.

    Raises:
        CheckpointError: it does; the message names the method.
    """
    if config:
        raise CheckpointError(
            f"has '{FIELD}': its weights are quantized already, by {_method(config)}.", where=where, remedy=_REMEDY
        )


def _method(config: object) -> str:
    values: Mapping[str, Any] = config if isinstance(config, Mapping) else {}
    old = next(("bitsandbytes" for name in values if name.startswith("load_in_")), "a method that has no name there")
    return str(values.get("quant_method") or old)


def codes_refused(name: str, kind: str, file: Path) -> CheckpointError:
    """What to raise where a weight is stored as codes.

    Args:
        name: of the tensor.
        kind: how it is stored.
        file: which holds it.
    """
    return CheckpointError(
        f"holds the tensor '{name}' as {kind}: codes of weights that are quantized already.",
        where=file,
        remedy=_REMEDY,
    )
