"""Shrink end to end: the budget is kept, the student learns, and a killed run resumes to the same result."""

import csv
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import lilliput
from lilliput.artifact import open_artifact
from lilliput.data.tables import Columns
from lilliput.errors import BudgetError, UserError
from lilliput.progress import Progress
from lilliput.runtime.tokens import CodeTokenizer, pad
from lilliput.tasks import task_named
from lilliput.verbs.finetune import finetune
from lilliput.verbs.shrink import ShrinkSettings, shrink
from tests.conftest import SCRATCH, c_function, write_pairs

SETTINGS = ["--candidates", "2", "--epochs", "2", "--max-tokens", "64", "--learning-rate", "3e-3", "--latency", "none"]


def test_artifact_keeps_its_budget_and_its_accuracy(small):
    artifact = open_artifact(small)
    assert artifact.bytes().total == sum(file.stat().st_size for file in small.iterdir()) <= 150_000
    evidence = artifact.evidence()
    assert evidence["valid"]["accuracy"] >= 0.95
    after, before = (evidence["quantization"][f"accuracy_{when}"] for when in ("after", "before"))
    assert after >= before - 0.005 or evidence["quantization"]["method"] == "quantization-aware"
    assert artifact.manifest.provenance["data"]["train"]["examples"] == 120
    graph = onnx.load(small / "model.onnx")
    assert {node.op_type for node in graph.graph.node} >= {"QuantizeLinear", "DequantizeLinear"}


def test_onnx_runtime_gives_the_same_labels(small, workshop):
    model = lilliput.load(small, threads=1)
    data = task_named("vulnerability").read([workshop / "valid.jsonl"], Columns(), None, True)
    ours = model.logits(data).argmax(1)
    session = onnxruntime.InferenceSession(small / "model.onnx")
    ids = model.tokenizer.encode(data.texts)
    theirs = np.concatenate([session.run(["logits"], {"input_ids": pad([item], 512)})[0] for item in ids]).argmax(1)
    assert (ours == theirs[data.members[:, 0]]).all()


def test_too_small_budget_names_the_smallest_possible(workshop, tmp_path):
    files = {"train": [workshop / "train.jsonl"], "valid": [workshop / "valid.jsonl"]}
    with pytest.raises(BudgetError, match=r"the smallest possible artifact takes [\d,]+ bytes"):
        shrink(workshop / "teacher", "vulnerability", **files, out=tmp_path / "x", size=10_000, latency_ms=None)
    assert not (tmp_path / "x").exists()


def test_pairs_unlabelled_data_and_quantization_aware_training(tmp_path):
    train, valid = write_pairs(tmp_path, 80, 1), write_pairs(tmp_path, 40, 2)
    finetune(SCRATCH, "clone", [train], [valid], tmp_path / "teacher", epochs=2, max_tokens=64)
    result = shrink(
        tmp_path / "teacher",
        "clone",
        [train],
        [valid],
        tmp_path / "small",
        size=150_000,
        latency_ms=None,
        unlabelled=[write_pairs(tmp_path, 30, 3)],
        settings=ShrinkSettings(candidates=1, epochs=2, max_tokens=64, largest_vocabulary=1000, quantization="aware"),
    )
    assert result.quantization == "quantization-aware"
    stages = [line["stage"] for line in open_artifact(result.path).evidence()["history"]]
    assert stages == ["distillation", "distillation", "quantization-aware"]
    assert not (tmp_path / ".small.work").exists()
    model = lilliput.load(result.path)
    function = c_function(random.Random(0), True)
    forth, back = model.predict([(function, "int f() { return 1; }"), ("int f() { return 1; }", function)])
    assert forth.probability == pytest.approx(back.probability, abs=1e-4)


def digests(folder: Path) -> dict[str, str]:
    """Digests that must be equal: the model, the tokenizer, and the evidence's figures except times."""
    files = ("model.onnx", "tokenizer.json")
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files}
    evidence = json.loads((folder / "evidence.json").read_text())
    history = [{k: v for k, v in line.items() if k != "seconds"} for line in evidence["history"]]
    return {**found, "evidence": json.dumps([history, evidence["valid"], evidence["search"]["trials"]])}


def command(workshop: Path, out: Path) -> list[str]:
    files = ["--train", str(workshop / "train.jsonl"), "--valid", str(workshop / "valid.jsonl")]
    verb = [sys.executable, "-m", "lilliput", "shrink", str(workshop / "teacher"), "--task", "vulnerability"]
    how = ["--size", "150kB", "--quantization", "aware", "--aware-epochs", "4", *SETTINGS]
    return [*verb, *files, "--out", str(out), *how]


def killed_at(milestone: str, workshop: Path, out: Path) -> bool:
    """Start the command and kill it when its work folder has this file; return false if it finished before that."""
    running = subprocess.Popen(command(workshop, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (out.parent / f".{out.name}.work" / milestone).exists() and running.poll() is None:
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    if running.wait() == -signal.SIGKILL:
        assert not out.exists()
        return True
    shutil.rmtree(out)
    return False


def test_repeatedly_killed_run_resumes_to_the_same_artifact(workshop, tmp_path):
    subprocess.run(command(workshop, tmp_path / "whole"), check=True, capture_output=True)
    milestones = ["shortlist.json", "trial-0-0.json", "student.pt", "student.npz", "aware.pt", "aware.npz"]
    for milestone in milestones:
        assert any(killed_at(milestone, workshop, tmp_path / "broken") for _ in range(5)), milestone
    again = subprocess.run(command(workshop, tmp_path / "broken"), check=True, capture_output=True, text=True)
    assert "resuming from there" in again.stderr
    assert digests(tmp_path / "broken") == digests(tmp_path / "whole")
    assert not list(tmp_path.glob(".broken*"))


def test_vocabulary_and_positions_are_no_larger_than_needed(small):
    tokenizer = CodeTokenizer.from_file(small / "tokenizer.json", 64).tokenizer
    config = open_artifact(small).manifest.config
    assert config.architecture.vocabulary == tokenizer.get_vocab_size()
    assert config.positions == 64


def test_starts_over_if_other_columns_are_read(workshop, tmp_path):
    """A killed run is not resumed if the same files are read differently."""
    rows = [json.loads(line) for line in (workshop / "train.jsonl").read_text().splitlines()]
    table = tmp_path / "train.csv"
    with table.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["func", "label_a", "label_b"])
        writer.writerows([row["func"], row["target"], 1 - row["target"]] for row in rows)
    told = StopsBeforeTraining()
    for column in ("label_a", "label_b"):
        with pytest.raises(UserError, match="enough"):
            shrink(
                workshop / "teacher",
                "vulnerability",
                [table],
                [table],
                tmp_path / "small",
                size=150_000,
                latency_ms=None,
                columns=Columns("func", None, column),
                settings=ShrinkSettings(candidates=1, epochs=1, max_tokens=64, largest_vocabulary=1000),
                progress=told,
            )
    assert any("starting over" in line for line in told.lines)


def stopped(workshop, out, size=150_000, ends=(UserError, "enough"), **settings) -> list[str]:
    """The notes of a run that is stopped when its training is about to begin, or earlier by the error ``ends``."""
    told = StopsBeforeTraining()
    settings = {"candidates": 2, "epochs": 1, "max_tokens": 64, "largest_vocabulary": 1000, **settings}
    files = {"train": [workshop / "train.jsonl"], "valid": [workshop / "valid.jsonl"]}
    with pytest.raises(ends[0], match=ends[1]):
        shrink(
            *(workshop / "teacher", "vulnerability"),
            **{**files, "out": out, "size": size, "latency_ms": None},
            settings=ShrinkSettings(**settings),
            progress=told,
        )
    return told.lines


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        ({"size": 3000}, "nothing fits 3,000 bytes: the smallest possible"),
        ({"size": 3000, "epochs": 60}, "of 60 epochs, 2 candidates and 2 classes take about 22,200 bytes"),
        ({"candidates": 1000}, "1,000 candidates and 2 classes take about 909,500 bytes; the budget of 150,000"),
        ({"epochs": 900}, "of 900 epochs, .* Raise the budget, or lower --epochs or --candidates"),
    ],
)
def test_impossible_budget_does_not_lose_saved_work(workshop, tmp_path, slip, words):
    stopped(workshop, tmp_path / "small")
    kept = {path.name for path in (tmp_path / ".small.work").iterdir()}
    assert {"shortlist.json", "tokenizer.json", "trial-0-0.json"} <= kept
    lines = stopped(workshop, tmp_path / "small", **slip, ends=(BudgetError, words))
    assert not any("starting over" in line and "set aside" not in line for line in lines)
    lines = stopped(workshop, tmp_path / "small")
    assert "resuming from there" in lines[0]
    assert {path.name for path in (tmp_path / ".small.work").iterdir()} == kept
    assert [path.name for path in tmp_path.iterdir()] == [".small.work"]


@pytest.mark.parametrize("name", ["trial-0-0.json", "shortlist.json", "tokenizer.json"])
def test_damaged_file_of_a_killed_run_is_recomputed(workshop, tmp_path, name):
    stopped(workshop, tmp_path / "small")
    file = tmp_path / ".small.work" / name
    content = file.read_bytes()
    for damage in (content[: len(content) // 2], b"[1]"):
        file.write_bytes(damage)
        stopped(workshop, tmp_path / "small")
        made = json.loads(file.read_text())
        if name == "shortlist.json":
            made = [{**item, "seconds": 0} for item in made]
            assert made == [{**item, "seconds": 0} for item in json.loads(content)]
        else:
            assert made == json.loads(content)


def test_replacing_an_artifact_is_noted(small, workshop, tmp_path):
    shutil.copytree(small, tmp_path / "small")
    lines = stopped(workshop, tmp_path / "small")
    assert lines[0] == f"{tmp_path / 'small'}: the artifact there is replaced when the new one is complete."


def test_examples_that_teach_nothing_are_noted(workshop, tmp_path):
    """Only labels are used, and some examples have none."""
    told = StopsBeforeTraining()
    with pytest.raises(UserError, match="enough"):
        shrink(
            workshop / "teacher",
            "vulnerability",
            [workshop / "train.jsonl"],
            [workshop / "valid.jsonl"],
            tmp_path / "small",
            size=150_000,
            latency_ms=None,
            unlabelled=[workshop / "valid.jsonl"],
            settings=ShrinkSettings(candidates=1, epochs=1, max_tokens=64, largest_vocabulary=1000, mix={"soft": 0.0}),
            progress=told,
        )
    assert any("unlabelled examples only help to train the tokenizer" in line for line in told.lines)


class StopsBeforeTraining(Progress):
    """Record notes, and end the run when the training is about to begin."""

    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)
        if text.startswith("training for "):
            raise UserError("enough")
