"""The commands in docs/resources.md work, on torch originals and their artifacts."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from lilliput.cli.app import app
from lilliput.evaluate.paired import MOST_IDLE, MOST_SPREAD, WIDEST
from lilliput.verbs.compare import verb as compare
from lilliput.verbs.quantize import quantize
from tests.docs.test_documents import commands
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint

PAGE = "docs/resources.md"
OUT = "compared.json"


@pytest.fixture(scope="module")
def desk(tmp_path_factory, workshop, small):
    """A folder with the tiny models that the document names."""
    folder = tmp_path_factory.mktemp("resources")
    checkpoint(folder / "my-model", *LLAMA)
    quantize(folder / "my-model", folder / "out/coder")
    for path in (workshop / "teacher", small, workshop / "valid.jsonl"):
        (folder / path.name).symlink_to(path)
    return folder


def test_document_has_commands_for_both_kinds():
    assert [shlex.split(command)[:2] for command in commands(PAGE)] == [["lilliput", "compare"]] * 2


@pytest.mark.parametrize("command", commands(PAGE))
def test_commands_of_the_document_run(command, desk, monkeypatch):
    monkeypatch.chdir(desk)
    monkeypatch.setattr(compare, "STARTS", 1)  # torch takes seconds to start
    run = CliRunner().invoke(app, [*shlex.split(command)[1:], "--rounds", "6", "--threads", "1", "--out", OUT])
    assert run.exit_code == 0, run.stderr
    result = json.loads((desk / OUT).read_text())
    original, artifact = result["models"]
    assert run.stdout.startswith(f"{artifact['name']} is ")
    assert (original["runs_in"], artifact["runs_in"]) == ("torch, fp32", "OpenVINO")
    (ratios,) = result["ratios"]
    assert ratios["bytes"] == original["bytes"]["total"] / artifact["bytes"]["total"] > 1
    assert ratios["peak_memory"] == original["peak_memory_mb"] / artifact["peak_memory_mb"] > 1
    assert max(one["idle_cores"] for one in result["models"]) < MOST_IDLE
    if result["kind"] == "generator":  # 4 bytes per weight against one plus a scale per row; norms are the same
        assert 2 < original["weight_bytes_per_token"] / artifact["weight_bytes_per_token"] < 4


def test_limits_in_the_document_match_the_code():
    from tests.docs.test_documents import ROOT

    page = " ".join((ROOT / PAGE).read_text().split())
    for limit in (f"{MOST_SPREAD:.0%}".replace("%", " %"), f"factor of {WIDEST}", f"{MOST_IDLE:g} cores"):
        assert limit in page
