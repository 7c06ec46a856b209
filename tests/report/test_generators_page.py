"""The page of generators: well-formed and safe for any completions and any mix of results."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from lilliput.errors import UserError
from lilliput.report import Evidence, page
from lilliput.report.differences import LONGEST_CODE, MOST_FOLDS, code_text
from lilliput.report.given import Given
from tests.report.results import comparison, evaluation, flips, given_of, passes, recode, repository, summaries
from tests.report.test_page import HOSTILE, SMALL, Outline, check_well_formed_and_safe

ORIGINAL = evaluation("original", passes(71))
OTHER = evaluation("small", passes(71, flipped=range(66, 78)), total=500_000_000)
CODE = (
    "</pre></details><script>alert('x')</script><img src=x onerror=y>\x00\x1b\u202e{{ 7*7 }}\n\tif a < b & c:\r\n    1"
)


def shown(*values: dict[str, Any], reference: str | None = None) -> Outline:
    return check_well_formed_and_safe(page.render([], "Title", "command", given_of(*values, reference=reference)))


def test_full_page_has_every_section_in_order() -> None:
    outline = shown(ORIGINAL, OTHER, comparison(), flips(), recode(), repository(), summaries())
    headings = [
        "Accuracy",
        "Robustness",
        "Side by side: original, small",
        "What each model takes",
        "Summaries and repositories",
        "Problems that came out differently",
        "How it was run",
        "What was asked",
        "Data of the problems",
        "Where programs ran",
    ]
    found = [outline.text.index(heading) for heading in headings]
    assert found == sorted(found)
    verdict = next(place for place, text in enumerate(outline.text) if text.startswith("small solves 73 of 164"))
    assert verdict < found[0]
    for text in ("lilliput evaluate small", "ab" * 32, "nothing is cut", "43.3 %", "[35.9,\xa050.9]", "7", "5"):
        assert text in outline.text
    for tag, attributes in outline.tags:
        assert tag != "svg" or (attributes["role"] == "img" and attributes["aria-label"])
        assert tag != "th" or attributes["scope"] in {"row", "col", "colgroup"}
    assert [tag for tag, _ in outline.tags].count("svg") >= 10


def test_perplexity_of_one_piece_is_shown_without_an_interval() -> None:
    found = repository()
    assert "5.50" in shown(found).text
    found["next_token"] |= {"perplexity": None, "perplexity_value": 7.654}
    outline = shown(found)
    assert "7.65" in outline.text and "5.50" not in outline.text
    del found["next_token"]["perplexity_value"]  # as earlier versions wrote it
    assert "7.65" not in shown(found).text


def test_every_figure_with_an_interval_is_drawn_with_it() -> None:
    html = page.render([], "t", "", given_of(ORIGINAL, OTHER, comparison()))
    labels = re.findall(r'aria-label="([^"]*)"', html)
    assert any("small, pass@1: 44.5 % [37.1, 52.2], n = 164." in label for label in labels)
    assert any(re.search(r"small: \+1\.2 points \[−[\d.]+, \+[\d.]+\]\.", label) for label in labels)
    assert any("small: speed, decoding: " in label for label in labels)
    assert any(label.startswith("Energy per token written.") for label in labels)


def test_both_completions_of_a_flipped_problem_are_shown() -> None:
    outline = shown(ORIGINAL, OTHER)
    assert [tag for tag, _ in outline.tags].count("details") == 12
    assert "small against original, HumanEval: 5 problems solved by original alone, 7 by small alone" in outline.text
    first = outline.text.index("Task/66: solved by original, not by small")
    assert outline.text[first + 1 : first + 5] == [
        "original: passed",
        "return 66",
        "small: wrong (AssertionError)",
        "return 66",
    ]


def test_completions_are_escaped() -> None:
    hostile = evaluation(HOSTILE, passes(71, flipped=[0]), texts={0: CODE})
    hostile["problems"][0]["completions"][0]["detail"] = HOSTILE
    html = page.render([], HOSTILE, HOSTILE, given_of(evaluation("original", passes(71), texts={0: CODE}), hostile))
    outline = check_well_formed_and_safe(html)
    assert html.count("&lt;/pre&gt;&lt;/details&gt;&lt;script&gt;") == 2
    assert "\u202e" not in html and "\x00" not in html and "{{ 7*7 }}" in html
    assert not {tag for tag, _ in outline.tags} & {"script", "img"}


def test_code_keeps_its_lines_and_shows_invisible_characters() -> None:
    assert code_text("a\r\n\tb\u202e\x1b\u00a0c\u200b") == "a\n\tb\ufffd\ufffd c\ufffd"


def test_long_completion_is_truncated_with_a_note() -> None:
    long = evaluation("small", passes(70), texts={70: "x" * (LONGEST_CODE + 1234)})
    html = page.render([], "t", "", given_of(ORIGINAL, long))
    assert "… 1,234 more characters" in html and "x" * (LONGEST_CODE + 1) not in html


def test_missing_texts_are_noted() -> None:
    one, other = evaluation("original", passes(2, 4)), evaluation("small", passes(1, 4))
    for problem in (*one["problems"], *other["problems"]):
        for completion in problem["completions"]:
            del completion["text"]
    outline = shown(one, other)
    assert "small: wrong (AssertionError): the result has no text." in outline.text


def test_page_of_a_thousand_problems_is_bounded_and_fast() -> None:
    texts = dict.fromkeys(range(1000), "    pass\n" * 40)
    one = evaluation("original", passes(900, 1000), texts=texts)
    other = evaluation("small", passes(100, 1000), texts=texts)
    begun = time.process_time()
    html = page.render([], "t", "", given_of(one, other))
    assert time.process_time() - begun < 20
    assert len(html) < 1_000_000
    outline = check_well_formed_and_safe(html)
    assert [tag for tag, _ in outline.tags].count("details") == MOST_FOLDS
    assert any("Not shown with their completions: Task/300, Task/301" in text for text in outline.text)
    assert "small solves 100 of 1,000 problems of HumanEval, original 900: 800 fewer" in html


@pytest.mark.parametrize(
    "key", [key for key in OTHER if key not in ("task", "n", "failures", "intervals", "problems", "k")]
)
def test_other_fields_may_be_missing(key: str) -> None:
    html = page.render([], "t", "", given_of(ORIGINAL, {name: value for name, value in OTHER.items() if name != key}))
    check_well_formed_and_safe(html)


def test_unmeasured_figures_are_shown_as_such() -> None:
    bare = evaluation("small", passes(3, 5), total=None, speed=None)
    bare["peak_memory_mb"] = None
    outline = shown(bare)
    assert "What each model takes" not in outline.text and "small" in outline.text
    outline = shown(bare, evaluation("original", passes(3, 5)))
    assert outline.text.count("not measured") == 1, "how its speed was measured; its costs have no line"
    bare["peak_memory_mb"] = 3.0
    assert shown(bare).text.count("not measured") == 1 + 5


def test_classifiers_with_robustness_are_shown_beside_generators() -> None:
    html = page.render([Evidence("student", SMALL)], "t", "", given_of(flips(), ORIGINAL))
    outline = check_well_formed_and_safe(html)
    for text in ("The figures", "Accuracy", "Robustness", "student: rewritten code, 120 examples", "rename variables"):
        assert text in outline.text
    text = html.replace("\xa0", " ")
    assert "prediction of student in 12.0 % [7.0, 19.8] of 100 examples, and that of teacher in 5.0 %" in text
    assert "student agrees with teacher on " in text


def test_robustness_on_other_data_is_not_compared() -> None:
    other = flips("other", None)
    assert "not measured on the same data" not in page.render([], "t", "", given_of(flips(), other))
    other["data"] = {"sha256": "00"}
    assert "not measured on the same data" in page.render([], "t", "", given_of(flips(), other))


def test_worst_perturbation_is_named() -> None:
    html = page.render([], "t", "", given_of(recode())).replace("\xa0", " ")
    assert "Of 2 prompt perturbations, camel_case costs small the most: 50.0 % [" in html


def test_perturbed_prompts_are_compared_with_the_original() -> None:
    html = page.render([], "t", "", given_of(recode("small", "original"))).replace("\xa0", " ")
    assert "small beside original: 40 problems, perturbed" in html
    said = "small still solves 25.0 % of 40 problems, original 27.5 %: no difference that this sample can show"
    assert f"Under every version of every perturbation, {said} (paired interval −" in html
    assert "Survives with original alone" in html
    assert html.count("pass@1, not perturbed") == 1 and html.count("mean of all versions") >= 2  # table and plot
    assert html.count("Robust pass of small beside original.") == 1
    assert "Survives with" not in page.render([], "t", "", given_of(recode()))


def test_refused_ratios_are_shown_with_their_reason() -> None:
    outline = shown(comparison(noisy=True))
    assert outline.text.count("not given") == 8
    assert any(text.startswith("No ratio of times is given: reference varied by") for text in outline.text)


def test_ratio_without_an_interval_is_shown() -> None:
    values = comparison()
    assert values["ratios"][0]["cold_start"]["low"] is None
    html = page.render([], "t", "", given_of(values)).replace("\xa0", " ")
    labels = re.findall(r'aria-label="([^"]*)"', html)
    assert any("small: cold start: 1.0x." in label for label in labels)
    assert "<td>1.0x</td>" in html
    assert "95 % intervals, except for cold starts, which are too few" in html


def test_page_of_classifiers_has_no_sections_of_generators() -> None:
    html = page.render([Evidence("student", SMALL)], "t", "")
    assert "<details" not in html and "Robustness" not in html


def test_equal_results_give_equal_pages() -> None:
    assert page.render([], "t", "", given_of(ORIGINAL, OTHER)) == page.render([], "t", "", given_of(ORIGINAL, OTHER))


def test_unknown_reference_is_rejected_with_the_known_names() -> None:
    with pytest.raises(UserError, match=r"--reference: no model that was evaluated is called 'x'.*original, small"):
        given_of(ORIGINAL, OTHER, reference="x")
    with pytest.raises(UserError, match="nothing to report"):
        page.render([], "t", "", Given())
