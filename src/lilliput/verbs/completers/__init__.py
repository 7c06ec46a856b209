"""What can be asked to complete code: an artifact, a checkpoint, a server. ``base.py`` is common to all."""

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
