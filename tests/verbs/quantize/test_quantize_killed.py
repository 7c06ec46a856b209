"""A quantization killed at any moment leaves nothing at its target, and the same command then resumes it."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from lilliput.artifact import open_artifact
from lilliput.errors import UserError
from lilliput.files import atomic_folder
from lilliput.progress import Progress
from lilliput.quantize.activations import Activations
from lilliput.quantize.calibration import Calibration
from lilliput.quantize.policy import policy
from lilliput.verbs.quantize import QuantizeSettings, quantize, verb
from lilliput.verbs.stages import Stages
from tests.verbs.tiny_checkpoints import LLAMA, PLAIN, VOCABULARY, checkpoint, rewrite

LARGER = {
    "vocab_size": VOCABULARY,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 16,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 64,
}
INT4 = QuantizeSettings(policy("int4"))


def digests(folder):
    """Hashes that must be equal: not of the card, which has the artifact's name, nor of the manifest with its hash."""
    names = ("model.bin", "model.xml", "tokenizer.json", "evidence.json")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


def command(folder, out, how=("--weights", "int4")):
    return [sys.executable, "-m", "lilliput", "quantize", str(folder), "--out", str(out), *how]


def lines(journal):
    return journal.read_bytes().count(b"\n") if journal.is_file() else 0


def killed_when(milestone, *asked):
    """Start the command and kill it at the milestone; return false if it finished before that."""
    _, out, *_ = asked
    work = out.parent / f".{out.name}.work"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen(command(*asked), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    while not milestone(work) and running.poll() is None:
        time.sleep(0.001)
    running.send_signal(signal.SIGKILL)
    if running.wait() == -signal.SIGKILL:
        assert not out.exists()
        return True
    shutil.rmtree(out)
    return False


def test_repeatedly_killed_run_resumes_to_the_same_artifact(tmp_path):
    checkpoint(tmp_path / "model", "llama", LARGER)
    quantize(tmp_path / "model", tmp_path / "whole", settings=INT4)
    milestones = {
        "the tenth weight": lambda work: lines(work / "journal.jsonl") >= 10,
        "most weights": lambda work: lines(work / "journal.jsonl") >= 100,
        "a folder to be renamed": lambda work: any(work.parent.glob(".broken.*.lilliput-new")),
    }
    for name, milestone in milestones.items():
        assert any(killed_when(milestone, tmp_path / "model", tmp_path / "broken") for _ in range(5)), name
    again = subprocess.run(command(tmp_path / "model", tmp_path / "broken"), check=True, capture_output=True, text=True)
    assert "resuming from there" in again.stderr
    assert digests(tmp_path / "broken") == digests(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "model", "whole"]


def test_run_killed_in_the_decoder_resumes_to_the_same_artifact(tmp_path):
    """The encoder's blocks are done by then, but their output vectors are not kept."""
    checkpoint(tmp_path / "model", *PLAIN["t5"])
    how = ("--weights=int8", "--rounding=gptq", "--activations=static")
    how += ("--calibration-pieces=4", "--calibration-tokens=32")
    seen = Calibration(pieces=4, tokens=32)
    settings = QuantizeSettings(policy("int8", rounding="gptq"), Activations("static"), seen)
    quantize(tmp_path / "model", tmp_path / "whole", settings=settings)
    names = [weight["name"] for weight in open_artifact(tmp_path / "whole").evidence()["weights"]]
    wanted = names.index("decoder.layers.1.query.weight")
    asked = tmp_path / "model", tmp_path / "broken", how
    assert any(killed_when(lambda work: lines(work / "journal.jsonl") >= wanted, *asked) for _ in range(5))
    again = subprocess.run(command(*asked), check=True, capture_output=True, text=True)
    assert "resuming from there" in again.stderr
    assert digests(tmp_path / "broken") == digests(tmp_path / "whole")


@pytest.fixture
def model(tmp_path):
    checkpoint(tmp_path / "model", *LLAMA)
    return tmp_path / "model"


class Killed(BaseException):
    """Stands in for the death of the process."""


def kill(*_, **__):
    raise Killed


def test_artifact_stays_whole_while_the_next_run_works(model, tmp_path, monkeypatch):
    """One run is killed when only its work folder is left to remove, and the next one midway."""
    with monkeypatch.context() as patch:
        patch.setattr(Stages, "finish", kill)
        with pytest.raises(Killed):
            quantize(model, tmp_path / "small", settings=INT4)
    expected = digests(tmp_path / "small")
    with monkeypatch.context() as patch:
        patch.setattr(verb, "_save", kill)
        with pytest.raises(Killed):
            quantize(model, tmp_path / "small", settings=INT4)
    assert digests(tmp_path / "small") == expected
    open_artifact(tmp_path / "small")
    quantize(model, tmp_path / "small", settings=INT4)
    assert digests(tmp_path / "small") == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "small"]


class NoteRecorder(Progress):
    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


def begun(model, out, monkeypatch, settings=INT4):
    """Start a run and kill it when it has all weights."""
    with monkeypatch.context() as patch:
        patch.setattr(verb, "write_graphs", kill)
        with pytest.raises(Killed):
            quantize(model, out, settings=settings)


@pytest.mark.parametrize("change", ["settings", "config", "tokenizer", "weights"])
def test_starts_over_if_the_work_differs(change, model, tmp_path, monkeypatch):
    begun(model, tmp_path / "small", monkeypatch)
    settings = INT4
    if change == "settings":
        settings = QuantizeSettings(policy("int4", group=32))
    elif change == "config":
        rewrite(model / "config.json", rms_norm_eps=1e-5)
    elif change == "tokenizer":
        (model / "tokenizer.json").write_text((model / "tokenizer.json").read_text().replace("<|end|>", "<|stop|>"))
    else:
        checkpoint(model, *LLAMA)
    told = NoteRecorder()
    quantize(model, tmp_path / "small", settings=settings, progress=told)
    assert "starting over" in told.lines[0]
    quantize(model, tmp_path / "whole", settings=settings)
    assert digests(tmp_path / "small") == digests(tmp_path / "whole")


def test_starts_over_if_the_calibration_data_were_edited(model, tmp_path, monkeypatch):
    seen = tmp_path / "seen.py"
    settings = QuantizeSettings(policy("int4", rounding="gptq"), calibration=Calibration((seen,), 2, 16))
    seen.write_text("total = total + 1\n" * 50)
    begun(model, tmp_path / "small", monkeypatch, settings)
    seen.write_text("return other(name)\n" * 50)
    told = NoteRecorder()
    quantize(model, tmp_path / "small", settings=settings, progress=told)
    assert "starting over" in told.lines[0]
    quantize(model, tmp_path / "whole", settings=settings)
    assert digests(tmp_path / "small") == digests(tmp_path / "whole")


def test_replacing_an_artifact_is_noted(model, tmp_path):
    told = [NoteRecorder(), NoteRecorder()]
    for one in told:
        quantize(model, tmp_path / "small", settings=INT4, progress=one)
    line = f"{tmp_path / 'small'}: the artifact there is replaced when the new one is complete."
    assert [line in one.lines for one in told] == [False, True]


def test_resumes_the_same_work(model, tmp_path, monkeypatch):
    begun(model, tmp_path / "small", monkeypatch)
    told = NoteRecorder()
    with monkeypatch.context() as patch:
        patch.setattr("lilliput.quantize.stream.WeightSource", kill)  # no weight is read again
        quantize(model, tmp_path / "small", settings=INT4, progress=told)
    assert "resuming from there" in told.lines[0]


def test_files_of_an_earlier_run_count_as_available_space(model, tmp_path, monkeypatch):
    begun(model, tmp_path / "small", monkeypatch)
    there = sum(path.stat().st_size for path in (tmp_path / ".small.work").iterdir())
    usage = type("Usage", (), {"free": verb.ROOM_FOR_GRAPHS + 400_000 - there})
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        quantize(model, tmp_path / "small", settings=INT4)
        with pytest.raises(UserError, match=r"are needed, but only .* are free"):
            usage.free = verb.ROOM_FOR_GRAPHS
            quantize(model, tmp_path / "other", settings=INT4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "small"]


def test_half_written_folder_of_a_killed_run_is_removed(model, tmp_path):
    left = tmp_path / ".small.a1b2c3d4.lilliput-new"
    left.mkdir()
    (left / "model.bin").touch()
    with atomic_folder(tmp_path / "other"):
        assert left.exists()  # it belongs to another target
    quantize(model, tmp_path / "small", settings=INT4)
    assert not left.exists()
