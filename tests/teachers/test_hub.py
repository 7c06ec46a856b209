"""Models fetched from a hub, and which of their files are fetched."""

import json
from pathlib import Path

import pytest
from tiny_hub import hub_with

from lilliput.errors import CheckpointError
from lilliput.teachers.hub import checkpoint_files, locate, weight_files
from lilliput.verbs.origin import origin_of

MODEL = "some-owner/coder"
CARD = "---\nlicense: bsd-3-clause\nbase_model: some-owner/base\n---\n"
FILES = {"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "{}", "optimizer.pt": "not for us"}


@pytest.fixture()
def fetched(tmp_path, monkeypatch):
    """``fetched(files)``: the local folder of a hub model with exactly these files."""

    def fetch(files):
        theirs, cache = tmp_path / "theirs", tmp_path / "cache"
        theirs.mkdir()
        for name, text in files.items():
            (theirs / name).write_text(text)
        with hub_with(theirs, MODEL, cache, monkeypatch):
            return locate(MODEL)

    return fetch


def test_model_card_is_fetched_and_gives_the_license(fetched):
    folder = fetched({**FILES, "README.md": CARD})
    assert {file.name for file in folder.iterdir()} == {*FILES, "README.md"} - {"optimizer.pt"}
    assert origin_of(folder) == {"source": MODEL, "license": "bsd-3-clause", "base_model": ["some-owner/base"]}
    assert folder / "README.md" not in checkpoint_files(folder)  # another card does not make it another model


def test_model_card_is_optional(fetched):
    folder = fetched(FILES)
    assert {file.name for file in folder.iterdir()} == {*FILES} - {"optimizer.pt"}
    assert origin_of(folder) == {"source": MODEL}


def test_pickles_are_fetched_only_without_safetensors(fetched):
    folder = fetched({"config.json": "{}", "pytorch_model.bin": "weights", "README.md": CARD})
    assert {file.name for file in folder.iterdir()} == {"config.json", "pytorch_model.bin", "README.md"}


def test_weight_files_are_those_that_the_index_names(tmp_path):
    named = {"a": "weights-1.safetensors", "b": "weights-2.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": named}))
    for name in (*named.values(), "other.safetensors"):
        (tmp_path / name).write_text("weights")
    found = {file.name for file in weight_files(tmp_path)}
    assert found == {"model.safetensors.index.json", *named.values()}
    assert found <= {file.name for file in checkpoint_files(tmp_path)}
    (tmp_path / "weights-2.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"weights-2\.safetensors: is missing"):
        weight_files(tmp_path)


def test_unknown_hub_model_is_rejected(tmp_path, monkeypatch):
    with hub_with(tmp_path, MODEL, tmp_path / "cache", monkeypatch), pytest.raises(CheckpointError) as refusal:
        locate("some-owner/other")
    assert "some-owner/other" in str(refusal.value)


def test_checkpoint_folder_takes_precedence_over_a_shipped_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vulnerability").mkdir()
    (tmp_path / "vulnerability" / "config.json").write_text("{}")
    assert locate("vulnerability") == Path("vulnerability")
