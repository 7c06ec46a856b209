"""``lilliput robustness`` of a generator on the command line."""

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


def test_perturbations_may_be_separated_by_commas_or_repeated(tmp_path):
    data = write(tmp_path / "problems.jsonl.gz", [SHORT])
    given = ("--perturbations", "newlines, doc_change_case", "--perturbations", "tab_indent", "--seeds", "1", "--json")
    with served(knowing(SHORT)) as server:
        words = ["robustness", server.url, "--task", "humaneval", "--data", str(data), *given, *WALLS]
        shown = CliRunner().invoke(app, words, catch_exceptions=False).stdout
        names = [line["name"] for line in json.loads(shown)["perturbations"]]
        assert names == ["newlines", "doc_change_case", "tab_indent"]
        with pytest.raises(UserError, match="there is no perturbation ''"):
            CliRunner().invoke(app, [*words[:6], "--perturbations", ""], catch_exceptions=False)


def test_all_perturbations_are_measured_by_default(tmp_path):
    data = write(tmp_path / "problems.jsonl.gz", [SHORT])
    with served(knowing(SHORT)) as server:
        words = ["robustness", server.url, "--task", "humaneval", "--data", str(data), "--seeds", "1", "--json", *WALLS]
        shown = CliRunner().invoke(app, words, catch_exceptions=False).stdout
    assert [line["name"] for line in json.loads(shown)["perturbations"]] == [*PERTURBATIONS]


def test_rejects_threads_for_servers(tmp_path):
    data = write(tmp_path / "problems.jsonl.gz", [SHORT])
    with served(knowing(SHORT)) as server:
        words = ["robustness", server.url, "--task", "humaneval", "--data", str(data), "--threads", "1"]
        with pytest.raises(UserError, match=r"^--threads: goes with a model that runs here"):
            CliRunner().invoke(app, words, catch_exceptions=False)
        with pytest.raises(UserError, match="there is no such"):  # this one would run here
            CliRunner().invoke(app, [*words, "--against", str(tmp_path / "none")], catch_exceptions=False)


def test_names_of_an_option_are_split():
    assert names_of(["a,b", " c ,", ""]) == ["a", "b", "c"]
    assert names_of(None) == []
