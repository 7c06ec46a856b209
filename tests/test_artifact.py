"""Artifacts: saved whole, verified when opened, and refused with a reason."""

import json

import pytest

from lilliput import artifact
from lilliput.encoder import EncoderConfig
from lilliput.errors import ArtifactError
from lilliput.search.space import Architecture

MANIFEST = artifact.Manifest(
    task="clone",
    labels=("different", "clone"),
    config=EncoderConfig(Architecture(1, 16, 1, 16, 300), arity=2),
    precision="int8",
    max_tokens=128,
    provenance={"seed": 1},
)
FILES = {"model.onnx": b"graph" * 100, "tokenizer.json": b"{}", "README.md": b"# card"}


@pytest.fixture
def saved(tmp_path):
    return artifact.save(tmp_path / "small", MANIFEST, FILES)


def edit(folder, change):
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_what_is_saved_is_what_is_opened(saved):
    opened = artifact.open_artifact(saved.path)
    assert opened.manifest == MANIFEST
    sizes = opened.bytes()
    assert sizes.total == sum(file.stat().st_size for file in saved.path.iterdir())
    assert (sizes.weights, sizes.tokenizer, sizes.other) == (500, 2, 6)


def test_saving_again_replaces_and_leaves_nothing_beside(saved, tmp_path):
    artifact.save(saved.path, MANIFEST, {**FILES, "model.onnx": b"new"})
    assert (saved.path / "model.onnx").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_another_folder_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="is not an artifact"):
        artifact.save(tmp_path / "mine", MANIFEST, FILES)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_failure_while_writing_leaves_the_old_one(saved, monkeypatch):
    def fail(*_):
        raise RuntimeError("power cut")

    monkeypatch.setattr(artifact, "write_json", fail)
    with pytest.raises(RuntimeError):
        artifact.save(saved.path, MANIFEST, {**FILES, "model.onnx": b"new"})
    assert artifact.open_artifact(saved.path).manifest == MANIFEST
    assert [path.name for path in saved.path.parent.iterdir()] == ["small"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "model.onnx").write_bytes(b"graph" * 99), "has 495 bytes where the manifest says 500"),
        (lambda d: (d / "model.onnx").write_bytes(b"grapX" * 100), "was altered: its SHA-256"),
        (lambda d: (d / "tokenizer.json").unlink(), "tokenizer.json: is missing"),
        (lambda d: (d / "manifest.json").write_text("{"), "is damaged"),
        (lambda d: (d / "manifest.json").write_bytes(b"\xff\xfe"), "is damaged"),
        (lambda d: (d / "manifest.json").unlink(), "is not an artifact"),
        (lambda d: edit(d, lambda v: v.update(schema=2)), "has schema 2; this version"),
        (lambda d: edit(d, lambda v: v.pop("schema")), "field 'schema' is missing"),
        (lambda d: edit(d, lambda v: v.pop("labels")), "a field is missing"),
        (lambda d: edit(d, lambda v: v.update(config=[])), "a field is missing or of the wrong kind"),
        (lambda d: edit(d, lambda v: v["files"].pop("model.onnx")), "lists no model.onnx"),
        (
            lambda d: edit(d, lambda v: v["files"].update({"../evil": {"bytes": 1, "sha256": "0"}})),
            "unsafe file name",
        ),
    ],
)
def test_damage_is_named(saved, damage, message):
    damage(saved.path)
    with pytest.raises(ArtifactError, match=message):
        artifact.open_artifact(saved.path)


def test_a_link_is_refused(saved, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(FILES["tokenizer.json"])
    (saved.path / "tokenizer.json").unlink()
    (saved.path / "tokenizer.json").symlink_to(secret)
    with pytest.raises(ArtifactError, match="unsafe file name"):
        artifact.open_artifact(saved.path)
