"""Completers of code: artifacts, checkpoints and servers. ``base.py`` has what they share."""

from __future__ import annotations

from lilliput.verbs.completers.base import (
    KINDS,
    Asked,
    Completer,
    GeneratorSource,
    Made,
    Speed,
    kind_of,
    open_completer,
    refuse_precision,
    refuse_threads,
    require_openable,
)

__all__ = [
    "KINDS",
    "Asked",
    "Completer",
    "GeneratorSource",
    "Made",
    "Speed",
    "kind_of",
    "open_completer",
    "refuse_precision",
    "refuse_threads",
    "require_openable",
]
