"""Scores that are 0 only by convention are called undefined on the page and on the card."""

import dataclasses

import numpy as np

from lilliput.artifact import open_artifact
from lilliput.evaluate.classification import score
from lilliput.report import Evidence, baselines
from lilliput.report.card_facts import card_facts
from lilliput.report.classifiers import UNDEFINED, baseline_row, model_row, plot_groups
from lilliput.verbs.shrink import validation_evidence

NONE_FOUND = score([0, 1, 1], [0, 0, 0], 2, 1)


def test_page_distinguishes_undefined_scores_from_zeros():
    found = {**NONE_FOUND.as_dict(), "confusion": NONE_FOUND.confusion.tolist(), "label_names": ["no", "yes"]}
    evidence = Evidence("small", found)
    assert [cell.text for cell in model_row(evidence).scores] == ["33.3", "0.0", "undefined"]
    captions = [plot.caption for group in plot_groups([evidence]) for plot in group]
    assert any("precision undefined, recall 0.0 %" in caption for caption in captions)


def test_undefined_scores_of_baselines():
    details = {"majority": {"accuracy": 0.5, "f1": 0.0, "mcc": 0.0, "undefined": ["mcc"], "fitted_on": "the data"}}
    evidence = Evidence("small", {"baselines": {"majority": 0.5, "details": details}})
    (row,) = map(baseline_row, baselines(evidence))
    assert row.scores[2] == UNDEFINED and row.scores[1].text == "0.0"


def test_results_without_the_field_show_zero():
    for said in ({}, {"undefined": "mcc"}, {"undefined": None}):
        assert model_row(Evidence("small", {"mcc": 0.0, **said})).scores[2].text == "0.000"


def test_card_omits_undefined_scores(small):
    manifest = open_artifact(small).manifest
    logits = np.array([[1, 0], [1, 0], [1, 0]], np.float32)
    facts = card_facts(
        "small",
        manifest,
        {"valid": validation_evidence(NONE_FOUND, logits, np.array([0, 1, 1]), 1)},
        {"model.onnx": 1, "tokenizer.json": 1},
    )
    assert (facts.f1, facts.mcc) == (0.0, None)
    assert dataclasses.replace(facts, mcc=0.5) != facts
