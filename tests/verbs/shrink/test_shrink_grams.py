"""Shrink with a table of n-grams, with and without layers: the end of a long function still counts."""

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

import lilliput
from lilliput.artifact import CARD, open_artifact
from lilliput.distill.losses import DistillationMix
from lilliput.grams import Grams
from lilliput.runtime.tokens import pad
from lilliput.teachers.recorded import record
from lilliput.verbs.shrink import ShrinkSettings, shrink

SETTINGS = ShrinkSettings(
    candidates=1,
    epochs=8,
    learning_rate=1e-2,
    max_tokens=256,
    attended=16,
    grams=Grams(order=2, bits=10, width=4),
    mix=DistillationMix(temperature=1.0, soft=1.0, hard=0.0, hidden=0.0),
    largest_vocabulary=400,
)


def long_function(row: int, vulnerable: bool) -> str:
    """A function whose class only shows beyond the reach of the layers."""
    call = "strcpy(buf, src);" if vulnerable else "strncpy(buf, src, len);"
    return f"int f{row}(char *buf)\n{{\n    int a = {row};\n    a = a + 1; a = a + 2; a = a + 3;\n    {call}\n}}\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An artifact trained on nearly useless labels: only the teacher knows the classes."""
    folder = tmp_path_factory.mktemp("grams")
    texts = [long_function(row, row % 2 == 1) for row in range(160)]
    odds = np.where(np.arange(160) % 2, 2.0, -2.0)
    record(folder / "t.npz", texts, np.stack([-odds, odds], 1).astype(np.float32), ("safe", "vulnerable"))
    for name, rows in (("train", range(120)), ("valid", range(120, 160))):
        lines = [
            json.dumps({"func": texts[row], "target": row % 2 if name == "valid" else row // 2 % 2}) for row in rows
        ]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    files = {"train": [folder / "train.jsonl"], "valid": [folder / "valid.jsonl"]}
    shrink(
        folder / "t.npz", "vulnerability", **files, out=folder / "m", size=120_000, latency_ms=None, settings=SETTINGS
    )
    return folder / "m"


def test_learns_from_its_teacher_what_only_n_grams_see(made):
    artifact = open_artifact(made)
    assert artifact.evidence()["valid"]["accuracy"] >= 0.95
    assert artifact.manifest.config.positions == 16
    assert artifact.manifest.max_tokens == 256


def test_bag_of_n_grams_learns_from_labels_without_a_teacher(made):
    """The artifact has no embeddings and still reads all tokens. Of many data files, it lists the first."""
    texts = [long_function(row, row % 2 == 1) for row in range(160)]
    folder = made.parent
    for name, rows in (*((f"bag-{i}", range(12 * i, 12 * i + 12)) for i in range(10)), ("valid", range(120, 160))):
        lines = [json.dumps({"func": texts[row], "target": row % 2}) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    odds = np.where(np.arange(120, 160) % 2, 2.0, -2.0)  # this teacher knows no training function
    record(folder / "valid.npz", texts[120:], np.stack([-odds, odds], 1).astype(np.float32), ("safe", "vulnerable"))
    bag = replace(SETTINGS, attended=0, mix=None, grams=Grams(2, 10, 16, "norm"), grams_dropout=0.3, vector=8)
    files = {"train": [folder / f"bag-{i}.jsonl" for i in range(10)], "valid": [folder / "valid.jsonl"]}
    shrink(
        folder / "valid.npz", "vulnerability", **files, out=folder / "bag", size=120_000, latency_ms=None, settings=bag
    )
    artifact = open_artifact(folder / "bag")
    recorded = artifact.manifest.provenance["data"]["train"]
    assert (len(recorded["files"]), recorded["file_count"], recorded["examples"]) == (8, 10, 120)
    assert "bag-0.jsonl" in artifact.file(CARD).read_text() and "and 7 more" in artifact.file(CARD).read_text()
    assert artifact.evidence()["valid"]["accuracy"] >= 0.95
    assert artifact.classifier.config.architecture.layers == 0
    assert not any(name.startswith(("embeddings", "layers")) for name in artifact.classifier.config.shapes())
    assert lilliput.load(folder / "bag", threads=1).runner.encode([np.arange(4, 204)])[-1].shape == (1, 8)


def test_both_engines_agree_on_long_and_short_inputs(made):
    model = lilliput.load(made, threads=1)
    texts = [long_function(7, True), long_function(8, False), "int f;"]
    session = onnxruntime.InferenceSession(made / "model.onnx")
    for ids in model.tokenizer.encode(texts):
        logits, vectors = model.runner.encode([ids])
        feeds = {"input_ids": pad([ids], 512)}
        expected, others = session.run(["logits", "vectors"], feeds)
        np.testing.assert_allclose(vectors[:, -4:], others[:, -4:], atol=1e-5)  # of n-grams, which are not rounded
        np.testing.assert_allclose(logits, expected, atol=5e-2)
