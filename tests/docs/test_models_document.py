"""docs/models.md: its figures are those of the models in the package, and its commands work."""

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import ship
from lilliput.cli.app import app
from lilliput.shipped import MARKS, SHIPPED
from tests.docs.test_documents import blocks, commands

PAGE = "docs/models.md"
FILES = {
    "FILE.c": "int f(char *p)\n{\n    return *p;\n}\n",
    "A.java": "class A {\n    int f() { return 1; }\n}\n",
    "B.java": "class B {\n    int g() { return 1; }\n}\n",
    "ONE.py": "def f(a):\n    return a + 1\n",
    "OTHER.py": "def g(x):\n    return 1 + x\n",
}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_figures_match_the_models():
    page = ship.PAGE.read_text()
    assert page == ship.with_figures(page), "run: python benchmarks/ship.py --page"


def test_document_names_every_model_and_every_marker_file():
    page = ship.PAGE.read_text()
    for name in SHIPPED:
        assert f"| `{name}` |" in page
    for mark in MARKS:
        assert f"`{mark}`" in page


@pytest.mark.parametrize("command", commands(PAGE))
def test_commands_of_the_document_run(command, desk):
    run = CliRunner().invoke(app, shlex.split(command)[1:])
    assert run.exit_code == 0, run.stderr
    assert run.stdout


@pytest.mark.parametrize("block", blocks(PAGE, "python"))
def test_python_of_the_document_runs(block, desk, capsys):
    exec(compile(block, PAGE, "exec"), {})
    assert "Prediction(label=" in capsys.readouterr().out


def test_every_model_is_in_a_command():
    named = {shlex.split(command)[2] for command in commands(PAGE)}
    assert named == set(SHIPPED)


def test_artifact_is_shipped_whole(small, tmp_path):
    made = ship.ship("vulnerability", small, tmp_path / "vulnerability")
    assert made.file("model.onnx").read_bytes() == (small / "model.onnx").read_bytes()
    card = made.file("README.md").read_text()
    assert 'license: "apache-2.0"' in card and "Devign" in card and 'lilliput.load("vulnerability")' in card
    again = ship.ship("vulnerability", made.path, tmp_path / "again")
    assert again.hashes == made.hashes


def test_validation_data_are_scored_with_the_artifact_itself(small, workshop, tmp_path):
    made = ship.ship("vulnerability", small, tmp_path / "measured", [workshop / "valid.jsonl"])
    assert made.evidence()["valid"] == ship.ship("vulnerability", small, tmp_path / "plain").evidence()["valid"]


def test_rejects_what_may_not_be_shipped(small, tmp_path, monkeypatch):
    with pytest.raises(ship.UserError, match="is of task 'vulnerability', and 'clone' is not"):
        ship.ship("clone", small, tmp_path / "made")
    monkeypatch.setattr(ship, "LARGEST", 1000)
    with pytest.raises(ship.UserError, match=r"takes [\d,]+ bytes; 1,000 are allowed"):
        ship.ship("vulnerability", small, tmp_path / "made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (
            "lilliput shrink /home/me/models/teacher --train '/data/train.txt'",
            "lilliput shrink teacher --train 'train.txt'",
        ),
        ("--out=/tmp/x/small ~/t/teacher ~you/t", "--out=small teacher t"),
        ("C:\\Users\\me\\teacher", "teacher"),
        ("owner/model out/demo/teacher a / b", "owner/model out/demo/teacher a / b"),
    ],
)
def test_paths_of_the_machine_are_removed(text, clean):
    assert ship.without_paths({"a": [text, 1, None]}) == {"a": [clean, 1, None]}


def test_document_describes_the_project_models():
    assert Path(ship.__file__).parents[1] / PAGE == ship.PAGE
