"""``lilliput evaluate`` for summaries and repositories, on the command line."""

import json
import re

import pytest
from typer.testing import CliRunner

from lilliput.cli.app import app
from lilliput.errors import UserError
from lilliput.quantize.policy import policy
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint

CODE = "def total(values):\n    result = 0\n    for value in values:\n        result += value\n    return result\n"


def invoked(*words):
    found = CliRunner().invoke(app, ["evaluate", *map(str, words)])
    if isinstance(found.exception, UserError):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    checkpoint(folder / "model", *LLAMA)
    quantize(folder / "model", folder / "tiny", settings=QuantizeSettings(policy("int8")))
    return folder / "tiny"


@pytest.fixture
def repository(tmp_path):
    for place in range(3):
        (tmp_path / f"part{place}.py").write_text(CODE.replace("total", f"total{place}") * 3)
    return tmp_path


@pytest.fixture
def summaries(tmp_path):
    file = tmp_path / "functions.jsonl"
    rows = [{"code": CODE, "docstring": "Add up all the values."}] * 3
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_evaluates_a_repository(artifact, repository, tmp_path):
    words = (artifact, "--task", "repository", "--repo", repository, "--limit", 3, "--max-new-tokens", 8)
    found = json.loads(invoked(*words, "--json", "--out", tmp_path / "result.json"))
    assert found["task"] == "repository" and found["lines"]["places"] == 3
    assert found["next_token"]["perplexity"]["value"] > 1
    assert json.loads((tmp_path / "result.json").read_text())["lines"] == found["lines"]
    shown = invoked(*words)
    assert "3 lines of 3 files" in shown and "copied" in shown


def test_repository_of_one_piece_has_no_interval(artifact, tmp_path):
    """The perplexity itself is shown."""
    (tmp_path / "part.py").write_text(CODE)
    shown = invoked(artifact, "--task", "repository", "--repo", tmp_path, "--max-new-tokens", 4)
    (line,) = (line for line in shown.splitlines() if line.startswith("perplexity"))
    assert re.fullmatch(r"perplexity +[\d.]+, without an interval", line)


def test_rejects_a_seed_if_nothing_is_random(artifact, summaries):
    words = (artifact, "--task", "summarization", "--data", summaries, "--seed", 1)
    with pytest.raises(UserError, match=r"^--seed: goes with --limit"):
        invoked(*words)
    with pytest.raises(UserError, match=r"^--language: is needed"):  # this is checked later
        invoked(*words, "--limit", 2)


def test_evaluates_summaries(artifact, summaries):
    words = (artifact, "--task", "summarization", "--data", summaries, "--language", "python", "--max-new-tokens", 8)
    found = json.loads(invoked(*words, "--json"))
    assert found["task"] == "summarization" and found["n"] == 3
    assert 0 <= found["bleu4"]["value"] <= 100
    assert "n = 3" in invoked(*words)
    searched = json.loads(invoked(*words, "--beams", 3, "--json"))
    assert searched["settings"]["beams"] == 3
    assert searched["settings"] == {**found["settings"], "beams": 3}


def test_anything_but_an_artifact_is_rejected_with_how_to_make_one(artifact, repository, summaries):
    for model in (artifact.parent / "model", "http://localhost:1/v1", "none"):
        for words in (("repository", "--repo", repository), ("summarization", "--data", summaries)):
            said = f"{model}: is not an artifact; task '{words[0]}' does not take .*--weights fp32 --out DIR"
            with pytest.raises(UserError, match=said):
                invoked(model, "--task", *words)


def test_result_never_overwrites_an_input(artifact, summaries):
    data = summaries.rename(summaries.with_suffix(".json"))
    with pytest.raises(UserError, match=r"--out: .* is a file that this command reads"):
        invoked(artifact, "--task", "summarization", "--data", data, "--out", data)


def test_missing_and_useless_options_are_named(artifact, summaries):
    for words, message in (
        (("--task", "repository"), "--repo: is required for task 'repository'"),
        (("--task", "repository", "--data", summaries), "--data: does not apply to task 'repository'"),
        (("--task", "humaneval"), "--data: is required for task 'humaneval'"),
        (("--task", "summarization", "--data", summaries, "--code-column", "code"), "must be named together"),
        (("--task", "humaneval", "--data", summaries, "--beams", 3), "--beams: does not apply to task 'humaneval'"),
    ):
        with pytest.raises(UserError, match=message):
            invoked(artifact, *words)
