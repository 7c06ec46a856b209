"""The verdict: every sentence follows from its evidence, and without evidence there is none."""

from __future__ import annotations

from typing import Any

import pytest

from lilliput.report.given import Given
from lilliput.report.pairs import pairs
from lilliput.report.verdict import less_with_ends, verdicts, with_ends
from tests.report.results import comparison, evaluation, given_of, passes

ORIGINAL = evaluation("original", passes(71))


def said(given: Given) -> list[str]:
    return verdicts(given, pairs(given))


def small(flipped: Any = range(66, 78), **changes: Any) -> dict[str, Any]:
    return evaluation("small", passes(71, flipped=flipped), **{"total": 500_000_000, **changes})


def test_difference_within_chance_is_not_claimed() -> None:
    (text,) = said(given_of(ORIGINAL, small(), comparison()))
    assert text.startswith(
        "small solves 73 of 164 problems of HumanEval, original 71: no difference that this sample can show "
        "(paired interval −"
    )
    low, high = text.split("paired interval −")[1].split(" problems)")[0].split(" to +")
    assert 3 <= int(low) <= 6 and 7 <= int(high) <= 10, "2 of sqrt(12) x 1.96 either way"
    assert "It is 4.0x smaller, decodes " in text
    assert " as fast and takes 4.0x less memory at its peak. A token written takes " in text
    assert text.endswith("] less energy (estimated).")


def test_difference_beyond_chance_is_stated() -> None:
    (text,) = said(given_of(ORIGINAL, small(range(40, 71))))
    assert "small solves 40 of 164 problems of HumanEval, original 71: 31 fewer (paired interval −" in text
    (text,) = said(given_of(ORIGINAL, small(range(71, 100))))
    assert "solves 100 of 164 problems of HumanEval, original 71: 29 more (paired interval +" in text


def test_equal_outcomes_are_stated_with_what_may_still_differ() -> None:
    (text,) = said(given_of(ORIGINAL, small(())))
    assert "original 71: the same ones (up to 2.3 % of such problems may still come out differently)." in text


def test_ratios_refused_for_noise_are_stated_as_refused() -> None:
    (text,) = said(given_of(ORIGINAL, small(), comparison(noisy=True)))
    assert "It is 4.0x smaller and takes 4.0x less memory at its peak." in text
    assert "No ratio of speed and energy to original is given: too noisy: reference" in text
    assert " as fast" not in text and "less energy" not in text


def test_speeds_are_not_compared_without_a_comparison() -> None:
    (text,) = said(given_of(ORIGINAL, small(speed=50.0)))
    assert "It is 4.0x smaller: 500 MB against 2.00 GB." in text
    assert "measured in separate runs, without intervals, and are not compared" in text
    (text,) = said(given_of(ORIGINAL, small(machine={"cpu": "another", "cores": 2})))
    assert "different conditions (processor: a CPU against another)" in text
    (text,) = said(given_of(ORIGINAL, small(speed=None, total=None)))
    assert text.endswith("problems).")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": {"sha256": "cd" * 32}}, "their problems are from different files (SHA-256 differs)"),
        ({"data": None}, "it is not on record that their problems are the same"),
        ({"settings": {"max_new_tokens": 512}}, "longest completion in tokens: 320 against 512"),
        ({"settings": {"temperature": 0.2, "seed": 1}}, "temperature: 0.0 against 0.2; seed: 0 against 1"),
        ({"settings": {"programs": {"seconds": 3.0, "memory_mb": 1024}}}, "time limit of programs: 10.0 against 3.0"),
        ({"postprocessing": ["cut"]}, "their records differ on post-processing"),
        ({"warning": "9 of 164 problems failed"}, "the figures of small are not to be trusted."),
    ],
)
def test_results_under_other_conditions_are_not_compared(changes: dict[str, Any], reason: str) -> None:
    (text,) = said(given_of(ORIGINAL, small(**changes)))
    assert text.startswith("small solves 73 of 164 problems of HumanEval (pass@1 44.5 % [37.1, 52.2]).")
    assert f"It is not compared with original: {reason}" in text
    assert "paired interval" not in text


def test_unused_seed_makes_no_difference() -> None:
    (text,) = said(given_of(ORIGINAL, small(settings={"seed": 5, "top_p": 0.9})))
    assert "paired interval" in text


def test_other_problems_of_the_same_file_are_not_compared() -> None:
    (text,) = said(given_of(ORIGINAL, evaluation("small", passes(50, 100))))
    assert "they were given 164 and 100 problems, 100 of them the same" in text


def test_completions_from_elsewhere_are_not_compared_with_ours() -> None:
    scored = evaluation("x", passes(70), settings=None)
    scored["settings"] = {"form": "auto", "seconds": 10.0, "memory_mb": 1024}
    del scored["name"], scored["bytes"], scored["energy"]
    (text,) = said(given_of(ORIGINAL, scored))
    assert "1 solves 70" in text, "the file's name, because the result has none"
    assert "how the completions of 1 were made is not on record" in text


def test_problems_without_a_verdict_are_left_out_for_both() -> None:
    lost: list[Any] = [*passes(71)]
    lost[0] = ["runner"]
    (text,) = said(given_of(ORIGINAL, evaluation("small", lost)))
    assert "small solves 70 of 163 problems of HumanEval, original 70" in text
    assert "Left out: 1 problem without a verdict for both." in text


def test_several_completions_are_compared_in_points() -> None:
    settings = {"n": 4, "temperature": 0.2}
    first = evaluation("original", [["passed", "wrong", "wrong", "wrong"]] * 30, settings=settings)
    second = evaluation("small", [["passed", "passed", "wrong", "error"]] * 30, settings=settings)
    (text,) = said(given_of(first, second))
    assert "small reaches a pass@1 of 50.0 % on 30 problems of HumanEval, original 25.0 %: +25.0 points" in text


def test_single_model_and_another_reference() -> None:
    assert said(given_of(ORIGINAL)) == ["original solves 71 of 164 problems of HumanEval (pass@1 43.3 % [35.9, 50.9])."]
    (text,) = said(given_of(ORIGINAL, small(), reference="small"))
    assert text.startswith("original solves 71 of 164 problems of HumanEval, small 73")
    assert "It is 4.0x larger" in text


def test_order_matters_only_for_the_first_evaluation() -> None:
    files = [ORIGINAL, small(), comparison()]
    assert said(given_of(files[2], files[0], files[1])) == said(given_of(*files))


def test_two_benchmarks_of_a_model_are_summarized_in_one_paragraph() -> None:
    mbpp = [evaluation(name, passes(n), task="mbpp") for name, n in (("original", 90), ("small", 85))]
    for one in mbpp:
        one["data"] = {"sha256": "cd" * 32}
    (text,) = said(given_of(ORIGINAL, small(total=2_000_000_000), *mbpp))
    assert (
        "problems of HumanEval, original 71" in text and "small solves 85 of 164 problems of MBPP, original 90" in text
    )


def test_second_result_of_a_name_is_another_model() -> None:
    given = given_of(ORIGINAL, evaluation("original", passes(60), total=7_000))
    assert given.names == ["original", "original (2)"]
    assert said(given)[0].startswith("original (2) solves 60 of 164 problems of HumanEval, original 71")


def test_comparison_alone_has_its_own_verdict() -> None:
    (text,) = said(given_of(comparison()))
    assert text.startswith("small beside original: it is 4.0x smaller, decodes ")
    (text,) = said(given_of(comparison(kind="classifier")))
    assert "classifies the data's examples" in text and "An example takes" in text


def test_ratios_are_formatted_in_words() -> None:
    assert with_ends({"value": 6.91, "low": 6.12, "high": 7.66}) == "6.9x [6.1, 7.7]"
    assert with_ends({"value": 6.91, "low": 6.91, "high": 6.93}) == "6.91x [6.91, 6.93]"
    assert with_ends({"value": 41.2, "low": 39.9, "high": 44.0}) == "41x [40, 44]"
    assert less_with_ends({"value": 0.5, "low": 0.4, "high": 0.8}) == "2.0x [1.2, 2.5] more"
