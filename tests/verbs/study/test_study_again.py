"""A study run again with other options: whatever an earlier run did not measure or keep is done now."""

import pytest

from lilliput.artifact import open_artifact
from lilliput.errors import UserError
from lilliput.study.choice import Rule
from tests.verbs.study.small import LEAN, TIMED, InThisProcess, study

ONE = {"weights": ["int4"], "activations": ["none"]}
FASTEST = Rule(tolerance=0.9, prefer="fastest")


class SideBySide(InThisProcess):
    """An executor that claims to run two jobs at a time."""

    concurrent = 2


def test_speeds_of_concurrent_jobs_are_measured_again_if_needed(model, tmp_path):
    out, alone = tmp_path / "study", InThisProcess()
    study(model, out, executor=SideBySide(), measures=TIMED, rule=Rule(tolerance=0.9))
    study(model, out, executor=alone, measures=TIMED, rule=Rule(tolerance=0.9))
    assert alone.labels_run == []  # everything that this rule needs is known
    with pytest.raises(UserError, match="--workers: speeds of 2 parallel jobs"):
        study(model, out, executor=SideBySide(), measures=TIMED, rule=FASTEST)
    found = study(model, out, executor=alone, measures=TIMED, rule=FASTEST)
    assert len(alone.labels_run) == 2
    assert found.choice.chosen is not None
    study(model, out, executor=InThisProcess(jobs=0), measures=TIMED, rule=FASTEST)


def test_speed_that_cannot_be_measured_is_not_retried(model, tmp_path, monkeypatch):
    monkeypatch.setattr("lilliput.verbs.study.job.measured_speed", lambda *_: None)  # every text ends at once
    study(model, tmp_path / "study", ONE, measures=TIMED, rule=FASTEST)
    study(model, tmp_path / "study", ONE, measures=TIMED, rule=FASTEST, executor=InThisProcess(jobs=0))


def test_artifacts_that_were_not_kept_are_made_on_request(model, tmp_path):
    out = tmp_path / "study"
    first = study(model, out, ONE, measures=LEAN)
    assert not (out / "artifacts").exists()
    kept = study(model, out, ONE, measures=LEAN, keep=True)
    (folder,) = (out / "artifacts").iterdir()
    assert open_artifact(folder).bytes().weights == first.choice.rated[0].result.bytes["weights"]
    assert kept.choice.rated[0].result.perplexity == first.choice.rated[0].result.perplexity
    study(model, out, ONE, measures=LEAN, keep=True, executor=InThisProcess(jobs=0))
