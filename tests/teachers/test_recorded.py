"""A teacher of recorded logits: it returns what was recorded and rejects anything else."""

from __future__ import annotations

import numpy as np
import pytest

from lilliput.data.dataset import Dataset
from lilliput.errors import CheckpointError, DataError, UserError
from lilliput.teachers import open_teacher
from lilliput.teachers.outputs import teacher_outputs
from lilliput.teachers.recorded import record
from lilliput.verbs.subjects import open_subject

TEXTS = ("int f(void) { return 1; }", "int g(void) { return 2; }", "void h(char *p) { free(p); }", "\ud800")
LABELS = ("safe", "vulnerable")


def dataset(rows):
    texts = tuple(TEXTS[row] for row in rows)
    return Dataset(texts, np.arange(len(rows))[:, None], np.zeros(len(rows), np.int64), LABELS)


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(len(TEXTS), 2)).astype(np.float32)


def test_returns_the_recorded_logits(tmp_path, logits):
    record(tmp_path / "t.npz", TEXTS, logits, LABELS)
    teacher = open_teacher(tmp_path / "t.npz", task="vulnerability")
    assert (teacher.label_names, teacher.name) == (LABELS, "t")
    outputs = teacher_outputs(teacher, dataset([3, 0, 2]), tmp_path / "cache")
    np.testing.assert_array_equal(outputs.logits, logits[[3, 0, 2]])
    np.testing.assert_array_equal(teacher.logits(dataset([1])), logits[[1]])


def test_rejects_a_function_that_was_not_recorded(tmp_path, logits):
    record(tmp_path / "t.npz", TEXTS[:2], logits[:2], LABELS)
    teacher = open_teacher(tmp_path / "t.npz", task="vulnerability")
    with pytest.raises(DataError, match="1 of 2 functions are not among the 2 recorded here") as caught:
        teacher.logits(dataset([0, 2]))
    assert "free(p)" in str(caught.value)


@pytest.mark.parametrize("task", ["clone", "vulnerability"])
def test_rejects_another_task(tmp_path, logits, task):
    record(tmp_path / "t.npz", TEXTS, logits, ("good", "bad"))
    with pytest.raises(CheckpointError, match="not what task"):
        open_teacher(tmp_path / "t.npz", task=task)


def test_rejects_a_tokenizer(tmp_path, logits):
    record(tmp_path / "t.npz", TEXTS, logits, LABELS)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="does not go with recorded logits") as caught:
        open_teacher(tmp_path / "t.npz", task="vulnerability", tokenizer=tmp_path / "tokenizer.json")
    assert caught.value.where == "--tokenizer"


def test_rejects_other_files(tmp_path, logits):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "pickle.npz", functions=np.array([object()]), logits=logits, labels=np.array(LABELS))
    np.savez(tmp_path / "short.npz", functions=np.array(["a"]), logits=logits, labels=np.array(LABELS))
    np.savez(tmp_path / "none.npz", logits=logits)
    np.save(tmp_path / "array.npy", logits)
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    np.savez_compressed(
        tmp_path / "damaged.npz", functions=np.array(["a"] * 999), logits=logits, labels=np.array(LABELS)
    )
    content = bytearray((tmp_path / "damaged.npz").read_bytes())
    content[60:75] = b"\xff" * 15  # the compressed bytes of the first array
    (tmp_path / "damaged.npz").write_bytes(content)
    for name in ("text", "pickle", "short", "none", "array", "damaged"):
        with pytest.raises(CheckpointError, match=r"recorded logits"):
            open_teacher(tmp_path / f"{name}.npz", task="vulnerability")


@pytest.mark.parametrize("wrong", [np.zeros((2, 2), np.float32), np.full((4, 2), np.nan, np.float32)])
def test_rejects_recording_logits_that_do_not_fit(tmp_path, wrong):
    with pytest.raises(ValueError, match="must be finite"):
        record(tmp_path / "t.npz", TEXTS, wrong, LABELS)
    assert not list(tmp_path.iterdir())


def test_recorded_teacher_cannot_be_measured(tmp_path, logits):
    record(tmp_path / "t.npz", TEXTS, logits, LABELS)
    with pytest.raises(UserError, match="not a model to measure"):
        open_subject(tmp_path / "t.npz", "vulnerability")
