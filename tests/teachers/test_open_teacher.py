"""Which kind of teacher is opened for which files, and what is rejected."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from lilliput.errors import CheckpointError, UserError
from lilliput.shipped import SHIPPED, folder_of
from lilliput.teachers import KINDS, Teacher, open_teacher
from lilliput.teachers.generator import open_generator
from lilliput.teachers.huggingface import open_base
from lilliput.teachers.teacher import Teacher as SameTeacher


@pytest.mark.parametrize(
    ("files", "module"),
    [
        (("lilliput-teacher.json", "config.json"), "folder"),
        (("config.json", "model.safetensors"), "huggingface"),
        (("model.bin",), "compressor"),
    ],
)
def test_files_decide_the_kind_of_folder(tmp_path, files, module):
    for name in files:
        (tmp_path / name).write_bytes(b"")
    assert next(kind for kind in KINDS if kind.matches(tmp_path)).module == module


def test_bin_file_is_read_as_the_compressor_papers(tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"no weights")
    assert next(kind for kind in KINDS if kind.matches(path)).module == "compressor"
    with pytest.raises(CheckpointError, match=r"weights\.bin"):
        open_teacher(path)


def test_other_files_are_rejected_with_the_known_kinds(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(CheckpointError, match="is none of these: a teacher made by lilliput; a Hugging Face"):
            open_teacher(path)


@pytest.mark.parametrize("open_it", [open_teacher, open_base, open_generator])
@pytest.mark.parametrize("name", SHIPPED)
def test_artifact_is_rejected_as_checkpoint(open_it, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder_of(name), tmp_path / "copy")
    for artifact in (name, "copy"):
        with pytest.raises(CheckpointError, match=r"is an artifact: .* Give the model that it was made from") as caught:
            open_it(artifact)
        assert caught.value.where == artifact


def test_checkpoint_may_have_a_manifest_of_its_own(base_folder, tmp_path):
    folder = shutil.copytree(base_folder("roberta"), tmp_path / "base")
    (folder / "manifest.json").write_text("{}")
    assert open_base(folder).fingerprint == open_base(base_folder("roberta")).fingerprint


def test_unknown_tasks_are_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="no task is called 'poetry'"):
        open_teacher(tmp_path, task="poetry")


def test_importing_teachers_does_not_import_torch():
    assert Teacher is SameTeacher
    code = "import sys, lilliput.teachers; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
