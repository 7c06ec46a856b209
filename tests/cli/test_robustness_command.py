"""``lilliput robustness`` of a generator, by the command line."""

import json

import pytest
from typer.testing import CliRunner

from lilliput.cli.app import app
from lilliput.cli.options import names_of
from lilliput.errors import UserError
from lilliput.evaluate.perturb import PERTURBATIONS
from tests.evaluate.perturbing import SHORT
from tests.verbs.robustness.test_robustness_generator import knowing, write
from tests.verbs.test_score import UNSAFE
from tests.verbs.tiny_servers import served

WALLS = ("--unsafe",) if UNSAFE else ()


def test_perturbations_are_named_with_commas_or_one_by_one(tmp_path):
    data = write(tmp_path / "problems.jsonl.gz", [SHORT])
    given = ("--perturbations", "newlines, doc_change_case", "--perturbations", "tab_indent", "--seeds", "1", "--json")
    with served(knowing(SHORT)) as server:
        words = ["robustness", server.url, "--task", "humaneval", "--data", str(data), *given, *WALLS]
        shown = CliRunner().invoke(app, words, catch_exceptions=False).stdout
        names = [line["name"] for line in json.loads(shown)["perturbations"]]
        assert names == ["newlines", "doc_change_case", "tab_indent"]
        with pytest.raises(UserError, match="there is no perturbation ''"):
            CliRunner().invoke(app, [*words[:6], "--perturbations", ""], catch_exceptions=False)


def test_all_perturbations_are_measured_unless_some_are_named(tmp_path):
    data = write(tmp_path / "problems.jsonl.gz", [SHORT])
    with served(knowing(SHORT)) as server:
        words = ["robustness", server.url, "--task", "humaneval", "--data", str(data), "--seeds", "1", "--json", *WALLS]
        shown = CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert [line["name"] for line in json.loads(shown)["perturbations"]] == [*PERTURBATIONS]


def test_threads_of_servers_are_refused(tmp_path):
    data = write(tmp_path / "problems.jsonl.gz", [SHORT])
    with served(knowing(SHORT)) as server:
        words = ["robustness", server.url, "--task", "humaneval", "--data", str(data), "--threads", "1"]
        with pytest.raises(UserError, match=r"^--threads: goes with a model that runs here"):
            CliRunner().invoke(app, words, catch_exceptions=False)
        with pytest.raises(UserError, match="there is no such"):  # the other one would run here
            CliRunner().invoke(app, [*words, "--against", str(tmp_path / "none")], catch_exceptions=False)


def test_names_of_an_option():
    assert names_of(["a,b", " c ,", ""]) == ["a", "b", "c"]
    assert names_of(None) == []
