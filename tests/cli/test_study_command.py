"""``lilliput study`` on the command line: the table, JSON alone on standard output, and what is rejected."""

import json

import pytest

from tests.verbs.tiny_checkpoints import LLAMA, checkpoint

LEAN = ("--perplexity-pieces", "3", "--piece-tokens", "48", "--speed-rounds", "0", "--threads", "1")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A checkpoint, and a study of it."""
    folder = tmp_path_factory.mktemp("desk")
    checkpoint(folder / "model", *LLAMA)
    (folder / "one.toml").write_text('weights = ["int8"]\nactivations = ["none", "token"]\n')
    return folder


def test_table_marks_the_front_and_shows_the_next_command(lilliput, desk):
    out = desk / "study"
    code, shown, said = lilliput("study", desk / "model", "--out", out, "--grid", desk / "one.toml", *LEAN)
    assert code == 0, said
    (row,) = (line for line in shown.splitlines() if line.startswith("int8-row-sym.none"))
    assert "*>" in row
    assert row.endswith("reference")
    assert "left out (1): point int8-row-sym.token: token would be emulated" in shown
    assert "of the points within the budget (none)" in shown
    assert f"Use it: lilliput quantize {desk / 'model'} --recipe {out / 'recipe.json'} --out small" in shown
    assert "measuring points" in said
    code, shown, said = lilliput("study", desk / "model", "--out", out, "--grid", desk / "one.toml", *LEAN, "--json")
    assert code == 0
    assert json.loads(shown)["chosen"] == "int8-row-sym.none"
    assert "1 of 1 points are already measured" in said
    code, shown, _ = lilliput(
        *("study", desk / "model", "--out", out, "--grid", desk / "one.toml", *LEAN, "--budget", "100kB")
    )
    assert code == 2  # by arithmetic, nothing can fit


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--grid", "small"), "small: is neither a file nor a grid's name"),
        (("--budget", "20min"), "--budget: '20min' is neither a size nor a speed"),
        (("--quality", "bleu"), "--quality: there is no measure 'bleu'"),
        (("--tolerance", "-1"), "--tolerance: -1.0 is out of range"),
        (("--prefer", "cheap"), "--prefer: there is no preference 'cheap'"),
        (("--executor", "slurm"), "--executor: unknown value 'slurm'"),
        (("--perturbations", "format, syntax", "--perturbations", "tab_indent"), "--perturbations: needs problems"),
        (("--piece-tokens", "48", "--perplexity-pieces", "0", "--humaneval", "x"), "--piece-tokens: goes with"),
        (("--humaneval", "none.jsonl"), "none.jsonl"),
    ],
)
def test_invalid_options_exit_with_code_2(options, words, lilliput, desk, tmp_path):
    code, shown, said = lilliput("study", desk / "model", "--out", tmp_path / "study", *options)
    assert code == 2
    assert shown == ""
    assert said.splitlines()[-1].startswith("error: ")
    assert words in said


def test_help_is_readable(lilliput):
    code, shown, _ = lilliput("study", "--help")
    assert code == 0
    assert "to find a recipe" in " ".join(shown.split())
    assert "--budget" in shown
