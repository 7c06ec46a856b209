"""Shrink with a table of n-grams, from recorded logits: what is at the end of a long function still counts."""

import json

import numpy as np
import onnxruntime
import pytest

import lilliput
from lilliput.artifact import open_artifact
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
    """Only what stands past the layers' reach tells the two classes apart."""
    call = "strcpy(buf, src);" if vulnerable else "strncpy(buf, src, len);"
    return f"int f{row}(char *buf)\n{{\n    int a = {row};\n    a = a + 1; a = a + 2; a = a + 3;\n    {call}\n}}\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An artifact whose labels on file are all but useless: the teacher alone knows."""
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


def test_it_learns_from_its_teacher_what_only_n_grams_see(made):
    artifact = open_artifact(made)
    assert artifact.evidence()["valid"]["accuracy"] >= 0.95
    assert artifact.manifest.config.positions == 16
    assert artifact.manifest.max_tokens == 256


def test_both_engines_agree_on_long_and_short_inputs(made):
    model = lilliput.load(made, threads=1)
    texts = [long_function(7, True), long_function(8, False), "int f;"]
    session = onnxruntime.InferenceSession(made / "model.onnx")
    for ids in model.tokenizer.encode(texts):
        found = model.runner.encode([ids])[0]
        feeds = {"input_ids": pad([ids], 512)}
        np.testing.assert_allclose(found, session.run(["logits"], feeds)[0], atol=2e-2)
