"""Measures, one per file, that take numpy arrays and return frozen dataclasses; none of them depends on a model.

``classification`` (accuracy, F1, MCC), ``intervals`` (of proportions), ``baselines`` (scores without any model),
``agreement`` (student against teacher, calibration), ``resources`` (latency, memory), ``energy`` and ``carbon``; for
generators ``perplexity`` and ``passk``, with the ``sandbox`` that runs the programs they write.
"""
