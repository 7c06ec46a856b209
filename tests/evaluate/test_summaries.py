"""Scores of summaries, with baselines."""

import numpy as np
import pytest

from lilliput.errors import DataError
from lilliput.evaluate.bleu import bleu
from lilliput.evaluate.intervals import bootstrap_mean, wilson
from lilliput.evaluate.summaries import MEASURES, score_summaries
from tests.evaluate.text_scores import PAIRS

REFERENCES, HYPOTHESES = [pair[0] for pair in PAIRS], [pair[1] for pair in PAIRS]


def test_each_measure_is_the_mean_over_examples_with_its_interval():
    found = score_summaries(REFERENCES, HYPOTHESES)
    for column, name in enumerate(MEASURES, start=2):
        values = np.array([pair[column] for pair in PAIRS])
        expected, measured = bootstrap_mean(values), getattr(found.model, name)
        assert found.model.values[name] == pytest.approx(values, abs=1e-9)
        assert (measured.value, measured.low, measured.high) == pytest.approx(
            (expected.value, expected.low, expected.high), abs=1e-9
        )
        assert measured.n == found.n == len(PAIRS)
    assert found.model.empty == 1


def test_few_or_equal_scores_give_intervals_with_width():
    one = score_summaries(["Gets the sum of both."], ["Gets the sum."]).model
    for name in MEASURES:
        found = getattr(one, name)
        assert 0 <= found.low < found.value < found.high <= 100
    whole = score_summaries(["Gets the sum of both."] * 3, ["Gets the sum of both."] * 3).model.bleu4
    assert (whole.value, whole.high) == pytest.approx((100, 100))
    assert whole.low == pytest.approx(100 * wilson(3, 3).low)


def test_reference_scores_100_and_beats_the_baselines():
    codes = ["def get_sum(a, b):\n    return a + b\n", "public int getSize() { return size; }"]
    references = ["Gets the sum of both.", "Gets the size of the buffer."]
    found = score_summaries(references, references, codes)
    assert [getattr(found.model, name).value for name in MEASURES] == pytest.approx([100] * 3)
    assert found.baselines["name"].values["bleu4"] == (bleu(references[0], "get sum"), bleu(references[1], "get size"))
    assert found.baselines["empty"].values["chrf"] == (0, 0)
    assert found.baselines["empty"].empty == 2


def test_result_is_plain_values():
    values = score_summaries(REFERENCES, HYPOTHESES, ["f()"] * len(PAIRS)).as_dict()
    assert values["n"] == len(PAIRS)
    assert values["baselines"].keys() == {"empty", "name"}
    assert values["bleu4"].keys() == {"value", "low", "high", "n"}


@pytest.mark.parametrize("references, hypotheses, codes", [([], [], None), (["a"], [], None), (["a"], ["b"], [])])
def test_rejects_what_cannot_be_compared(references, hypotheses, codes):
    with pytest.raises(DataError, match="cannot be compared"):
        score_summaries(references, hypotheses, codes)
