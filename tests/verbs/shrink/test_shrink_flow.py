"""Shrink with data flow: from training to predictions without torch."""

import dataclasses
import io
import json
import sys

import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

import lilliput
from lilliput import extras
from lilliput.artifact import open_artifact
from lilliput.bpe import train_tokenizer
from lilliput.cli.app import app
from lilliput.data.dataflow import data_flow
from lilliput.data.dataset import Dataset
from lilliput.data_flow import DataFlow, stacked
from lilliput.encoder import EncoderConfig
from lilliput.errors import ArtifactError, MissingExtra
from lilliput.graph.onnx_flow import EDGES, SPANS
from lilliput.progress import LogProgress
from lilliput.runtime.tokens import pad
from lilliput.tasks import task_named
from lilliput.teachers.recorded import record
from lilliput.verbs import latency
from lilliput.verbs.inspect import inspect
from lilliput.verbs.shrink import shrink
from lilliput.verbs.shrink.inputs import StudentInputs
from lilliput.verbs.shrink.plan import StudentPlan
from lilliput.verbs.shrink.settings import ShrinkSettings
from lilliput.verbs.subjects import of_length, open_subject

SETTINGS = ShrinkSettings(
    candidates=1, epochs=4, learning_rate=5e-3, max_tokens=64, largest_vocabulary=320, data_flow=6
)


def function(row: int, flows: bool) -> str:
    """The class depends on whether the copied length is the checked one; both classes have the same tokens."""
    first, second = ("n", "m") if flows else ("m", "n")
    return f"void f{row % 7}(int n, int m) {{ int k = {first}; int l = {second}; if (k < 9) copy(k); use(l); }}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flow")
    texts = [function(row, row % 2 == 1) for row in range(96)]
    odds = np.where(np.arange(96) % 2, 2.0, -2.0)
    record(folder / "t.npz", texts, np.stack([-odds, odds], 1).astype(np.float32), ("safe", "vulnerable"))
    for name, rows in (("train", range(64)), ("valid", range(64, 96))):
        lines = [json.dumps({"func": texts[row], "target": row % 2}) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    files = {"train": [folder / "train.jsonl"], "valid": [folder / "valid.jsonl"]}
    log = io.StringIO()
    shrink(
        folder / "t.npz",
        "vulnerability",
        **files,
        out=folder / "m",
        size=120_000,
        latency_ms=None,
        settings=SETTINGS,
        progress=LogProgress(log),
    )
    assert log.getvalue().count("finding data flow") >= 2  # for training and validation data
    return folder / "m"


def test_artifact_describes_its_data_flow(made):
    artifact = open_artifact(made)
    assert artifact.manifest.config.data_flow == DataFlow(6, "c")
    assert "; data flow of up to 6 nodes, read as c" in (made / "README.md").read_text()
    assert inspect(made).as_dict()["options"]["data_flow"] == {"nodes": 6, "language": "c"}
    shown = CliRunner().invoke(app, ["inspect", str(made)])
    assert "data flow of up to 6 nodes, read as c" in shown.stdout
    assert artifact.evidence()["settings"]["data_flow"] == 6


def test_both_engines_agree_and_nodes_change_the_output(made):
    model = lilliput.load(made, threads=1)
    session = onnxruntime.InferenceSession(made / "model.onnx")
    for item in model.tokenizer.encode([function(3, True), function(3, False), "int f;", ""]):
        spans, edges = stacked([item], 16)
        feeds = {"input_ids": pad([item.tokens], 64), SPANS: spans, EDGES: edges}
        found = session.run(["logits"], feeds)[0]
        ours, bare = (model.runner.encode([each])[0] for each in (item, item.without_nodes()))
        np.testing.assert_allclose(ours, found, atol=2e-2)
        assert np.array_equal(ours, bare) == (not len(item.spans))


def test_inputs_are_the_tokens_and_the_first_nodes(made):
    model = lilliput.load(made, threads=1)
    code = function(3, True)
    (item,) = model.tokenizer.encode([code])
    np.testing.assert_array_equal(item.tokens, model.tokenizer.tokenizer.encode([code])[0])
    assert len(item.spans) == 6 < len(data_flow(code, "c").nodes)


def test_artifact_is_measured_like_others(made):
    subject = open_subject(made, "vulnerability")
    texts = [function(3, True), "int f;"]
    for tokens in (20, 64):
        for item in of_length(subject, texts, tokens):
            assert len(item.tokens) == tokens and item.spans.max(initial=0) < tokens
            subject.pass_over(item)
    data = task_named("vulnerability").read([made.parent / "valid.jsonl"])
    accuracy = (lilliput.load(made).logits(data).argmax(1) == data.labels).mean()
    assert accuracy == pytest.approx(open_artifact(made).evidence()["valid"]["accuracy"])


@pytest.mark.parametrize("package", ["tree_sitter", "tree_sitter_c"])
def test_missing_tree_sitter_names_the_extra(made, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"{package}'.*pip install 'lilliput\[{extras.EXTRA_OF[package]}\]'"):
        lilliput.load(made)
    assert inspect(made).artifact.path == made


@pytest.mark.parametrize("wrong", [{"nodes": 0, "language": "c"}, {"nodes": 8, "language": "../c"}, {"nodes": 8}, 3])
def test_rejects_a_manifest_with_invalid_data_flow(made, tmp_path, wrong):
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    values = json.loads((made / "manifest.json").read_text())
    values["config"]["data_flow"] = wrong
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(ArtifactError, match=r"manifest.json"):
        open_artifact(tmp_path)


def test_older_manifests_have_no_data_flow():
    values = EncoderConfig.from_dict(EncoderConfig(open_artifact("clone").manifest.config.architecture).as_dict())
    assert values.data_flow is None
    assert open_artifact("vulnerability").manifest.config.data_flow is None


def test_time_to_read_data_flow_counts():
    assert latency.flow_ms(64, "fp32", 400) >= 0
    texts = [function(row, True) for row in range(9)]
    data = Dataset(tuple(texts), np.arange(9)[:, None], np.arange(9) % 2, ("safe", "vulnerable"))
    log = io.StringIO()

    def reading_ms(nodes):
        settings = dataclasses.replace(SETTINGS, data_flow=nodes, language="c" if nodes else None)
        inputs = StudentInputs(StudentPlan(settings, 2, 1), train_tokenizer(texts, 300), LogProgress(log))
        return inputs.reading_ms(data)

    assert reading_ms(0) == 0 and not log.getvalue()
    assert 0.01 < reading_ms(6) < 100
    assert "finding the data flow of a long function takes" in log.getvalue()
