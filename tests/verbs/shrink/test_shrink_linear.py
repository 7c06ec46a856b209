"""Shrink with a linear model of n-grams, with and without a network."""

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

import lilliput
from lilliput.artifact import CARD, open_artifact
from lilliput.data.tables import Columns
from lilliput.distill.linear import Linear
from lilliput.errors import UserError
from lilliput.grams import Grams
from lilliput.runtime.tokens import pad
from lilliput.teachers.recorded import record
from lilliput.verbs.shrink import ShrinkSettings, shrink
from tests.verbs.shrink.test_shrink_grams import long_function

SETTINGS = ShrinkSettings(
    candidates=1, max_tokens=256, attended=0, linear=Linear(bits=10, twins=0.5), largest_vocabulary=400
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("linear")
    texts = [long_function(row, row % 2 == 1) for row in range(160)]
    odds = np.where(np.arange(120, 160) % 2, 2.0, -2.0)
    record(folder / "t.npz", texts[120:], np.stack([-odds, odds], 1).astype(np.float32), ("safe", "vulnerable"))
    for name, rows in (("train", range(120)), ("valid", range(120, 160))):
        lines = [json.dumps({"func": texts[row], "target": row % 2}) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def made(data, name, settings, task="vulnerability"):
    files = {"train": [data / "train.jsonl"], "valid": [data / "valid.jsonl"]}
    shrink(data / "t.npz", task, **files, out=data / name, size=120_000, latency_ms=None, settings=settings)
    return open_artifact(data / name)


@pytest.fixture(scope="module")
def alone(data):
    return made(data, "alone", SETTINGS)


def test_linear_model_alone_is_a_table_and_nothing_else(alone):
    config, evidence = alone.classifier.config, alone.evidence()
    assert evidence["valid"]["accuracy"] >= 0.95
    assert set(config.shapes()) == {"linear.weight", "linear.bias"}
    assert [(line["stage"], line["epoch"]) for line in evidence["history"]] == [("linear", 1)]
    assert "linear model of n-grams of 1 to 2 tokens, 1,024 rows x 1" in alone.file(CARD).read_text()
    assert alone.bytes().total < 60_000


def test_both_engines_agree(alone):
    model = lilliput.load(alone.path, threads=1)
    session = onnxruntime.InferenceSession(alone.path / "model.onnx")
    for ids in model.tokenizer.encode([long_function(7, True), long_function(8, False), "int f;"]):
        found = model.runner.encode([ids])[0]
        np.testing.assert_allclose(found, session.run(["logits"], {"input_ids": pad([ids], 512)})[0], atol=1e-4)


def test_model_does_not_depend_on_the_seed(data, alone):
    other = made(data, "other", replace(SETTINGS, seed=5))
    assert (other.path / "model.onnx").read_bytes() == (alone.path / "model.onnx").read_bytes()


def test_network_and_linear_model_are_both_trained(data):
    beside = replace(
        SETTINGS, attended=16, grams=Grams(2, 10, 4), epochs=2, learning_rate=1e-2, linear=Linear(bits=10, twins=0)
    )
    artifact = made(data, "both", beside)
    config = artifact.classifier.config
    assert config.network and config.layered and config.linear.rows == 1024
    assert artifact.evidence()["valid"]["accuracy"] >= 0.95
    assert [line["stage"] for line in artifact.evidence()["history"]] == ["distillation", "distillation", "linear"]


def test_pairs_are_rejected_before_the_work(data):
    lines = [json.dumps({"code_a": "int f;", "code_b": "int g;", "label": row % 2}) for row in range(8)]
    (data / "pairs.jsonl").write_text("\n".join(lines) + "\n")
    files = {"train": [data / "pairs.jsonl"], "valid": [data / "pairs.jsonl"], "columns": Columns("code_a", "code_b")}
    with pytest.raises(UserError, match="--linear: reads single functions; the examples of task 'clone' join 2"):
        shrink(data / "t.npz", "clone", **files, out=data / "p", settings=SETTINGS)
    assert not (data / ".p.work").exists()
