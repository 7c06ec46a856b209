"""The page: true sentences, no invented facts, and well-formed, self-contained, safe HTML."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.report import Evidence, page

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = "<script>alert('x')</script>\"><img src=http://x onerror=y> & {{ 7*7 }} $\\frac{ \x00 \ud800"

SMALL: dict[str, Any] = {
    "task": "vulnerability",
    "n": 1200,
    "accuracy": 0.961,
    "f1": 0.95,
    "precision": 0.94,
    "recall": 0.93,
    "mcc": 0.9,
    "intervals": {"accuracy": [0.95, 0.971], "f1": [0.94, 0.96], "mcc": [0.88, 0.92]},
    "baselines": {
        "majority": 0.541,
        "token_logistic": 0.627,
        "details": {"majority class": {"accuracy": 0.541, "f1": 0.0, "mcc": 0.0, "fitted_on": "the training data"}},
    },
    "bytes": {"total": 2_941_312, "weights": 2_700_000, "tokenizer": 239_000, "manifest": 2_312},
    "latency_ms": {"p50": 2.61, "p95": 2.9, "threads": 1, "tokens": 400},
    "peak_memory_mb": 96.5,
    "energy": {"joules_per_example": 0.0394, "kind": "estimated", "method": "processor seconds x 15 W"},
    "carbon": {"grams_co2e_per_example": 5.18e-6, "intensity": {"grams_per_kwh": 473, "region": "world"}},
    "confusion": [[580, 20], [27, 573]],
    "label_names": ["safe", "vulnerable"],
    "machine": {"cpu": "a CPU", "cores": 2},
    "date": "2026-01-01",
    "data": {"sources": ["test.jsonl"], "sha256": "ab" * 32},
}
LARGE = {
    **SMALL,
    "accuracy": 0.969,
    "intervals": {"accuracy": [0.959, 0.977]},
    "bytes": {"total": 120_600_000},
    "latency_ms": {"p50": 91.4, "p95": 99.0, "threads": 1, "tokens": 400},
}
HISTORY = tuple({"stage": "student", "epoch": i, "loss": 1 / (i + 1), "valid_accuracy": 0.6} for i in range(5))
INSPECT = {
    "precision": "int8",
    "architecture": {"layers": 2, "hidden": 256},
    "provenance": {"teacher": "a teacher", "seed": 0, "data": {"train": "cd" * 32}},
}


def small(**changes: Any) -> Evidence:
    return Evidence("small", {**SMALL, **changes}, HISTORY, INSPECT)


def large(**changes: Any) -> Evidence:
    return Evidence("large", {**LARGE, **changes})


class Outline(HTMLParser):
    """Checks that every tag is closed in order, and collects tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute stands twice in <{tag}>"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())


def check_well_formed_and_safe(html: str) -> Outline:
    outline = Outline(html)
    assert html.startswith("<!DOCTYPE html>")
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert not {tag for tag, _ in outline.tags} & {"script", "img", "iframe", "object", "embed", "base", "form"}
    for tag, attrs in outline.tags:
        assert not [name for name in attrs if name.startswith("on")], f"<{tag}> handles events"
        for name in ("src", "href", "action", "data", "srcset"):
            target = attrs.get(name)
            assert target is None or target == "data:," or target.removeprefix("#") in ids
        labelled = attrs.get("aria-labelledby")
        assert labelled is None or labelled in ids
    without_text = re.sub(r">[^<]*<", "><", re.sub(r'aria-label="[^"]*"', "", html))
    assert not re.search(r"url\((?!#)|@import", without_text)
    drawn = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    for svg in drawn:
        root = ElementTree.fromstring(svg)
        assert root.attrib["role"] == "img" and root.attrib["aria-label"]
    html.encode("utf-8")
    return outline


def test_full_page_is_well_formed_and_accessible() -> None:
    html = page.render([small(), large()], "Title", "lilliput report a.json b.json")
    outline = check_well_formed_and_safe(html)
    assert ("html", {"lang": "en"}) in outline.tags
    assert html.count("<svg") == 5, "size, latency, two matrices, one history"
    assert [tag for tag, _ in outline.tags].count("h1") == 1
    for tag, attrs in outline.tags:
        assert tag != "th" or attrs["scope"] in {"row", "col", "colgroup"}
    for text in ("lilliput report a.json b.json", "1 thread, 400 tokens", "estimated", "a CPU", "cd" * 32, "39.4 mJ"):
        assert text in outline.text
    assert "fitted on the training data" in outline.text
    assert "[0.880,\xa00.920]" in outline.text
    assert any(tag == "meta" and "default-src 'none'" in (attrs.get("content") or "") for tag, attrs in outline.tags)


@pytest.mark.parametrize(
    ("model", "reference", "expected"),
    [
        (
            small(),
            large(),
            "small is 41x smaller and 35x faster than large; accuracy 96.1 % [95.0, 97.1] against "
            "96.9 % [95.9, 97.7]; n = 1,200.",
        ),
        (
            small(bytes={"total": 60_300_000}, latency_ms={"p50": 274.2, "threads": 1, "tokens": 400}),
            large(),
            "small is 2.0x smaller and 3.0x slower than large; accuracy 96.1 % [95.0, 97.1] against "
            "96.9 % [95.9, 97.7]; n = 1,200.",
        ),
        (
            small(bytes={"total": 120_000_000}, intervals=None),
            large(),
            "small is 35x faster than large; the same size; accuracy 96.1 % against 96.9 % [95.9, 97.7]; n = 1,200.",
        ),
        (
            small(latency_ms={"p50": 2.61, "threads": 2, "tokens": 400}, n=400),
            large(),
            "small is 41x smaller than large; their speeds were measured under different conditions and are not "
            "compared; accuracy 96.1 % [95.0, 97.1] against 96.9 % [95.9, 97.7]; n = 400 and 1,200.",
        ),
        (
            small(machine={"cpu": "another CPU", "cores": 2}, data={"sha256": "ef" * 32}),
            large(n=None),
            "small is 41x smaller than large; their speeds were measured under different conditions and are not "
            "compared; accuracy 96.1 % [95.0, 97.1] (n = 1,200) against 96.9 % [95.9, 97.7] (n = unknown), on "
            "different data.",
        ),
        (
            small(latency_ms=None),
            large(task="clone"),
            "small is 41x smaller than large; their tasks differ (vulnerability, clone), so their accuracies are not "
            "compared.",
        ),
        (
            small(latency_ms=None, accuracy=None),
            large(),
            "small is 41x smaller than large; accuracy not measured against 96.9 % [95.9, 97.7]; n = 1,200.",
        ),
        (Evidence("a"), Evidence("b"), "b against a: accuracy not measured."),
    ],
)
def test_sentence_of_a_comparison(model: Evidence, reference: Evidence, expected: str) -> None:
    assert page.sentences([model, reference]) == [expected]


def test_every_model_is_compared_with_the_largest_in_any_order() -> None:
    middle = Evidence("middle", {"bytes": {"total": 12_060_000}})
    found = page.sentences([small(), large(), middle])
    assert [re.split(r"[;:]", sentence)[0] for sentence in found] == [
        "small is 41x smaller and 35x faster than large",
        "middle is 10x smaller than large",
    ]


def test_single_model_is_compared_with_its_best_baseline() -> None:
    assert page.sentences([small()]) == [
        "small takes 2.94 MB and 2.61 ms (1 thread, 400 tokens); accuracy 96.1 % [95.0, 97.1] against 62.7 % for the "
        "best baseline (logistic regression on TF-IDF of tokens); n = 1,200."
    ]
    assert page.sentences([Evidence("bare")]) == ["bare: accuracy not measured; n = unknown."]


def test_speeds_of_zero_are_not_compared() -> None:
    html = page.render([small(latency_ms={"p50": 0}), large()], "t", "")
    assert "faster" not in html and "slower" not in html


@pytest.mark.parametrize("key", SMALL)
def test_any_key_may_be_missing(key: str) -> None:
    check_well_formed_and_safe(page.render([Evidence("a", {k: v for k, v in SMALL.items() if k != key})], "t", ""))


@pytest.mark.parametrize("odd", [None, "text", 3, [], {}, [None], {"total": None, "p50": "fast"}])
def test_all_keys_may_be_null_or_of_another_type(odd: object) -> None:
    html = page.render([Evidence("a", dict.fromkeys(SMALL, odd), inspect={"architecture": odd, "bytes": odd})], "t", "")
    check_well_formed_and_safe(html)
    assert "not measured" in html


def test_empty_evaluation_shows_no_figures() -> None:
    outline = check_well_formed_and_safe(page.render([Evidence("a"), Evidence("b")], "t", ""))
    assert outline.text.count("not measured") == 16
    assert "Not recorded." in outline.text
    assert "The plots" not in outline.text
    figures = outline.text[outline.text.index("The figures") : outline.text.index("Bytes by part")]
    with_digits = [text for text in figures if re.search(r"\d", text) and not text.startswith("In brackets")]
    assert with_digits == ["F1", "−1 to 1", "ms, p50 / p95", "2"], "headings only; the 2 is CO2's"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.text(max_size=12),
    st.dictionaries(st.sampled_from(sorted(SMALL)), json_values),
    st.lists(
        st.fixed_dictionaries({"stage": st.text(max_size=5), "epoch": json_values, "loss": json_values}), max_size=3
    ),
    st.none() | st.dictionaries(st.sampled_from(["architecture", "provenance", "bytes", "x"]), json_values),
)
def test_any_json_gives_a_valid_page(name: str, changes: dict[str, Any], history: list[Any], inspect: Any) -> None:
    evidence = Evidence(name, {**SMALL, **changes}, history, inspect)
    check_well_formed_and_safe(page.render([evidence, large()], name, name))


@pytest.mark.filterwarnings("error")
def test_hostile_strings_are_escaped() -> None:
    def poisoned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key if key != "details" else HOSTILE: poisoned(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [poisoned(inner) for inner in value]
        return HOSTILE if isinstance(value, str) else value

    inspect = {HOSTILE: HOSTILE, "provenance": {HOSTILE: [HOSTILE]}, "architecture": HOSTILE}
    evidence = Evidence(
        HOSTILE, poisoned(copy.deepcopy(SMALL)), ({"stage": HOSTILE, "epoch": 1, "loss": 1.0},), inspect
    )
    html = page.render([evidence, large()], HOSTILE, HOSTILE)
    outline = check_well_formed_and_safe(html)
    assert any(text.startswith("<script>alert('x')</script>") for text in outline.text)
    assert "{{ 7*7 }}" in html and "49" not in "".join(text for text in outline.text if "alert" in text)


def test_scores_on_different_data_come_with_a_caution() -> None:
    caution = "on record as scored on the same data"
    assert caution not in page.render([small(), large()], "t", "")
    assert caution not in page.render([small(data=None)], "t", "")
    for other in (large(data={"sha256": "ef" * 32}), large(data=None), large(task="clone")):
        assert page.render([small(), other], "t", "").count(caution) == 2, "below the table and below the plot"


def test_models_of_equal_names_are_numbered() -> None:
    html = page.render([small(), small(), large()], "t", "")
    check_well_formed_and_safe(html)
    assert "small (2) is 41x smaller" in html


def test_equal_rows_are_shown_once_and_others_per_model() -> None:
    other = Evidence("other", {**LARGE, "machine": {"cpu": "a CPU", "cores": 4}}, inspect={"precision": "fp32"})
    html = page.render([small(), other], "t", "")
    assert '<th scope="row">machine: cpu</th>\n<td colspan="2">a CPU</td>' in html
    assert '<th scope="row">machine: cores</th>\n<td>2</td>\n<td>4</td>' in html
    assert '<th scope="row">layers</th>\n<td>2</td>\n<td class="absent">not recorded</td>' in html
    assert '<th scope="row">weights</th>\n<td>2,700,000</td>\n<td class="absent">not measured</td>' in html


def test_matrix_of_too_many_classes_is_mentioned() -> None:
    n = 60
    confusion = [[int(i == j) for j in range(n)] for i in range(n)]
    assert "60 classes are too many to draw" in page.render([small(confusion=confusion)], "t", "")


def test_equal_evidence_gives_equal_bytes_in_any_process(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from lilliput.report import Evidence, page
page.write([Evidence("small", {SMALL!r}, {HISTORY!r}, {INSPECT!r}), Evidence("large", {LARGE!r})],
           Path({str(tmp_path / "other.html")!r}), "Title", "command")
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"})
    page.write([small(), large()], tmp_path / "page.html", "Title", "command")
    assert (tmp_path / "page.html").read_bytes() == (tmp_path / "other.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.html", "page.html"], "nothing left beside them"


def test_nothing_to_report_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"nothing to report.*lilliput evaluate --json"):
        page.render([], "t", "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(scheme: str) -> None:
    """WCAG 2.2, success criterion 1.4.3: a contrast of at least 4.5 to 1 for text."""
    css = (Path(page.__file__).parent / "page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colors = dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", blocks[scheme == "dark"]))

    def luminance(color: str) -> float:
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        darker, lighter = sorted((luminance(one), luminance(other)))
        return (lighter + 0.05) / (darker + 0.05)

    assert contrast(colors["--ink"], colors["--paper"]) >= 7
    assert contrast(colors["--muted"], colors["--paper"]) >= 4.5
    for index in range(6):
        assert contrast(colors[f"--series-{index}"], colors["--paper"]) >= 3, "graphics: criterion 1.4.11"


def test_plot_colours_match_the_page() -> None:
    from lilliput.report.plots import VARIABLES

    css = (Path(page.__file__).parent / "page.css").read_text(encoding="utf-8")
    light = dict(re.findall(r"(--[\w-]+): (#[0-9a-f]{6})", css.split("@media")[0]))
    assert {variable: light[variable] for variable in VARIABLES.values()} == {v: c for c, v in VARIABLES.items()}
