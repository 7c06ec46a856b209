"""Evidence shared by the page, its plots and the card: reading figures that may be missing, and formatting them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.report import (
    Baseline,
    Evidence,
    as_number,
    baselines,
    clean,
    distinct_baselines,
    look_up,
    named_apart,
    percent,
    scaled,
    significant,
)

EXPONENTS = {"n": -9, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12}


@given(st.floats(1e-9, 9e14))
def test_scaled_is_accurate_to_half_a_unit_of_its_last_digit(value: float) -> None:
    number, unit = scaled(value, "J").split(" ")
    read = float(number.replace(",", "")) * 10.0 ** EXPONENTS[unit.removesuffix("J")]
    assert read == pytest.approx(value, rel=0.00501)
    assert len(number.replace(".", "").lstrip("0")) <= 3


@given(st.floats(-1e12, 1e12).filter(lambda value: abs(value) > 1e-12))
def test_significant_is_accurate_and_never_in_scientific_notation(value: float) -> None:
    text = significant(value)
    assert re.fullmatch(r"-?[\d,]+(\.\d+)?", text)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.00501)


def test_figures_are_formatted() -> None:
    assert [scaled(n, "B") for n in (0, 312, 2_941_312, 999_999, 499e6)] == [
        "0 B",
        "312 B",
        "2.94 MB",
        "1.00 MB",
        "499 MB",
    ]
    assert scaled(0.0394, "J") == "39.4 mJ"
    assert scaled(5.18e-6, "g") == "5.18 µg"
    assert [significant(x) for x in (0, 2.6, 27.5, 828, 12345)] == ["0", "2.60", "27.5", "828", "12,300"]
    assert percent(0.961) == "96.1"


@pytest.mark.parametrize("value", [None, "fast", True, math.nan, math.inf, -math.inf, 10**400, [1], {}])
def test_anything_but_a_finite_number_is_none(value: object) -> None:
    assert as_number(value) is None
    assert Evidence("x", {"latency_ms": {"p50": value}}).number("latency_ms", "p50") is None


def test_look_up_accepts_values_of_other_types() -> None:
    assert look_up({"a": {"b": 3}}, "a", "b") == 3
    for source in (None, 3, "text", {"a": None}, {"a": 1}):
        assert look_up(source, "a", "b") is None


@pytest.mark.parametrize("ends", [None, [0.1], [0.1, None], "ab", [0.1, 0.2, 0.3], 3])
def test_interval_has_two_ends_or_is_none(ends: object) -> None:
    assert Evidence("x", {"intervals": {"f1": ends}}).interval("f1") is None


def test_interval_bytes_and_settings() -> None:
    evaluation = {"intervals": {"f1": [0.1, 0.2]}, "latency_ms": {"threads": 1, "tokens": 400, "per": "function"}}
    evidence = Evidence("x", evaluation, inspect={"bytes": {"total": 7}})
    assert evidence.interval("f1") == (0.1, 0.2)
    assert evidence.total_bytes == 7
    assert evidence.settings == "1 thread, 400 tokens, per function"
    assert Evidence("x").settings == ""


def test_detailed_baselines_take_precedence_over_bare_accuracies() -> None:
    details = {"majority class": {"accuracy": 0.54, "f1": 0, "mcc": 0, "fitted_on": "the training data"}}
    evidence = Evidence("x", {"baselines": {"majority": 0.54, "token_logistic": 0.627, "details": details}})
    assert baselines(evidence) == [
        Baseline("majority class", 0.54, 0.0, 0.0, "the training data"),
        Baseline("logistic regression on TF-IDF of tokens", 0.627),
    ]
    assert baselines(Evidence("x", {"baselines": {"details": None, "majority": None}})) == []
    assert baselines(Evidence("x", {"baselines": 3})) == []


def test_equal_baselines_are_merged_and_others_listed_separately() -> None:
    one, same, other = (
        Evidence(name, {"baselines": {"majority": score}}) for name, score in zip("abc", (0.5, 0.5, 0.7), strict=True)
    )
    assert distinct_baselines([one, same]) == [Baseline("majority class", 0.5)]
    assert distinct_baselines([one, other]) == [
        Baseline("majority class, on the data of a", 0.5),
        Baseline("majority class, on the data of c", 0.7),
    ]


def test_models_of_equal_names_are_numbered() -> None:
    models = [Evidence(name) for name in ("a", "b", "a", "a")]
    assert [model.name for model in named_apart(models)] == ["a", "b", "a (2)", "a (3)"]


@given(st.text())
def test_clean_text_is_one_printable_line_of_valid_utf8(text: str) -> None:
    cleaned = clean(text)
    assert all(character.isprintable() for character in cleaned)
    cleaned.encode("utf-8")
    assert clean(cleaned) == cleaned
