"""``lilliput report``: any mix of results and artifacts, in any order; and the commands in docs/report.md."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lilliput.errors import DataError, UserError
from lilliput.verbs.quantize import quantize
from lilliput.verbs.report import report
from tests.docs.test_documents import blocks, commands
from tests.report.results import comparison, evaluation, flips, passes
from tests.report.test_page import SMALL, check_well_formed_and_safe
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint

PAGE = "docs/report.md"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a generator's artifact and many kinds of results."""
    folder = tmp_path_factory.mktemp("shelf")
    checkpoint(folder / "my-model", *LLAMA)
    quantize(folder / "my-model", folder / "out/coder")
    files: dict[str, dict[str, Any]] = {
        "original.evaluation.json": evaluation("my-model", passes(20, 40)),
        "coder.evaluation.json": evaluation("coder", passes(20, 40, [3]), total=400_000),
        "compare.json": comparison("my-model", "coder"),
        "student.json": {"name": "student", **SMALL},
        "robustness.json": flips(),
    }
    for name, values in files.items():
        (folder / name).write_text(json.dumps(values))
    return folder


def written(shelf: Path, tmp_path: Path, *subjects: str, **options: Any) -> str:
    report([shelf / subject for subject in subjects], tmp_path / "page.html", **options)
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    check_well_formed_and_safe(html)
    return html.replace("\xa0", " ")


def test_all_kinds_of_input_in_any_order(shelf: Path, tmp_path: Path) -> None:
    every = [file.name for file in shelf.glob("*.json")]
    for subjects in ([*every, "out/coder"], ["out/coder", *reversed(every)]):
        html = written(shelf, tmp_path, *subjects, reference="my-model")
        assert (
            "coder solves 19 of 40 problems of HumanEval, my-model 20: no difference that this sample can show" in html
        )
        assert "student takes 2.94 MB" in html and "student: rewritten code" in html
        assert "<th scope=\"row\">provenance: checkpoint: name</th>\n<td>my-model</td>" in html  # fmt: skip


def test_artifact_alone_is_described(shelf: Path, tmp_path: Path) -> None:
    html = written(shelf, tmp_path, "out/coder")
    assert "What each model takes" in html and "sha256: model.bin" in html and "HumanEval" not in html


def test_evaluation_beside_an_artifact_is_read(shelf: Path, tmp_path: Path) -> None:
    beside = shelf / "out/coder.evaluation.json"
    beside.write_text(json.dumps(evaluation("coder", passes(20, 40))))
    try:
        assert "coder solves 20 of 40 problems" in written(shelf, tmp_path, "out/coder")
    finally:
        beside.unlink()


def test_classifier_artifact_joins_generator_evaluation(shelf: Path, small: Path, tmp_path: Path) -> None:
    report([small, shelf / "coder.evaluation.json"], tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "The figures" in html and "coder solves 19 of 40" in html


@pytest.mark.parametrize("recorded", [{"bytes": {"total": 5}}, {"model": {"manifest_sha256": "0" * 64}}])
def test_rejects_an_evaluation_of_an_earlier_model(recorded: dict[str, object], small: Path, tmp_path: Path) -> None:
    shutil.copytree(small, tmp_path / "small")
    (tmp_path / "small.evaluation.json").write_text(json.dumps({"accuracy": 0.9, **recorded}))
    with pytest.raises(
        UserError, match=r"small\.evaluation\.json: is the evaluation of another model than the present small"
    ):
        report([tmp_path / "small"], tmp_path / "page.html")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"accuracy": 5}, "field 'accuracy' is 5 and must be a share"),
        ({"accuracy": "x"}, "field 'accuracy' is 'x' and must be a share"),
        ({"accuracy": 0.5, "mcc": -2}, "field 'mcc' is -2 and must be a number from -1 to 1"),
        ({"accuracy": 0.5, "intervals": {"accuracy": [0.6, 0.4]}}, r"field 'intervals\.accuracy' is "),
        ({"accuracy": 0.5, "latency_ms": {"p50": 0}}, r"field 'latency_ms\.p50' is 0 and must be a number above 0"),
    ],
)
def test_wrong_field_of_a_classifier_is_named(fields: dict[str, object], words: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(fields))
    with pytest.raises(DataError, match=words):
        report([tmp_path / "bad.json"], tmp_path / "page.html")


def test_evaluation_of_a_generator_is_not_read_as_a_classifiers(shelf: Path) -> None:
    from lilliput.verbs.report import evidence_of

    with pytest.raises(DataError, match="no field 'accuracy'"):
        evidence_of(shelf / "coder.evaluation.json")


def test_reference_without_generators_is_rejected(shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--reference: there is no evaluation of a generator"):
        report([shelf / "student.json"], tmp_path / "page.html", reference="student")


def test_wrong_field_exits_with_code_2_and_writes_no_page(shelf: Path, tmp_path: Path) -> None:
    values = evaluation("coder", passes(2, 4))
    values["problems"][1]["completions"][0]["outcome"] = ["<b>"]
    (tmp_path / "bad.json").write_text(json.dumps(values))
    argv = [sys.executable, "-m", "lilliput", "report", "bad.json", str(shelf / "compare.json"), "--out", "page.html"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: bad.json: field 'problems[1].completions[0].outcome' is a value of type list")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("command", commands(PAGE))
def test_commands_of_the_report_document_run(command: str, shelf: Path) -> None:
    program, *arguments = shlex.split(command)
    assert program == "lilliput"
    done = subprocess.run(
        [sys.executable, "-m", "lilliput", *arguments], cwd=shelf, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("wrote ")


def test_report_document_has_commands() -> None:
    assert len(commands(PAGE)) >= 2


@pytest.mark.parametrize("block", blocks(PAGE, "python"))
def test_python_of_the_report_document_runs(block: str, shelf: Path) -> None:
    done = subprocess.run([sys.executable, "-c", block], cwd=shelf, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("---\n")
    assert 'type: "pass@1"' in done.stdout


def test_page_never_overwrites_an_input(shelf: Path) -> None:
    beside = shelf / "out/coder.evaluation.json"
    beside.write_bytes((shelf / "coder.evaluation.json").read_bytes())
    try:
        for subject, out in (("compare.json", shelf / "compare.json"), ("out/coder", beside)):
            with pytest.raises(UserError, match=f"^--out: {out} is a file that this command reads"):
                report([shelf / "student.json", shelf / subject], out)
    finally:
        beside.unlink()
