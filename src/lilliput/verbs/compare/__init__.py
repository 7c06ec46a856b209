"""``compare``: models side by side. ``verb.py`` is the verb; ``child.py`` runs in a separate process per model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lilliput.lazily import on_first_use

if TYPE_CHECKING:
    from lilliput.verbs.compare.result import Comparison
    from lilliput.verbs.compare.verb import CompareSettings, compare
else:
    # Each model's process imports this package too, and its memory is measured, so it must load only what it needs.
    __getattr__ = on_first_use(
        __name__,
        {
            "CompareSettings": ".verb",
            "Comparison": ".result",
            "compare": ".verb",
        },
    )

__all__ = ["CompareSettings", "Comparison", "compare"]
