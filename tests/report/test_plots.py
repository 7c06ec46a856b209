"""Plots: marks are at the right places, and an SVG contains only the plot."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest

from lilliput.report import Evidence, plots

HOSTILE = "<script>alert(1)</script> & \"q\" 'a' $\\frac{ _x \x00\x1b \ud800 模型"


def model(name: str, size: float, accuracy: float | None = None, **evaluation: object) -> Evidence:
    return Evidence(name, {"bytes": {"total": size}, "accuracy": accuracy, **evaluation})


def parsed(svg: str | None) -> ElementTree.Element:
    assert svg is not None
    return ElementTree.fromstring(svg)


def uses(root: ElementTree.Element, series: int) -> list[tuple[float, float]]:
    """Positions of a series' marks in the plot (those of the key are below it)."""
    marks = [e for e in root.iter("use") if f"var(--series-{series})" in e.get("style", "")]
    return [(float(e.attrib["x"]), float(e.attrib["y"])) for e in marks if float(e.attrib["x"]) > 30]


def texts(root: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in root.iter("text")]


def test_size_plot_places_models_by_log_bytes_and_accuracy() -> None:
    sizes, scores = [3e6, 40e6, 499e6], [0.61, 0.66, 0.63]
    models = [model("m", size, score) for size, score in zip(sizes, scores, strict=True)]
    root = parsed(plots.size_against_score(models, "k"))
    x, y = np.array([uses(root, series)[0] for series in range(3)]).T
    logs = np.log10(sizes)
    # SVG coordinates have six decimals.
    assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx((logs[1] - logs[0]) / (logs[2] - logs[0]), abs=1e-4)
    assert (y[1] - y[0]) / (y[2] - y[0]) == pytest.approx((0.66 - 0.61) / (0.63 - 0.61), abs=1e-3)
    assert y[1] < y[0], "a higher accuracy stands higher"


def test_size_plot_draws_each_interval_to_scale() -> None:
    first = model("a", 3e6, 0.60, intervals={"accuracy": [0.57, 0.65]})
    second = model("b", 9e6, 0.70)
    root = parsed(plots.size_against_score([first, second], "k"))
    heights = sorted({y for _, y in uses(root, 0)})
    assert len(heights) == 3, "two caps and the point"
    # SVG coordinates grow downward: from 65 % at the top to 60 % and on to 57 %.
    assert (heights[1] - heights[0]) / (heights[2] - heights[1]) == pytest.approx(5 / 3, abs=1e-3)
    assert len(uses(root, 1)) == 1, "no interval, no caps"


def test_size_plot_labels_models_and_baselines_with_their_figures() -> None:
    one = model("small", 2_941_312, 0.634, baselines={"majority": 0.541, "token_logistic": 0.627})
    root = parsed(plots.size_against_score([one], "k"))
    for text in (
        "small: 2.94 MB, 63.4 %",
        "majority class: 54.1 %",
        "logistic regression on TF-IDF of tokens: 62.7 %",
        "accuracy, %",
    ):
        assert text in texts(root)
    assert "small: 2.94 MB, 63.4 %" in root.attrib["aria-label"]


def test_size_plot_uses_f1_without_an_accuracy() -> None:
    root = parsed(plots.size_against_score([Evidence("a", {"bytes": {"total": 3e6}, "f1": 0.8})], "k"))
    assert "F1, %" in texts(root)


def test_latency_bars_are_to_scale() -> None:
    times = [2.6, 27.5, 828.0]
    models = [Evidence(f"m{i}", {"latency_ms": {"p50": t, "threads": 1, "tokens": 400}}) for i, t in enumerate(times)]
    root = parsed(plots.latency(models, "k"))
    widths = []
    for series in range(3):
        (bar,) = (e for e in root.iter("path") if f"fill: var(--series-{series})" in e.get("style", ""))
        corners = [float(x) for x, _ in re.findall(r"[ML] (\S+) (\S+)", bar.attrib["d"])]
        widths.append(max(corners) - min(corners))
    # The axis starts at 1 ms, so a bar is as long as the logarithm of its milliseconds.
    assert np.array(widths) / widths[2] == pytest.approx(np.log10(times) / math.log10(828), abs=1e-4)
    assert "milliseconds, log scale; 1 thread, 400 tokens" in texts(root)


def test_latency_under_different_settings_names_each() -> None:
    models = [Evidence(f"m{n}", {"latency_ms": {"p50": 3.0, "p95": 4.0, "threads": n}}) for n in (1, 2)]
    found = texts(parsed(plots.latency(models, "k")))
    assert {"m1 (1 thread)", "m2 (2 threads)", "3.00 ms, p95 4.00 ms", "milliseconds, log scale"} <= set(found)


def test_training_plot_has_a_curve_per_stage_and_averages_long_ones() -> None:
    rng = np.random.default_rng(0)
    losses = rng.random(900)
    history = [{"stage": "student", "epoch": i, "loss": float(loss)} for i, loss in enumerate(losses)]
    history += [{"stage": "quantization-aware", "epoch": i, "loss": 0.5, "valid_accuracy": 0.61} for i in range(3)]
    history += [{"stage": "student", "epoch": None, "loss": 1.0}, {"loss": "x"}, {}]
    root = parsed(plots.training(Evidence("a", history=history), "k"))
    found = texts(root)
    assert {"student: loss", "quantization-aware: loss", "epoch; means of 3 records", "accuracy"} <= set(found)
    means = losses.reshape(-1, 3).mean(axis=1)
    assert f"loss from {means[0]:.3f} to {means[-1]:.3f}" in root.attrib["aria-label"]
    assert "Validation accuracy ended at 61.0 %" in root.attrib["aria-label"]


def test_confusion_cells_are_shaded_by_their_share_of_the_row() -> None:
    evidence = Evidence("a", {"confusion": [[90, 10], [30, 70]], "label_names": ["safe", HOSTILE]})
    root = parsed(plots.confusion(evidence, "k"))
    assert {"90", "10", "30", "70", "safe", "true class", "predicted class"} <= set(texts(root))
    alphas = [
        float(found[1])
        for e in root.iter("path")
        if (found := re.search(r"fill: var\(--series-0\); opacity: ([\d.]+)", e.get("style", "")))
    ]
    assert np.diff(alphas) / 0.5 == pytest.approx(np.diff([0.9, 0.1, 0.3, 0.7]), abs=1e-6)
    assert "safe predicted as" in root.attrib["aria-label"]


@pytest.mark.parametrize(
    "confusion", [None, [], [[1, 2]], [[1], [2, 3]], [[1, None], [2, 3]], [None, [1]], "ab", 3, [[-1, 0], [0, 1]]]
)
def test_invalid_confusion_matrix_is_not_drawn(confusion: object) -> None:
    assert plots.confusion(Evidence("a", {"confusion": confusion}), "k") is None


def test_many_classes_are_drawn_without_numbers_and_very_many_not_at_all() -> None:
    def square(n: int) -> Evidence:
        return Evidence("a", {"confusion": np.eye(n, dtype=int).tolist()})

    assert "1" in texts(parsed(plots.confusion(square(10), "k")))
    assert "1" not in texts(parsed(plots.confusion(square(11), "k")))
    assert plots.confusion(square(plots.MOST_CLASSES + 1), "k") is None


def test_no_evidence_gives_no_plots() -> None:
    empty = Evidence("a", {"bytes": None, "latency_ms": {"p50": 0}, "accuracy": None})
    assert plots.size_against_score([empty, model("b", 0, 0.5)], "k") is None
    assert plots.latency([empty], "k") is None
    assert plots.training(empty, "k") is None
    assert plots.confusion(empty, "k") is None


def hostile_plots() -> list[str | None]:
    evidence = Evidence(
        HOSTILE,
        {
            "accuracy": 0.5,
            "bytes": {"total": 3e6},
            "latency_ms": {"p50": 3.0},
            "confusion": [[1, 0], [0, 1]],
            "label_names": [HOSTILE, HOSTILE],
            "baselines": {HOSTILE: 0.4},
        },
        history=[{"stage": HOSTILE, "epoch": 1, "loss": 0.5}],
    )
    one = [evidence]
    return [
        plots.size_against_score(one, "a"),
        plots.latency(one, "b"),
        plots.training(evidence, "c"),
        plots.confusion(evidence, "d"),
    ]


@pytest.mark.filterwarnings("error")
def test_hostile_names_are_escaped() -> None:
    for svg in hostile_plots():
        root = parsed(svg)
        assert not [e.tag for e in root.iter() if e.tag in {"script", "style", "metadata", "image"}]
        assert "<script" in root.attrib["aria-label"]
        assert any(text.startswith("<scri") for text in texts(root))


def test_svg_refers_only_to_itself_and_has_no_unused_ids() -> None:
    for key, svg in zip("abcd", hostile_plots(), strict=True):
        assert svg is not None
        assert "http" not in svg
        ids = re.findall(r' id="([^"]+)"', svg)
        references = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg))
        assert len(ids) == len(set(ids))
        assert set(ids) == {first or second for first, second in references}
        assert all(name.startswith(f"{key}-") for name in ids)
        assert set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r"<text.*?</text>", "", svg))) == set(), "colors are the page's"


def test_plots_neither_depend_on_nor_change_the_users_settings() -> None:
    expected = hostile_plots()
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red", "text.parse_math": True}):
        before = dict(mpl.rcParams)
        assert hostile_plots() == expected
        assert dict(mpl.rcParams) == before


def test_pyplot_is_never_imported_and_heavy_modules_only_on_demand() -> None:
    program = """
import sys
from lilliput.report import Evidence, card, page, plots
assert not {"matplotlib", "jinja2"} & set(sys.modules)
plots.size_against_score([Evidence("a", {"accuracy": 0.5, "bytes": {"total": 3e6}})], "k")
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
