"""Evaluate: its JSON fields, at which length it measures, and what it rejects before working."""

import json
import shutil
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import lilliput
from lilliput import api
from lilliput.cli.evaluate_classifier import show
from lilliput.data.dataset import Dataset
from lilliput.errors import DataError, MissingExtra, UserError
from lilliput.evaluate import energy
from lilliput.progress import Progress
from lilliput.tasks import task_named
from lilliput.verbs.evaluate import Evaluation, evaluate
from lilliput.verbs.evaluate.classifier import SEEN
from lilliput.verbs.subjects import CheckpointSubject, open_subject


class Recorded(Progress):
    """Records notes and loops."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.loops: dict[str, list[int]] = {}

    def note(self, text):
        self.notes.append(text)

    @contextmanager
    def track(self, what, total):
        self.loops[what] = [total, 0]

        def advance(steps=1, note=""):
            self.loops[what][1] += steps

        yield advance


@pytest.fixture(scope="module")
def progress():
    return Recorded()


@pytest.fixture(scope="module")
def found(small, workshop, progress) -> Evaluation:
    return evaluate(
        small, "vulnerability", workshop / "valid.jsonl", train=str(workshop / "train.jsonl"), progress=progress
    )


def test_json_has_the_documented_keys(found):
    result = json.loads(json.dumps(found.as_dict()))
    scores = {"n", "accuracy", "f1", "precision", "recall", "mcc", "intervals", "undefined", "confusion", "label_names"}
    costs = {"bytes", "latency_ms", "peak_memory_mb", "energy", "carbon"}
    assert set(result) == scores | costs | {"name", "model", "task", "baselines", "machine", "data", "notes", "command"}
    assert set(result["intervals"]) == {"accuracy", "f1", "mcc"}
    assert set(result["baselines"]) == {"majority", "token_logistic", "details"}
    assert set(result["baselines"]["details"]) == {"majority", "token_logistic"}
    assert set(result["baselines"]["details"]["majority"]) == {"accuracy", "f1", "mcc", "undefined", "fitted_on"}
    assert set(result["bytes"]) == {"total", "weights", "tokenizer", "manifest", "other"}
    timed = {"p50", "p95", "n", "p50_interval", "per"}
    assert set(result["latency_ms"]) == timed | {"threads", "tokens", "natural"}
    assert set(result["latency_ms"]["natural"]) == timed
    assert set(result["energy"]) == {"joules_per_example", "kind", "n", "method"}
    assert set(result["carbon"]) == {"grams_co2e_per_example", "intensity"}
    assert set(result["carbon"]["intensity"]) == {"grams_per_kwh", "region", "year", "source"}
    assert set(result["data"]) == {"sources", "sha256"}


def test_data_that_the_model_has_seen_are_noted(found, small, workshop, progress):
    assert found.notes[0] == SEEN["valid"]
    assert SEEN["valid"] in progress.notes
    assert evaluate(small, "vulnerability", workshop / "train.jsonl").notes[0] == SEEN["train"]
    (workshop / "others.jsonl").write_text("".join((workshop / "valid.jsonl").read_text().splitlines(True)[1:]))
    assert not {*SEEN.values()} & {*evaluate(small, "vulnerability", workshop / "others.jsonl").notes}


def test_single_example_is_rejected_before_the_work(small, workshop, tmp_path):
    first, *_ = (workshop / "valid.jsonl").read_text().splitlines()
    (tmp_path / "one.jsonl").write_text(first)
    with pytest.raises(DataError, match=r"one\.jsonl: has one example, .* training data \(--train\)"):
        evaluate(small, "vulnerability", tmp_path / "one.jsonl")


def test_figures_are_consistent(found):
    result = found.as_dict()
    assert (result["task"], result["n"]) == ("vulnerability", 60)
    assert result["intervals"]["accuracy"][0] < result["accuracy"] <= result["intervals"]["accuracy"][1] <= 1
    for timed in (result["latency_ms"], result["latency_ms"]["natural"]):
        low, high = timed["p50_interval"]
        assert low <= timed["p50"] <= high
        assert 1 <= timed["n"] <= 100
    assert found.energy.seconds >= 2
    assert result["energy"]["n"] > 60
    assert result["energy"]["n"] % 60 == 0
    assert result["energy"]["joules_per_example"] == pytest.approx(found.energy.joules / result["energy"]["n"])
    assert result["peak_memory_mb"] > 8


def test_correlation_with_a_constant_prediction_is_undefined(found, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = found.as_dict()
    assert result["baselines"]["details"]["majority"]["undefined"] == ["mcc"]
    show(result)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[-1] for line in lines if line.startswith("majority*")] == ["undefined"]
    assert any(line.startswith("undefined: all labels or all predictions") for line in lines)
    show({**result, "undefined": ["f1", "precision"]})
    facts = dict(line.split("  ", maxsplit=1) for line in capsys.readouterr().out.splitlines() if "  " in line)
    assert facts["precision, recall, %"].strip() == f"undefined, {100 * result['recall']:.1f}"


def test_latency_is_measured_at_the_longest_input_of_a_short_model(found, small, progress):
    longest = lilliput.load(small).manifest.max_tokens
    assert longest < 400
    assert found.as_dict()["latency_ms"]["tokens"] == longest
    assert any(f"takes at most {longest} tokens" in note for note in progress.notes)


def test_score_without_an_interval_is_reported(found, capsys):
    result = found.as_dict()
    ends = [0.5, 0.75]
    show({**result, "intervals": dict.fromkeys(result["intervals"], ends)})
    assert "without an interval" not in capsys.readouterr().out
    show({**result, "intervals": {"accuracy": ends, "f1": None, "mcc": None}, "undefined": []})
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("F1 and MCC without an interval: the examples are too few") for line in lines)


def test_scoring_reports_progress(found, progress):
    total, done = progress.loops["scoring functions"]
    assert total == done > 0


@pytest.mark.parametrize("tokens", [1, 2, 0, -5, True, 16.0, float("nan")])
def test_rejects_invalid_lengths(tokens, small, workshop):
    with pytest.raises(UserError, match="must be 3 or more") as caught:
        api.evaluate(small, "vulnerability", workshop / "valid.jsonl", tokens=tokens)
    assert caught.value.where == "--tokens"


def test_checkpoint_with_few_positions_is_measured(workshop, monkeypatch):
    monkeypatch.setattr("lilliput.verbs.evaluate.classifier.peak_memory_mb", lambda *_: 1.0)
    monkeypatch.setattr(energy.measure_calls, "__defaults__", (0.1, *energy.measure_calls.__defaults__[1:]))
    found = evaluate(workshop / "teacher", "vulnerability", [workshop / "valid.jsonl"], tokens=100_000)
    assert found.tokens == 64


def test_scores_survive_if_memory_cannot_be_measured(small, workshop, monkeypatch):
    def failing(argv):
        raise UserError("the program measured for memory failed with exit code -9: it said nothing.")

    monkeypatch.setattr("lilliput.evaluate.resources.peak_memory", failing)
    monkeypatch.setattr(energy.measure_calls, "__defaults__", (0.1, *energy.measure_calls.__defaults__[1:]))
    progress = Recorded()
    found = evaluate(small, "vulnerability", [workshop / "valid.jsonl"], progress=progress).as_dict()
    assert found["peak_memory_mb"] is None
    assert 0 <= found["accuracy"] <= 1
    assert progress.notes[-1].endswith("failed with exit code -9: it said nothing.")


def test_rejects_an_artifact_of_another_task(small, tmp_path):
    (tmp_path / "x.jsonl").write_text('{"code": "int f() {}", "label": 0}\n')
    with pytest.raises(UserError, match=r"was made for task 'vulnerability', not 'classification'") as caught:
        api.evaluate(small, "classification", tmp_path / "x.jsonl")
    assert caught.value.where == "--task"


def test_name_is_that_of_the_folder_even_from_within_it(small, monkeypatch):
    monkeypatch.chdir(small)
    assert open_subject(".", "vulnerability").name == small.name


def test_missing_scikit_learn_is_reported_before_the_model_is_opened(small, workshop, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr(
        "lilliput.verbs.evaluate.classifier.open_subject", lambda *_: pytest.fail("the model was opened")
    )
    with pytest.raises(MissingExtra, match=r"pip install 'lilliput\[evaluate\]'"):
        evaluate(small, "vulnerability", workshop / "valid.jsonl")


def test_missing_torch_is_reported_with_what_to_install(workshop, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lilliput\[train\]'"):
        open_subject(workshop / "teacher", "vulnerability")


@pytest.mark.parametrize("kind", ["small", "teacher"])
def test_rejects_invalid_number_of_threads(kind, small, workshop):
    with pytest.raises(UserError, match="threads: must be 1 or more"):
        open_subject(workshop / kind, "vulnerability", threads=-1)


class DeviceRecorder(torch.nn.Module):
    """A teacher's model that records on which device its input is."""

    def __init__(self, device) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, device=device))

    def encode(self, ids, mask):
        self.seen = (ids.device.type, mask.device.type)
        return self.weight + ids.float().sum()


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_input_is_moved_to_the_device_of_the_checkpoint(device, monkeypatch):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("this machine has no GPU")
    synchronized = []
    monkeypatch.setattr(torch.cuda, "synchronize", synchronized.append)
    subject = CheckpointSubject.__new__(CheckpointSubject)
    subject.teacher = SimpleNamespace(model=DeviceRecorder(device))
    subject.pass_over(np.arange(5))
    assert subject.teacher.model.seen == (device, device)
    assert len(synchronized) == (device == "cuda")


def test_loaded_model_reports_to_the_callers_progress(small):
    told = Recorded()
    data = Dataset(("int f() {}", "int g() {}"), np.array([[0], [1], [0]]), np.array([0, 1, 0]), ("safe", "vulnerable"))
    assert lilliput.load(small).logits(data, told).shape == (3, 2)
    assert told.loops == {"scoring functions": [2, 2]}


def test_finetune_rejects_label_names_for_a_task_with_its_own(workshop, tmp_path):
    for names in (("vulnerable", "safe"), ("a", "b")):
        with pytest.raises(UserError, match="task 'vulnerability' has its own classes") as caught:
            api.finetune(
                *("scratch:layers=1", "vulnerability", workshop / "train.jsonl", str(workshop / "valid.jsonl")),
                tmp_path / "out",
                label_names=names,
            )
        assert caught.value.where == "--labels"
    assert not (tmp_path / "out").exists()


def test_finetune_accepts_single_paths(workshop, tmp_path):
    base = "scratch:layers=1,hidden=16,heads=1,intermediate=16,vocabulary=300"
    for file in ("train.jsonl", "valid.jsonl"):
        shutil.copy(workshop / file, tmp_path)
    train, valid = str(tmp_path / "train.jsonl"), tmp_path / "valid.jsonl"
    made = api.finetune(base, "vulnerability", train, valid, tmp_path / "teacher", epochs=1, max_tokens=32)
    assert made.as_dict()["valid"]["n"] == len(task_named("vulnerability").read(valid))
