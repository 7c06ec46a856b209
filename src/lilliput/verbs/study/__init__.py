"""``study``: a measured sweep of quantization settings. ``verb.py`` is the verb, ``job.py`` a single job."""

from __future__ import annotations

from lilliput.verbs.study.verb import StudyResult, default_quality, study

__all__ = ["StudyResult", "default_quality", "study"]
