"""Fine-tuning: every kind of encoder learns, is saved, and gives the same answers when reopened."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_teachers import ENCODERS, pairs, singles

from lilliput.batching import TokenIds
from lilliput.errors import CheckpointError, DataError, UserError
from lilliput.progress import LogProgress
from lilliput.tasks import task_named
from lilliput.teachers import finetune as module
from lilliput.teachers import open_teacher
from lilliput.teachers.finetune import FinetuneSettings, finetune
from lilliput.teachers.folder import HEAD, MANIFEST

VULNERABILITY, CLONE = task_named("vulnerability"), task_named("clone")
QUICK = FinetuneSettings(epochs=6, learning_rate=5e-3, batch=8, pooling="mean")
SCRATCH = "scratch:layers=1,hidden=16,heads=2,intermediate=32,vocabulary=300"


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[torch.nn.Module]:
    """The models that are saved, in the state in which they are saved."""
    models: list[torch.nn.Module] = []
    save = module.save_teacher
    monkeypatch.setattr(
        module, "save_teacher", lambda folder, model, *rest: (models.append(model), save(folder, model, *rest))
    )
    return models


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("task", [VULNERABILITY, CLONE], ids=["vulnerability", "clone"])
def test_teacher_learns_and_gives_the_same_answers_when_reopened(base_folder, tmp_path, trained, kind, task):
    train, valid = (singles(40), singles(20, seed=1)) if task is VULNERABILITY else (pairs(120), pairs(30, seed=1))
    out = tmp_path / "teachers" / "mine"
    result = finetune(base_folder(kind), task, train, valid, out, settings=QUICK)
    assert result.history[-1]["loss"] < 0.92 * result.history[0]["loss"]
    assert result.scores is not None
    assert result.scores.accuracy == max(line["valid_accuracy"] for line in result.history)
    teacher = open_teacher(out, task=task.name)
    assert (teacher.arity, teacher.label_names) == (task.arity, train.label_names)
    tokens = TokenIds(teacher.encode(valid.texts), teacher.pad_id, teacher.max_tokens)
    expected = module.dataset_logits(trained[0], valid, tokens, exact=True)
    np.testing.assert_allclose(teacher.logits(valid), expected, rtol=0, atol=1e-5)
    assert teacher.bytes() == sum(path.stat().st_size for path in out.iterdir())
    assert [path.name for path in out.parent.iterdir()] == ["mine"]


def test_manifest_records_the_provenance(base_folder, tmp_path):
    settings = dataclasses.replace(QUICK, epochs=2, seed=3)
    result = finetune(base_folder("roberta"), VULNERABILITY, singles(), singles(10), tmp_path / "t", settings=settings)
    manifest = json.loads((tmp_path / "t" / MANIFEST).read_text())
    assert manifest["schema"] == 1
    assert manifest["output"] == {"kind": "logits", "columns": [0, 1]}
    assert manifest["provenance"]["base"]["name"] == str(base_folder("roberta"))
    assert manifest["provenance"]["data"]["train"]["sha256"] == "s"
    assert manifest["provenance"]["settings"]["seed"] == 3
    assert manifest["metrics"]["valid"]["n"] == 10
    assert manifest["metrics"]["history"] == result.history


def test_from_scratch_without_validation(tmp_path):
    log = io.StringIO()
    settings = FinetuneSettings(epochs=12, batch=8, learning_rate=1e-2)
    result = finetune(
        SCRATCH, VULNERABILITY, singles(), None, tmp_path / "t", settings=settings, progress=LogProgress(log)
    )
    assert result.scores is None
    teacher = open_teacher(tmp_path / "t")
    assert (teacher.logits(singles()).argmax(1) == singles().labels).mean() > 0.8
    assert "training a tokenizer on 40 functions" in log.getvalue()
    assert json.loads((tmp_path / "t" / MANIFEST).read_text())["pooling"] == "mean"


@pytest.mark.parametrize("base", ["roberta", SCRATCH])
def test_killed_run_resumes_to_the_same_teacher(base_folder, tmp_path, monkeypatch, base):
    base = base_folder(base) if base in ENCODERS else base
    settings = dataclasses.replace(QUICK, epochs=3)

    def run(out: Path, log: io.StringIO) -> None:
        finetune(base, VULNERABILITY, singles(), singles(10), out, settings=settings, progress=LogProgress(log))

    run(tmp_path / "whole", io.StringIO())
    whole, loss, steps = open_teacher(tmp_path / "whole"), module.cross_entropy, 0

    def killed(*arguments):
        nonlocal steps
        steps += 1
        if steps == 8:
            raise KeyboardInterrupt
        return loss(*arguments)

    monkeypatch.setattr(module, "cross_entropy", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "again", io.StringIO())
    assert not (tmp_path / "again").exists()
    monkeypatch.setattr(module, "cross_entropy", loss)
    log = io.StringIO()
    run(tmp_path / "again", log)
    assert "resumed at epoch 2" in log.getvalue()
    again = open_teacher(tmp_path / "again")
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    assert not list(tmp_path.glob(".*"))


def test_unlabelled_examples_are_ignored(tmp_path):
    data = singles(20)
    data = dataclasses.replace(data, labels=np.where(np.arange(20) < 8, data.labels, -1))
    finetune(SCRATCH, VULNERABILITY, data, data, tmp_path / "t", settings=dataclasses.replace(QUICK, epochs=1))
    provenance = json.loads((tmp_path / "t" / MANIFEST).read_text())["provenance"]
    assert {name: part["examples"] for name, part in provenance["data"].items()} == {"train": 8, "valid": 8}


@pytest.mark.parametrize(
    ("train", "valid", "text"),
    [
        (pairs(), None, r"pairs: its examples join 2 function\(s\), those of the task 'vulnerability' join 1"),
        (
            singles(),
            dataclasses.replace(singles(), label_names=("ok", "bad")),
            "its classes are ok, bad; those of the training",
        ),
        (dataclasses.replace(singles(), labels=np.full(40, -1)), None, "it has no labelled example"),
    ],
)
def test_rejects_data_that_do_not_fit(tmp_path, train, valid, text):
    with pytest.raises(DataError, match=text):
        finetune(SCRATCH, VULNERABILITY, train, valid, tmp_path / "t")
    assert not list(tmp_path.iterdir())


def _thesis(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")


def _manifest_of_another_kind(folder: Path) -> None:
    _thesis(folder)
    (folder / MANIFEST).write_text("[]")


@pytest.mark.parametrize("occupy", [_thesis, _manifest_of_another_kind, Path.touch])
def test_other_files_are_not_overwritten(tmp_path, monkeypatch, occupy):
    monkeypatch.chdir(tmp_path)
    occupy(tmp_path / "mine")
    (tmp_path / "link").symlink_to("mine")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    for out in ("mine", "link", "."):
        with pytest.raises(CheckpointError, match=r"already exists and is not a teacher. Choose another --out"):
            finetune("no-such-base", VULNERABILITY, singles(), None, Path(out))
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_teacher_cannot_replace_its_base(teacher_folder, tmp_path):
    before = (teacher_folder / MANIFEST).read_bytes()
    with pytest.raises(UserError, match="is the base itself"):
        finetune(teacher_folder, VULNERABILITY, singles(8), None, teacher_folder)
    assert (teacher_folder / MANIFEST).read_bytes() == before


def test_teacher_is_replaced_unless_the_folder_holds_other_files(teacher_folder, tmp_path):
    folder = Path(shutil.copytree(teacher_folder, tmp_path / "t"))
    before = (folder / MANIFEST).read_text()
    settings = dataclasses.replace(QUICK, epochs=1, seed=5)
    said = io.StringIO()
    finetune(SCRATCH, VULNERABILITY, singles(), None, folder, settings=settings, progress=LogProgress(said))
    assert f"{folder}: the teacher there is replaced when the new one is whole." in said.getvalue()
    assert (folder / MANIFEST).read_text() != before
    (folder / "notes.txt").touch()
    with pytest.raises(CheckpointError, match=r"holds more than a teacher: notes.txt"):
        finetune(SCRATCH, VULNERABILITY, singles(), None, folder, settings=settings)


def test_unwritable_place_is_rejected_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "fit", lambda *_, **__: pytest.fail("training started"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write: a part of this path is a file"):
        finetune(SCRATCH, VULNERABILITY, singles(), None, tmp_path / "file" / "t")


def test_all_files_of_a_teacher_have_the_same_permissions(teacher_folder):
    assert {path.stat().st_mode & 0o777 for path in teacher_folder.iterdir()} == {0o644}


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"pooling": "max"}, "pooling: unknown value 'max'. Choose: first, mean, wide"),
        ({"join": "sum"}, "join: unknown value 'sum'. Choose: concat, difference"),
        ({"batch": 0}, "batch: must be at least 1"),
        ({"learning_rate": 0.0}, "--learning-rate: must be above 0; it is 0"),
        ({"learning_rate": float("nan")}, "--learning-rate: must be above 0"),
        ({"epochs": 0}, "--epochs: must be at least 1"),
        ({"max_tokens": 99_999_999_999}, "--max-tokens: must be at most 16,384"),
        ({"seed": -1}, "--seed: must be at least 0"),
        ({"seed": 2**63}, "--seed: must be at least 0 and below"),
    ],
)
def test_rejects_invalid_settings(settings, text):
    with pytest.raises(UserError, match=text):
        FinetuneSettings(**settings)


@pytest.fixture(scope="module")
def teacher_folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("made") / "teacher"
    finetune(SCRATCH, VULNERABILITY, singles(), None, out, settings=dataclasses.replace(QUICK, epochs=1))
    return out


def _edit(**changes: object):
    def edit(folder: Path) -> None:
        path = folder / MANIFEST
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def _narrow_head(folder: Path) -> None:
    weights = load_file(folder / HEAD)
    save_file({name: value[:1].contiguous() for name, value in weights.items()}, folder / HEAD)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_edit(schema=99), "is of schema 99, this version reads schema 1. Update lilliput"),
        (_edit(pooling="max"), "cannot be read .*max"),
        (_edit(label_names=[0, 1]), "'label_names' are not"),
        (_edit(max_tokens="5"), "'max_tokens'"),
        (_edit(output={"kind": "logits", "columns": [0, 7]}), "the columns of 'output'"),
        (_edit(output={}), "cannot be read .*kind"),
        (lambda folder: (folder / MANIFEST).write_text("{}"), "cannot be read .*schema"),
        (lambda folder: (folder / MANIFEST).write_text("{"), "cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text("[" * 100_000), "cannot be read .*nested"),
        (lambda folder: (folder / HEAD).unlink(), "the head cannot be read"),
        (lambda folder: os.truncate(folder / HEAD, 40), "the head cannot be read"),
        (_narrow_head, "the head cannot be read"),
    ],
)
def test_rejects_damaged_teachers(teacher_folder, tmp_path, damage, text):
    folder = Path(shutil.copytree(teacher_folder, tmp_path / "t"))
    damage(folder)
    with pytest.raises(CheckpointError, match=text):
        open_teacher(folder)


def test_rejects_a_teacher_of_another_task(teacher_folder):
    with pytest.raises(CheckpointError, match="fine-tuned for the task 'vulnerability', not 'clone'"):
        open_teacher(teacher_folder, task="clone")


def test_fingerprint_depends_on_weights_and_tokenizer(teacher_folder, tmp_path):
    folder = Path(shutil.copytree(teacher_folder, tmp_path / "t"))
    before = open_teacher(folder).fingerprint
    assert before == open_teacher(teacher_folder).fingerprint
    weights = load_file(folder / HEAD)
    save_file({name: value + 1 for name, value in weights.items()}, folder / HEAD)
    changed = open_teacher(folder).fingerprint
    assert changed != before
    named = tmp_path / "named"
    named.mkdir()
    for file in folder.glob("tokenizer*"):
        shutil.copy(file, named)
    fingerprint = open_teacher(folder, tokenizer=named).fingerprint
    assert fingerprint != changed
    (named / "tokenizer_config.json").write_text("{}")
    assert open_teacher(folder, tokenizer=named).fingerprint != fingerprint


def test_file_size_limit_is_reported(teacher_folder, tmp_path):
    resource = pytest.importorskip("resource")
    teacher = open_teacher(teacher_folder)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    manifest = module.TeacherManifest(
        "vulnerability", ("safe", "vulnerable"), 1, "mean", "concat", 60, teacher.model.convention
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with (
            pytest.raises(UserError, match="the file grew beyond the limit"),
            module.atomic_folder(tmp_path / "t") as folder,
        ):
            module.save_teacher(folder, teacher.model, None, manifest)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
