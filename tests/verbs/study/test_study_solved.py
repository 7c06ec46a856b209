"""Studies that measure how many problems their points solve."""

from dataclasses import replace

import pytest

from lilliput.errors import UserError
from tests.data.test_problems import HUMANEVAL, write
from tests.verbs.study.small import LEAN, study
from tests.verbs.test_score import UNSAFE


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("problems")
    return write(folder / "problems.jsonl", *({**HUMANEVAL, "task_id": f"T/{row}"} for row in range(3)))


def test_passes_and_robust_passes_are_measured(model, tmp_path, problems, monkeypatch):
    measures = replace(
        LEAN,
        perplexity_pieces=0,
        piece_tokens=512,
        humaneval=str(problems),
        limit=2,
        max_new_tokens=4,
        batch=2,
        perturbations=("format",),
        unsafe=UNSAFE,
    )
    from lilliput.verbs.study import measures as study_measures

    real = study_measures.completions

    def solving(completer, asked, *rest):
        """Write the solution of the unperturbed prompt of T/0, and nothing for all others."""
        made = real(completer, asked, *rest)
        assert rest[0].batch == 2
        for one in asked:
            right = one.text == HUMANEVAL["prompt"] and one.problem.task_id == "T/0"
            made[one.problem.task_id] = [
                replace(made[one.problem.task_id][0], text="    return 2 * n\n" if right else "")
            ]
        return made

    monkeypatch.setattr(study_measures, "completions", solving)
    found = study(model, tmp_path / "study", {"weights": ["int8"]}, measures=measures)
    (rated,) = found.choice.rated
    assert found.choice.rule.quality == "pass@1"
    assert rated.result.passed["outcomes"] == {"T/0": True, "T/1": False}
    assert rated.result.passed["value"] == 0.5
    worst = rated.result.robust["worst"]
    assert worst["outcomes"] == {"T/0": False, "T/1": False}
    assert worst["versions"] == sum(one["versions"] for name, one in rated.result.robust.items() if name != "worst")
    lines = [
        one for name, one in rated.result.robust.items() if name != "worst" and one["nominal_pass"]["value"] == 0.5
    ]
    assert lines
    assert lines[0]["robust_pass"]["value"] == 0.0
    assert lines[0]["robust_drop"]["value"] == 1.0
    again = study(model, tmp_path / "study", {"weights": ["int8"]}, measures=replace(measures, batch=3))
    assert [one.result.seconds for one in again.choice.rated] == [rated.result.seconds]  # known: not run again


def test_encoder_decoder_is_measured_by_the_problems_it_solves(tmp_path, problems, checkpoints):
    folder, _ = checkpoints("t5")
    axes = {"weights": ["int8"], "activations": ["static"], "calibration_pieces": [2], "calibration_tokens": [16]}
    with pytest.raises(UserError, match="perplexity cannot be measured"):
        study(folder, tmp_path / "study", axes)
    assert not (tmp_path / "study").exists()
    measures = replace(LEAN, humaneval=str(problems), limit=1, max_new_tokens=4, unsafe=UNSAFE)
    found = study(folder, tmp_path / "study", axes, measures=measures)
    assert not found.plan.left_out
    (rated,) = found.choice.rated
    assert (rated.result.perplexity, rated.quality.value) == (None, 0.0)
