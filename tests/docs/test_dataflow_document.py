"""The code in docs/dataflow.md works, and its figures are those of the committed measurement."""

import json
import re
import shlex
import sys

import pytest
from typer.testing import CliRunner

from lilliput.cli.app import app
from tests.docs.test_documents import ROOT, blocks, commands, run

DOCUMENT = "docs/dataflow.md"
RESULTS = ROOT / "benchmarks/results/graphcodebert.json"
OURS = ROOT / "benchmarks/results/data_flow_student.json"


def test_python_of_the_document_runs(tmp_path):
    (block,) = blocks(DOCUMENT, "python")
    assert run([sys.executable, "-c", block], tmp_path).stdout.splitlines()[-1] == "10 x comes from (6, 8)"


@pytest.fixture(scope="module")
def desk(tmp_path_factory, workshop):
    """A folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("dataflow")
    for name in ("teacher", "train.jsonl", "valid.jsonl"):
        (folder / name).symlink_to(workshop / name)
    return folder


def test_commands_of_the_document_run(desk, monkeypatch):
    monkeypatch.chdir(desk)
    for command in commands(DOCUMENT):
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, (command, done.output)
    assert "data flow of up to 16 nodes, read as c" in (desk / "reads-flow/README.md").read_text()


def cells(figures):
    return [
        f"{figures[key]:.3f} [{figures['intervals'][key][0]:.3f}, {figures['intervals'][key][1]:.3f}]"
        for key in ("accuracy", "f1", "mcc")
    ]


@pytest.mark.parametrize("task", ["clone", "vulnerability"])
def test_figures_of_the_document_match_the_measurement(task):
    text = (ROOT / DOCUMENT).read_text()
    found = json.loads(RESULTS.read_text())["on the validation split"][task]
    for name, figures in found["accuracy"].items():
        (row,) = re.findall(rf"^\| {task}, {re.escape(name)} \|(.*)\|$", text, re.MULTILINE)
        assert [cell.strip() for cell in row.split("|")] == cells(figures)
    assert f"{found['extraction']['mean_ms']:.2f} ms" in text


@pytest.mark.parametrize("task", ["clone", "vulnerability"])
def test_figures_of_our_students_match_the_measurement(task):
    text = (ROOT / DOCUMENT).read_text()
    found = json.loads(OURS.read_text())["on the validation split"][task]
    for way, students in found["students"].items():
        for seed, figures in enumerate(students):
            (row,) = re.findall(rf"^\| {task}, {way}, seed {seed} \|(.*)\|$", text, re.MULTILINE)
            assert [cell.strip() for cell in row.split("|")] == cells(figures)
    gain, costs = found["accuracy gained by data flow"], found["one function"]
    low, high = (100 * end for end in gain["interval"])
    expected = [f"{100 * gain['value']:+.1f} [{low:+.1f}, {high:+.1f}]"]
    for name, digits in (("reading, added", 1), ("pass, added", 2)):
        low, high = costs[name]["interval"]
        expected.append(f"{costs[name]['p50_ms']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]")
    (row,) = re.findall(rf"^\| {task} \|(.*)\|$", text, re.MULTILINE)
    assert [cell.strip() for cell in row.split("|")] == expected
    assert f"{found['examples']:,}" in text
