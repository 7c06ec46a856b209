"""Error messages, and the checks that raise them."""

import importlib

import pytest

from lilliput.constants import MOST
from lilliput.errors import DataError, UserError, refuse_absurd, require_text, require_whole


def test_error_names_file_line_fault_and_remedy():
    error = UserError("has no label.", where="data.jsonl", line=3, remedy="Add one.")
    assert str(error) == "data.jsonl, line 3: has no label. Add one."
    assert (error.problem, error.where, error.line, error.exit_code) == ("has no label.", "data.jsonl", 3, 2)


def test_error_without_a_place_starts_with_the_fault():
    assert str(UserError("the disk is full.")) == "the disk is full."


@pytest.mark.parametrize("value", [0, 1.0, True, "2", None])
def test_rejects_anything_but_positive_whole_numbers(value):
    with pytest.raises(UserError, match=r"--seeds: must be 1 or more, a whole number; it is") as caught:
        require_whole(value, 1, "--seeds")
    assert repr(value) in str(caught.value)


def test_positive_whole_number_is_returned():
    assert require_whole(1, 1, "--seeds") == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [(b"x", "is not a string but bytes"), ("a\udfff", "holds a lone surrogate"), ("\ud800", "holds a lone surrogate")],
)
def test_rejects_what_is_not_text(value, words):
    with pytest.raises(DataError, match=f"^prompt 0: {words}") as caught:
        require_text(value, "prompt 0")
    assert caught.value.remedy


@pytest.mark.parametrize("value", ["", "def", "\ue000\ud7ff\U0001f600"])
def test_text_is_returned(value):
    assert require_text(value, "prompt 0") == value
    value.encode()  # accepted text can be written


def test_rejects_absurd_numbers():
    refuse_absurd({"batch": MOST["batch"], "samples": None, "hidden": 10**30, "n": True})
    with pytest.raises(UserError, match=r"^batch: 10,001 is too large\. Give 10,000 at most"):
        refuse_absurd({"n": 1, "batch": MOST["batch"] + 1})


@pytest.mark.parametrize(
    ("module", "settings", "name"),
    [
        ("lilliput.runtime.settings", "Settings", "n"),
        ("lilliput.teachers.finetune", "FinetuneSettings", "batch"),
        ("lilliput.verbs.shrink.settings", "ShrinkSettings", "candidates"),
        ("lilliput.verbs.compare", "CompareSettings", "rounds"),
        ("lilliput.study.jobs", "Measures", "piece_tokens"),
    ],
)
def test_settings_reject_absurd_numbers(module, settings, name):
    with pytest.raises(UserError, match=f"^{name}: 1,000,000,000 is too large"):
        getattr(importlib.import_module(module), settings)(**{name: 10**9})
