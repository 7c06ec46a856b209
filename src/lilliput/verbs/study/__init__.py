"""``study``: many ways to quantize one generator, measured. ``verb.py`` is the verb, ``job.py`` what one job does."""

from __future__ import annotations

from lilliput.verbs.study.verb import StudyResult, default_quality, study

__all__ = ["StudyResult", "default_quality", "study"]
