"""``shrink``: turn a teacher into an artifact within a budget. ``verb.py`` is the verb, ``stages.py`` the work."""

from __future__ import annotations

from lilliput.verbs.shrink.settings import ShrinkSettings
from lilliput.verbs.shrink.verb import ShrinkResult, shrink, shrink_model, validation_evidence

__all__ = ["ShrinkResult", "ShrinkSettings", "shrink", "shrink_model", "validation_evidence"]
