"""Shrinking with rewritten copies, which get the teacher's outputs for their originals."""

import json

import numpy as np
import pytest

from lilliput.artifact import open_artifact
from lilliput.distill.losses import DistillationMix
from lilliput.errors import UserError
from lilliput.progress import Progress
from lilliput.tasks import task_named
from lilliput.teachers import open_teacher
from lilliput.verbs.finetune import finetune
from lilliput.verbs.shrink import ShrinkSettings, shrink
from lilliput.verbs.shrink.stages import ShrinkStages
from lilliput.verbs.stages import Stages
from tests.conftest import SCRATCH, write_pairs

TINY = {"candidates": 1, "epochs": 1, "max_tokens": 64, "largest_vocabulary": 1000, "quantization": "calibration"}


def stages_of(workshop, tmp_path, **settings) -> ShrinkStages:
    task = task_named("vulnerability")
    teacher = open_teacher(workshop / "teacher", task="vulnerability")
    train, valid = (task.read(workshop / f"{name}.jsonl") for name in ("train", "valid"))
    stages = Stages(tmp_path / "out", {}, Progress())
    chosen = ShrinkSettings(**TINY, **settings)
    return ShrinkStages(teacher, task, train, valid, 150_000, None, chosen, stages, Progress())


def test_copies_get_the_outputs_for_their_originals(workshop, tmp_path):
    work = stages_of(workshop, tmp_path, robust=0.5, mix=DistillationMix())
    plain = stages_of(workshop, tmp_path, mix=DistillationMix()).lesson(500)
    lesson = work.lesson(500)
    count = len(plain.dataset)
    assert len(lesson.dataset) == count + round(0.5 * count)
    assert (lesson.logits[:count] == plain.logits).all()
    originals = work.rewritten.rows[count:]
    assert (lesson.logits[count:] == plain.logits[originals]).all()
    assert (lesson.dataset.labels[count:] == plain.dataset.labels[originals]).all()
    copies = lesson.dataset.members[count:, 0]
    assert (lesson.vectors[copies] == plain.vectors[plain.dataset.members[originals, 0]]).all()
    assert not {lesson.dataset.texts[copy] for copy in copies} & set(plain.dataset.texts)
    assert len(lesson.tokens.ids) == len(lesson.dataset.texts)


def test_teacher_is_not_asked_if_only_labels_count(workshop, tmp_path):
    for robust in (0.0, 0.5):
        lesson = stages_of(workshop, tmp_path, robust=robust).lesson(500)
        assert lesson.logits is None and lesson.vectors is None
        assert len(lesson.tokens.ids) == len(lesson.dataset.texts)


def test_rewrites_are_cached_for_a_killed_run(workshop, tmp_path, monkeypatch):
    before = stages_of(workshop, tmp_path, robust=1.0).rewritten
    monkeypatch.setattr("lilliput.data.rewrites.datasets.mixed", lambda *_: pytest.fail("rewritten again"))
    again = stages_of(workshop, tmp_path, robust=1.0).rewritten
    assert again.dataset.texts == before.dataset.texts
    assert (again.rows == before.rows).all()


def test_trials_use_only_the_originals(workshop, tmp_path):
    rows = np.arange(7)
    lesson = stages_of(workshop, tmp_path, robust=1.0).lesson(500, rows)
    assert len(lesson.dataset) == 7


def test_robust_artifact_of_pairs(tmp_path):
    train, valid = write_pairs(tmp_path, 60, 1), write_pairs(tmp_path, 30, 2)
    finetune(SCRATCH, "clone", [train], [valid], tmp_path / "teacher", epochs=1, max_tokens=64)
    told = NoteRecorder()
    result = shrink(
        tmp_path / "teacher",
        "clone",
        [train],
        [valid],
        tmp_path / "small",
        size=150_000,
        latency_ms=None,
        settings=ShrinkSettings(**TINY, robust=1.0, mix=DistillationMix()),
        progress=told,
    )
    settings = open_artifact(result.path).evidence()["settings"]
    assert (settings["robust"], settings["language"]) == (1.0, "c")  # the pairs are in C, unlike the task's data
    assert "training for 1 epochs of 120 examples" in told.notes


class NoteRecorder(Progress):
    """Records notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text):
        self.notes.append(text)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_rejects_an_invalid_share(share):
    with pytest.raises(UserError, match="must be a share") as caught:
        ShrinkSettings(robust=share)
    assert caught.value.where == "--robust"


def test_unknown_language_is_rejected_before_the_teacher_is_opened(tmp_path):
    (tmp_path / "x.jsonl").write_text(json.dumps({"func": "int f() {}", "target": 1}))
    files = {"train": [tmp_path / "x.jsonl"], "valid": [tmp_path / "x.jsonl"], "out": tmp_path / "o"}
    with pytest.raises(UserError, match="'cobol' cannot be rewritten"):
        shrink("no/teacher", "vulnerability", **files, settings=ShrinkSettings(robust=1.0, language="cobol"))
