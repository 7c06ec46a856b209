"""Work in stages: what is resumed, what is set aside and restored, and what is recomputed."""

import os

import numpy as np
import pytest

from lilliput.progress import Progress
from lilliput.verbs.stages import Stages

ONE, OTHER, THIRD = {"size": 300}, {"size": 3}, {"size": 30}


class NoteRecorder(Progress):
    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


def begun(folder, settings, **how):
    """Start a run with these settings; return its result and notes. Its one result is kept, as if it was killed."""
    told = NoteRecorder()
    stages = Stages(folder / "out", settings, told, **how)
    return stages.once("made", lambda: [settings["size"]]), told.lines


def test_work_under_other_settings_is_set_aside_and_restored(tmp_path):
    aside = tmp_path / ".out.work.old"
    begun(tmp_path, ONE, set_aside=True)
    found, lines = begun(tmp_path, OTHER, set_aside=True)
    assert found == [3]
    assert (aside / "made.json").exists()
    (line,) = lines
    assert "under other settings" in line and str(aside) in line and line.endswith("starting over.")
    stages = Stages(tmp_path / "out", ONE, told := NoteRecorder(), set_aside=True)
    assert stages.once("made", lambda: pytest.fail("made again")) == [300]
    assert told.lines[-1] == f"{stages.folder}: resuming from there."
    assert Stages(tmp_path / "out", OTHER, NoteRecorder(), set_aside=True).once("made", lambda: "again") == [3]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.work", ".out.work.old"]


@pytest.mark.parametrize("ended", ["at once", "told it is in vain"])
def test_abandoned_run_does_not_lose_the_work_set_aside(tmp_path, ended):
    begun(tmp_path, ONE, set_aside=True)
    slip = Stages(tmp_path / "out", OTHER, NoteRecorder(), set_aside=True)
    if ended != "at once":
        slip.once("tokenizer", lambda: "made")
        slip.give_up()
    Stages(tmp_path / "out", THIRD, NoteRecorder(), set_aside=True)  # another abandoned run
    stages = Stages(tmp_path / "out", ONE, NoteRecorder(), set_aside=True)
    assert stages.once("made", lambda: pytest.fail("made again")) == [300]
    stages.finish()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_beside_a_finished_target(tmp_path):
    """A kill may also leave work that was being moved."""
    begun(tmp_path, ONE, set_aside=True)
    stages = Stages(tmp_path / "out", OTHER, NoteRecorder(), set_aside=True)
    (tmp_path / ".out.work.old-new").mkdir()
    assert len(list(tmp_path.iterdir())) == 3
    stages.finish()
    assert list(tmp_path.iterdir()) == []


def test_work_is_discarded_unless_it_is_to_be_set_aside(tmp_path):
    begun(tmp_path, ONE)
    _, lines = begun(tmp_path, OTHER)
    assert [line.endswith("deleted; starting over.") for line in lines] == [True]
    assert begun(tmp_path, ONE)[0] == [300]
    assert [path.name for path in tmp_path.iterdir()] == [".out.work"]


@pytest.mark.parametrize("name", ["made.json", "weights.npz", "weights.json"])
@pytest.mark.parametrize("size", [0, 3])
def test_damaged_files_are_recomputed(tmp_path, name, size):
    stages = Stages(tmp_path / "out", ONE, Progress())
    made = []

    def results():
        def weights():
            made.append("weights")
            return {"a": np.ones(2, np.float32)}, {"epochs": 2}

        value = stages.once("made", lambda: made.append("made") or {"a": 1}, lambda kept: kept["a"])
        arrays, facts = stages.weights("weights", weights)
        return value, arrays["a"].tolist(), facts

    expected = results()
    assert results() == expected == (1, [1.0, 1.0], {"epochs": 2})
    assert made == ["made", "weights"]
    os.truncate(stages.file(name), size)
    assert results() == expected
    assert made[2:] == [name.partition(".")[0]]


def test_json_of_another_shape_is_recomputed(tmp_path):
    stages = Stages(tmp_path / "out", ONE, Progress())
    for damage in ("null", "[]", '{"b": 1}'):
        stages.file("made.json").write_text(damage)
        assert stages.once("made", lambda: {"a": 1}, lambda kept: kept["a"]) == 1
