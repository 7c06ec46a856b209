"""Artifacts: saved whole, verified on opening, and rejected with a reason."""

import json

import pytest

from lilliput import artifact
from lilliput.encoder import EncoderConfig
from lilliput.errors import ArtifactError, UserError
from lilliput.runtime.engine import read_graph
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


def test_saved_artifact_opens_equal(saved):
    opened = artifact.open_artifact(saved.path)
    assert opened.manifest == MANIFEST
    sizes = opened.bytes()
    assert sizes.total == sum(file.stat().st_size for file in saved.path.iterdir())
    assert (sizes.weights, sizes.tokenizer, sizes.other) == (500, 2, 6)


def test_saving_again_replaces_the_artifact_and_leaves_nothing_beside(saved, tmp_path):
    artifact.save(saved.path, MANIFEST, {**FILES, "model.onnx": b"new"})
    assert (saved.path / "model.onnx").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_other_folders_are_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match="is not an artifact"):
        artifact.save(tmp_path / "mine", MANIFEST, FILES)
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ('{"name": "my web app"}', "is not an artifact"),
        ('{"schema": 1, "files": [], "task": "clone"}', "is not an artifact"),
        ("not JSON", "is not an artifact"),
        ("[]", "is not an artifact"),
        ('{"schema": 1, "task": "clone", "files": {}}', "holds more than an artifact: thesis.txt"),
    ],
)
def test_folder_with_a_foreign_manifest_is_not_replaced(tmp_path, manifest, words):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.json").write_text(manifest)
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for refused in (artifact.refuse_occupied, lambda path: artifact.save(path, MANIFEST, FILES)):
        with pytest.raises(ArtifactError, match=words):
            refused(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_artifact_with_added_files_is_not_replaced(saved):
    (saved.path / "notes").mkdir()
    with pytest.raises(ArtifactError, match=r"more than an artifact: notes. Choose another --out"):
        artifact.save(saved.path, MANIFEST, FILES)


def test_only_artifacts_and_empty_places_may_be_overwritten(saved, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (saved.path / "model.onnx").unlink()
    for path in (saved.path, tmp_path / "absent", tmp_path / "empty"):
        artifact.refuse_occupied(path)
    with pytest.raises(ArtifactError, match="already exists and is not an artifact"):
        artifact.refuse_occupied(tmp_path / "file")
    with pytest.raises(UserError, match="file name too long"):
        artifact.refuse_occupied(tmp_path / ("x" * 300))


def test_failed_write_keeps_the_old_artifact(saved, monkeypatch):
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
        (lambda d: edit(d, lambda v: v.update(schema=3)), "has schema 3; this version"),
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


@pytest.mark.parametrize(
    ("damage", "made_with"),
    [
        (lambda d: (d / "tokenizer.json").unlink(), "or remake it with 'lilliput shrink'."),
        (lambda d: edit(d, lambda v: v.pop("labels")), "or remake it with 'lilliput shrink'."),
        (
            lambda d: (d / "manifest.json").write_text("{"),
            "or remake it with 'lilliput shrink' or 'lilliput quantize'.",
        ),
    ],
)
def test_remedy_names_the_verb_that_makes_such_an_artifact(saved, damage, made_with):
    damage(saved.path)
    with pytest.raises(ArtifactError) as refusal:
        artifact.open_artifact(saved.path)
    assert refusal.value.remedy.endswith(made_with)


def config(**changes):
    def change(values):
        values["config"].update(changes)

    return change


def sizes(**changes):
    def change(values):
        values["config"]["architecture"].update(changes)

    return change


def fields(**changes):
    return lambda values: values.update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (fields(schema=True), "field 'schema' is missing or not a number"),
        (fields(schema=0), "field 'schema' is missing or not a number"),
        (fields(labels="ab"), "'labels' must be a list"),
        (fields(labels=["a", "a"]), "'labels' must be distinct"),
        (fields(labels=["a", ""]), "'labels' must be words"),
        (fields(labels=["a", 1]), "'labels' must be words"),
        (fields(labels=["a", "b\x1b[31m"]), "'labels' must be words"),
        (fields(provenance={"seed": float("nan")}), "is damaged: it holds NaN"),
        (sizes(layers=2**30), "'layers' must be at most 10,000"),
        (fields(labels=["a", ["b"]]), "'labels' must be words"),
        (fields(labels=["a", "b", "c"]), "one for each of 'classes'"),
        (fields(labels=["a", "\ud800"]), "is damaged: .*surrogates"),
        (config(arity=3), "'arity' must be 1 or 2"),
        (config(arity=True), "'arity' must be 1 or 2"),
        (config(classes="2"), "'classes' must be a positive whole number"),
        (config(positions=127), "'max_tokens' must be more than 2 and at most 'positions'"),
        (config(positions=0), "'positions' must be a positive whole number"),
        (config(pooling=["mean"]), "'pooling' must be a word"),
        (config(norm_epsilon="small"), "'norm_epsilon' must be a number"),
        (config(colour="red"), "colour"),
        (fields(max_tokens=2), "'max_tokens' must be more than 2"),
        (fields(max_tokens="128"), "'max_tokens' must be a positive whole number"),
        (config(positions=0, grams={"order": 2, "bits": 0, "width": 4}), "'bits' of the n-grams must be 4 to 22"),
        (config(grams={"order": 2, "bits": 8, "width": 4, "scale": "sum"}), "'scale' of the n-grams must be one of"),
        (config(grams={"order": 2, "bits": 8, "width": 4}, positions=-1), "'positions' must be a positive"),
        (sizes(layers=0), "'layers' must be a positive whole number"),
        (sizes(hidden=True), "'hidden' must be a positive whole number"),
        (sizes(vocabulary=10**400), "'vocabulary' must be a positive whole number"),
        (sizes(heads=3), "'hidden' must be a multiple of 'heads'"),
        (fields(task=None), "'task' must be a word"),
        (fields(provenance=[]), "'provenance' must be an object"),
        (fields(provenance={"data": []}), "'provenance: data' must be an object"),
        (fields(provenance={"data": {"train": 5}}), "'provenance: data' must be of objects"),
        (fields(provenance={"teacher": "CodeBERT"}), "'provenance: teacher' must be an object"),
        (lambda values: values["files"]["model.onnx"].update(bytes=float("inf")), "is damaged: it holds Infinity"),
        (lambda values: values["files"].update({"x" * 300: {"bytes": 1, "sha256": "0"}}), "cannot be read"),
    ],
)
def test_rejects_a_crafted_manifest(saved, change, message):
    edit(saved.path, change)
    with pytest.raises(ArtifactError, match=message):
        artifact.open_artifact(saved.path)


def test_bag_of_n_grams_needs_no_layers_and_old_tables_are_means(saved):
    def change(values):
        values["config"].update(positions=0, grams={"order": 2, "bits": 8, "width": 4})
        values["config"]["architecture"].update(layers=0, intermediate=0)

    edit(saved.path, change)
    config = artifact.open_artifact(saved.path).classifier.config
    assert (config.layered, config.pooled, config.grams.scale) == (False, 4, "mean")


LINEAR = {"order": 2, "bits": 8, "width": 1, "scale": "root"}


def test_linear_model_needs_no_network(saved):
    def change(values):
        values["config"].update(positions=0, arity=1, linear=LINEAR)
        values["config"]["architecture"].update(layers=0, hidden=0, intermediate=0)

    edit(saved.path, change)
    config = artifact.open_artifact(saved.path).classifier.config
    assert (config.network, config.width, config.linear.rows) == (False, 1, 256)


@pytest.mark.parametrize(
    ("sizes", "linear", "arity", "message"),
    [
        ({"hidden": 0}, LINEAR, 1, "'hidden' must be a positive whole number"),
        ({}, {**LINEAR, "width": 3}, 1, "'linear' must be as wide as the classes need"),
        ({}, LINEAR, 2, "'linear' must be left out where an example joins two functions"),
    ],
)
def test_rejects_a_linear_model_that_does_not_fit_the_rest(saved, sizes, linear, arity, message):
    def change(values):
        values["config"].update(linear=linear, arity=arity)
        values["config"]["architecture"].update(sizes)

    edit(saved.path, change)
    with pytest.raises(ArtifactError, match=message):
        artifact.open_artifact(saved.path)


def test_rejects_a_manifest_nested_too_deep(saved):
    (saved.path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match="is damaged: nested more than"):
        artifact.open_artifact(saved.path)


@pytest.mark.parametrize("evidence", [b"[]", b"{", b"\xff", b"[" * 100_000])
def test_rejects_invalid_evidence(tmp_path, evidence):
    made = artifact.save(tmp_path / "small", MANIFEST, {**FILES, "evidence.json": evidence})
    with pytest.raises(ArtifactError, match=r"evidence.json: is damaged"):
        made.evidence()


def test_rejects_an_invalid_graph(saved):
    with pytest.raises(ArtifactError, match=r"model.onnx: is not a graph that OpenVINO can read"):
        read_graph(saved.file("model.onnx"))


def test_rejects_a_link(saved, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(FILES["tokenizer.json"])
    (saved.path / "tokenizer.json").unlink()
    (saved.path / "tokenizer.json").symlink_to(secret)
    with pytest.raises(ArtifactError, match="is a link"):
        artifact.open_artifact(saved.path)
