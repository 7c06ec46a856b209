"""Plots of figures with intervals: marks and whiskers are at the right places."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from lilliput.report.interval_plot import MOST_MARKS, Mark, interval_plot

HOSTILE = "<script>alert(1)</script> & $\\frac{ _x 模型"


def root_of(svg: str | None) -> ElementTree.Element:
    assert svg is not None
    return ElementTree.fromstring(svg)


def places(root: ElementTree.Element, series: int) -> list[float]:
    marks = [e for e in root.iter("use") if f"var(--series-{series})" in e.get("style", "")]
    return sorted({round(float(e.attrib["x"]), 3) for e in marks})


def test_marks_and_whiskers_are_to_scale() -> None:
    root = root_of(interval_plot([Mark("a", 40.0, 30.0, 60.0, "40 [30, 60]"), Mark("b", 50.0, None, None, "50", 1)],
                                 "k", "T.", "x", line=0.0))  # fmt: skip
    low, value, high = places(root, 0)
    assert (value - low) / (high - low) == pytest.approx(1 / 3, abs=1e-3)
    (other,) = places(root, 1)
    assert (other - low) / (high - low) == pytest.approx(2 / 3, abs=1e-3)
    texts = [element.text for element in root.iter("text")]
    assert {"a", "40 [30, 60]", "b", "50", "x"} <= set(texts)
    assert root.attrib["aria-label"] == "T. a: 40 [30, 60]. b: 50."


def test_log_scale_spaces_equal_ratios_equally() -> None:
    marks = [
        Mark(str(value), value, None, None, f"{value}x", series) for series, value in enumerate((1.0, 10.0, 100.0))
    ]
    root = root_of(interval_plot(marks, "k", "T.", "x", line=1.0, log=True, write="{:g}x".format))
    one, ten, hundred = (places(root, series)[0] for series in range(3))
    assert ten - one == pytest.approx(hundred - ten, abs=0.01)
    assert "10x" in [element.text for element in root.iter("text")]


def test_hostile_and_long_names_are_escaped_and_shortened() -> None:
    root = root_of(interval_plot([Mark(HOSTILE * 3, 1.0, 0.5, 2.0, "1 [0.5, 2]")], "k", "T.", "x"))
    assert not list(root.iter("script"))
    names = [element.text or "" for element in root.iter("text") if "…" in (element.text or "")]
    assert len(names) == 1 and len(names[0]) + len("1 [0.5, 2]") <= 56


def test_nothing_and_too_much_to_draw() -> None:
    assert interval_plot([], "k", "T.", "x") is None
    many = [Mark(f"row {place}", 1.0, 1.0, 1.0, "1") for place in range(MOST_MARKS + 5)]
    texts = [element.text for element in root_of(interval_plot(many, "k", "T.", "x")).iter("text")]
    assert f"row {MOST_MARKS - 1}" in texts and f"row {MOST_MARKS}" not in texts
