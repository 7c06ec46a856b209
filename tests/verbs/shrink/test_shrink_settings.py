"""Defaults for what a student learns from, and settings that would have no effect."""

import numpy as np
import pytest

from lilliput.distill.linear import Linear
from lilliput.distill.losses import DistillationMix
from lilliput.errors import UserError
from lilliput.grams import Grams
from lilliput.verbs.shrink.settings import LABELS_ALONE, ShrinkSettings, mix_for

ALL, SOME = np.array([0, 1, 1]), np.array([0, 1, -1])


@pytest.mark.parametrize(
    ("labels", "asked", "mix"),
    [
        (ALL, None, LABELS_ALONE),
        (SOME, None, DistillationMix()),
        (ALL, {}, LABELS_ALONE),
        (ALL, {"hard": 1.0}, LABELS_ALONE),
        (SOME, {"hard": 1.0}, DistillationMix(hard=1.0)),
        (ALL, {"soft": 0.7}, DistillationMix(soft=0.7)),
        (ALL, {"hidden": 0.2}, DistillationMix(hidden=0.2)),
        (ALL, {"hard": 0.0}, DistillationMix(hard=0.0)),
        (ALL, {"temperature": 3.0}, DistillationMix(temperature=3.0)),
        (SOME, {"soft": 0.0}, LABELS_ALONE),
        (SOME, {"soft": 0.0, "hidden": 0.3}, DistillationMix(soft=0.0, hidden=0.3)),
        (ALL, DistillationMix(temperature=1.0), DistillationMix(temperature=1.0)),
    ],
)
def test_default_mix_depends_on_the_options_and_the_labels(labels, asked, mix):
    assert mix_for(labels, asked) == mix


def test_rejects_weights_that_leave_nothing_to_learn_from():
    with pytest.raises(UserError, match="nothing to learn from"):
        mix_for(ALL, {"soft": 0.0, "hard": 0.0})


@pytest.mark.parametrize(
    ("mix", "words"),
    [
        ({"sotf": 1.0}, "mix: there is no weight 'sotf'. Weights: temperature"),
        ({"temperature": -1.0}, "--temperature: must be above 0"),
        ({"temperature": 2.0, "soft": 0.0}, "--temperature: goes with a --soft above 0"),
        ({"temperature": 2.0, "soft": 0.0, "hidden": 0.3}, "--temperature: goes with a --soft above 0"),
        ({"soft": float("nan")}, "--soft: must be 0 or more"),
    ],
)
def test_rejects_invalid_weights_before_the_work(mix, words):
    with pytest.raises(UserError, match=words):
        ShrinkSettings(mix=mix)


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("--epochs", {"epochs": 3}),
        ("--dropout", {"dropout": 0.2}),
        ("--vector", {"vector": 8}),
        ("--quantization", {"quantization": "aware"}),
        ("--hidden", {"mix": {"hidden": 0.5}}),
    ],
)
def test_rejects_options_of_networks_without_a_network(option, given):
    with pytest.raises(UserError, match="is for networks, not for --linear alone") as caught:
        ShrinkSettings(linear=Linear(), attended=0, **given)
    assert caught.value.where == option
    assert ShrinkSettings(linear=Linear(), **given).network
    assert ShrinkSettings(linear=Linear(), attended=0, grams=Grams(2, 8, 4), **given).network


@pytest.mark.parametrize(
    ("option", "given", "makes_sense"),
    [
        ("--language", {"language": "c"}, {"robust": 1.0}),
        ("--language", {"language": "c"}, {"data_flow": 8}),
        ("--grams-dropout", {"grams_dropout": 0.5}, {"grams": Grams.parsed("order=2,bits=8,width=8")}),
        ("--aware-epochs", {"aware_epochs": 2, "quantization": "calibration"}, {"quantization": "aware"}),
        ("--aware-epochs", {"aware_epochs": 2, "quantization": "calibration"}, {"quantization": "auto"}),
        ("--aware-epochs", {"aware_epochs": 2, "precision": "fp32"}, {"precision": "int4"}),
        ("--quantization", {"quantization": "aware", "precision": "fp32"}, {"precision": "int8"}),
        ("--quantization", {"quantization": "calibration", "precision": "fp32"}, {"quantization": "auto"}),
    ],
)
def test_rejects_settings_without_effect(option, given, makes_sense):
    with pytest.raises(UserError, match="goes with --") as caught:
        ShrinkSettings(**given)
    assert caught.value.where == option
    ShrinkSettings(**{**given, **makes_sense})
