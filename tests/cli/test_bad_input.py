"""Bad input on the command line: a clear error that names the place, exit code 2, and nothing half-written."""

import gzip
import hashlib
import json
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.conftest import c_function


def lilliput(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-m", "lilliput", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=environment,
        check=False,
    )
    return subprocess.CompletedProcess(run.args, run.returncode, run.stdout.decode(), run.stderr.decode())


def refused(run: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check for exit code 2 and an error of ours that contains ``words``."""
    assert run.returncode == 2, run.stderr
    assert "Traceback" not in run.stderr
    message = run.stderr[run.stderr.rindex("error: ") :]
    assert run.stderr == message or run.stderr.endswith(f"\n{message}")
    for word in words:
        assert word in message, run.stderr


def misused(run: subprocess.CompletedProcess[str], *words: str) -> None:
    """Check for exit code 2 and a usage message for an invalid option value."""
    assert run.returncode == 2, run.stderr
    assert run.stderr.startswith("Usage: ")
    for word in words:
        assert word in run.stderr.strip().splitlines()[-1], run.stderr


TINY = "scratch:layers=1,hidden=16,heads=1,intermediate=16,vocabulary=300"

GOOD = {"func": "int f(int a) { return a; }", "target": 0}


def jsonl(*rows: object) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


DAMAGED = {
    "empty": (b"", "is empty"),
    "not-json": (jsonl(GOOD, b"{func: 1}\n"), "line 2"),
    "missing-column": (jsonl({"code": "int f() { return 1; }", "target": 1}), "func"),
    "unknown-label": (jsonl({**GOOD, "target": 7}), "line 1"),
    "one-class": (jsonl(GOOD, {**GOOD, "func": "int g() { return 2; }"}), "class"),
    "binary": (b"\x00\xff\xfe\x01" * 50, "line 1: byte 1 of the line is NUL"),
    "nul": (jsonl({**GOOD, "func": "int f() { \x00 }"}), "NUL"),
    "ten-megabytes": (jsonl({**GOOD, "func": "x = 1;" * 1_700_000}), "1,000,000"),
    "truncated-gzip": (gzip.compress(jsonl(*[GOOD] * 500))[:60], "the gzip data ends too early"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_rejects_damaged_training_data(name, tmp_path, workshop):
    content, word = DAMAGED[name]
    (tmp_path / "bad.jsonl").write_bytes(content)
    run = lilliput(
        *("finetune", TINY, "--task", "vulnerability"),
        *("--train", tmp_path / "bad.jsonl", "--valid", workshop / "valid.jsonl", "--out", tmp_path / "out"),
    )
    refused(run, "bad.jsonl", word)
    assert not [path.name for path in tmp_path.iterdir() if path.name != "bad.jsonl"]


def test_rejects_a_missing_file_and_an_unknown_task(tmp_path, small):
    refused(lilliput("evaluate", small, "--task", "vulnerability", "--data", tmp_path / "no.jsonl"), "no.jsonl")
    refused(lilliput("evaluate", small, "--task", "spelling", "--data", tmp_path / "no.jsonl"), "vulnerability, clone")


def test_rejects_pairs_that_name_unknown_functions(tmp_path):
    (tmp_path / "data.jsonl").write_text(json.dumps({"idx": "1", "func": c_function(random.Random(0), True)}) + "\n")
    (tmp_path / "pairs.txt").write_text("1\t1\t1\n1\t99\t0\n")
    run = lilliput(
        *("finetune", "scratch:layers=1", "--task", "clone", "--train", tmp_path / "pairs.txt"),
        *("--valid", tmp_path / "pairs.txt", "--out", tmp_path / "out"),
    )
    refused(run, "pairs.txt, line 2", "99")


def test_rejects_a_budget_too_small_for_any_model():
    refused(lilliput("search", "--size", "20kB", "--latency", "none"), "smallest possible", "bytes")


@pytest.mark.parametrize("size", ["3 apples", "-1MB", "0", ""])
def test_rejects_invalid_sizes(size):
    refused(lilliput("search", "--size", size), "--size")


def rewrite(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda d: (d / "model.onnx").write_bytes((d / "model.onnx").read_bytes()[:-1]), ["model.onnx", "bytes"]),
        (lambda d: (d / "tokenizer.json").write_bytes(b"{}"), ["tokenizer.json"]),
        (
            lambda d: rewrite(d / "manifest.json", '"schema": 2', '"schema": 9'),
            ["schema 9", "pip install -U"],
        ),
    ],
)
def test_rejects_a_damaged_artifact(damage, words, small, tmp_path, workshop):
    copy = shutil.copytree(small, tmp_path / "copy")
    damage(copy)
    (tmp_path / "a.c").write_text("int f() { return 1; }")
    refused(lilliput("predict", copy, tmp_path / "a.c"), *words)
    refused(lilliput("inspect", copy), *words)


@pytest.mark.parametrize(("name", "content"), [("model.onnx", b"no graph"), ("evidence.json", b"[]")])
def test_rejects_a_crafted_artifact(name, content, small, tmp_path):
    copy = shutil.copytree(small, tmp_path / "copy")
    (copy / name).write_bytes(content)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "a.c").write_text("int f() { return 1; }")
    verb = ("predict", copy, tmp_path / "a.c") if name == "model.onnx" else ("inspect", copy)
    refused(lilliput(*verb), name)


def test_data_of_unknown_size_are_shown_as_such(small, tmp_path):
    copy = shutil.copytree(small, tmp_path / "copy")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["provenance"]["data"] = {"train": {"examples": None}}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    run = lilliput("inspect", copy)
    assert run.returncode == 0, run.stderr
    assert re.search(r"^data, train +unknown$", run.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"", "empty"), (b"\x00\x01\x02", "NUL"), (b"\xff\xfe\xfa", "UTF-8"), (b"x" * 10_000_000, "1,000,000")],
)
def test_rejects_invalid_source_files(content, word, small, tmp_path):
    (tmp_path / "a.c").write_bytes(content)
    refused(lilliput("predict", small, tmp_path / "a.c"), "a.c", word)


class Trap:
    """A pickle that creates a file if it is executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_malicious_pickle_in_a_checkpoint_is_not_executed(tmp_path, workshop):
    sprung = tmp_path / "sprung"
    for name, write in (("torch.bin", lambda p: torch.save({"a": Trap(sprung)}, p)), ("raw.bin", None)):
        path = tmp_path / name
        if write is None:
            path.write_bytes(pickle.dumps(Trap(sprung)))
        else:
            write(path)
        run = lilliput("evaluate", path, "--task", "vulnerability", "--data", workshop / "valid.jsonl")
        refused(run, name)
        assert not sprung.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a full disk needs root")
@pytest.mark.parametrize("size", ["8k", "64k"])
def test_full_disk_leaves_nothing_half_written(tmp_path, workshop, size):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted on this machine")
    try:
        run = lilliput(
            *("shrink", workshop / "teacher", "--task", "vulnerability", "--train", workshop / "train.jsonl"),
            *("--valid", workshop / "valid.jsonl", "--size", "150kB", "--latency", "none", "--out", disk / "small"),
            *("--max-tokens", "64", "--epochs", "1"),
        )
        refused(run, "disk is full", "Free the space")
        assert not (disk / "small").exists()
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("verb", ["demo", "finetune", "shrink"])
def test_results_never_overwrite_other_files(tmp_path, workshop, verb):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    data = ("--task", "vulnerability", "--train", workshop / "train.jsonl", "--valid", workshop / "valid.jsonl")
    arguments = {
        "demo": (),
        "finetune": (TINY, *data),
        "shrink": (workshop / "teacher", *data, "--size", "150kB", "--latency", "none", "--epochs", "1"),
    }
    refused(lilliput(verb, *arguments[verb], "--out", tmp_path / "mine"), "mine: already exists")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("base", "options", "words"),
    [
        ("scratch:hidden=10000000", (), ["hidden must be at most 16,384"]),
        ("scratch:vocabulary=99999999999999999999", (), ["vocabulary must be at most 1,000,000"]),
        (TINY, ("--learning-rate", "0"), ["--learning-rate: must be above 0"]),
        (TINY, ("--out", "/proc/x"), ["/proc/x: cannot write: ", "Choose another place"]),
        (TINY, ("--out", "."), [".: already exists and is not a teacher."]),
        (TINY, ("--out", "x" * 300), ["file name too long"]),
    ],
)
def test_finetune_rejects_invalid_options(tmp_path, workshop, monkeypatch, base, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis.txt").touch()
    data = ("--task", "vulnerability", "--train", workshop / "train.jsonl", "--valid", workshop / "valid.jsonl")
    refused(lilliput("finetune", base, *data, *(options if "--out" in options else (*options, "--out", "t"))), *words)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("option", "value"), [("--seed", "-1"), ("--seed", str(2**63)), ("--max-tokens", "99999999999")]
)
def test_rejects_numbers_out_of_bounds(option, value):
    data = ("--task", "vulnerability", "--train", "a", "--valid", "a", "--out", "t")
    misused(lilliput("finetune", TINY, *data, option, value), option)


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_accepts_the_smallest_and_largest_seed(tmp_path, workshop, seed):
    data = ("--task", "vulnerability", "--train", workshop / "train.jsonl", "--valid", workshop / "valid.jsonl")
    run = lilliput("finetune", TINY, *data, "--epochs", "1", "--out", tmp_path / "t", "--seed", seed)
    assert run.returncode == 0, run.stderr


EVALUATION = json.dumps({"name": "m", "accuracy": 0.5})


@pytest.mark.parametrize(
    ("out", "word"),
    [
        (".", "is a directory"),
        ("folder", "is a directory"),
        ("x" * 300, "file name too long"),
        ("a.json/report.html", "a part of this path is a file"),
        ("a.json/deeper/report.html", "a part of this path is a file"),
        ("/proc/x", "cannot write: "),
    ],
)
def test_rejects_a_report_that_cannot_be_written(tmp_path, monkeypatch, out, word):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").write_text(EVALUATION)
    (tmp_path / "folder").mkdir()
    refused(lilliput("report", "a.json", "--out", out), "cannot write", word)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "folder"]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"accuracy": ' + "[" * 300 + "]" * 300 + "}"])
def test_rejects_json_nested_too_deep(tmp_path, small, text):
    (tmp_path / "deep.json").write_text(text)
    refused(lilliput("report", tmp_path / "deep.json"), "deep.json", "nested more than")
    copy = shutil.copytree(small, tmp_path / "copy")
    (copy / "manifest.json").write_text(text)
    refused(lilliput("inspect", copy), "manifest.json: is damaged: nested more than")


def test_standard_input_is_read(small):
    run = lilliput("predict", small, "-", "--json", stdin=b"int f(char *p) { strcpy(p, src); return 0; }")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["predictions"][0]["label"] in ("safe", "vulnerable")


@pytest.mark.skipif(os.name == "nt", reason="on Windows, file names are always text")
def test_argument_that_is_not_text_is_reported():
    run = lilliput(*(["inspect", b"a\xffb".decode("utf-8", "surrogateescape")]))
    refused(run, "is not valid UTF-8", "Rename the file")


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_the_locale_has_no_characters_for_is_told_of(tmp_path, monkeypatch):
    (tmp_path / "é.c").write_text("int f(int a) { return a; }")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    run = lilliput("predict", "vulnerability", "é.c")
    refused(run, "argument '\\xe9.c' cannot be used: Python reads names as ascii here. Set PYTHONUTF8=1")
    monkeypatch.setenv("PYTHONUTF8", "1")
    run = lilliput("predict", "vulnerability", "é.c")
    assert (run.returncode, run.stdout[:4]) == (0, "é.c:"), run.stderr


def test_too_long_name_is_reported():
    refused(lilliput("quantize", "n" * 300, "--out", "small"), "too long")
