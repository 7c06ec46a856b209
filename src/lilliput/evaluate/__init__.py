"""Measures: one file each, numpy in and frozen dataclasses out; none of them knows a model.

``classification`` (accuracy, F1, MCC), ``intervals`` (of proportions), ``baselines`` (what no model at all reaches),
``agreement`` (student against teacher, calibration), ``resources`` (latency, memory), ``energy`` and ``carbon``;
of generators ``perplexity`` and ``passk``, with the ``sandbox`` that runs what they wrote.
"""
