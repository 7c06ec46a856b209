"""``--help``: whole sentences in plain words."""

import re

import pytest
import typer

from lilliput.cli.app import VERBS, app
from lilliput.cli.words import WORDS
from lilliput.search import OBJECTIVES

NAMES = [verb.__name__ for verb in VERBS]


@pytest.fixture
def helped(capsys):
    """``helped(*arguments, columns=)``: the ``--help`` text on a terminal of that width."""

    def show(*arguments, columns=80):
        command = typer.main.get_command(app)
        with pytest.raises(SystemExit) as ending:
            command([*arguments, "--help"], prog_name="lilliput", terminal_width=columns)
        assert ending.value.code == 0
        return capsys.readouterr().out

    return show


@pytest.mark.parametrize("columns", [80, 120])
def test_every_verb_has_a_whole_sentence_on_its_own_line(helped, columns):
    lines = helped(columns=columns).split("Commands:\n")[1].splitlines()[: len(NAMES)]
    assert [line.split()[0] for line in lines] == NAMES
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("name", NAMES)
def test_options_are_explained_in_plain_words(helped, name, columns):
    shown = helped(name, columns=columns)
    assert max(map(len, shown.splitlines())) <= columns
    assert "range>" not in shown
    assert "9223372036854775807" not in shown
    options = shown.split("Options:\n")[1]
    assert not re.search(r"[{}]|<[^=]|list\[|str\b", shown)
    assert " --help " in options and "Show this message and exit." in options
    assert any(f" {word} " in options for word in WORDS.values()) or name == "inspect"


@pytest.mark.parametrize("name", ["search", "shrink"])
def test_every_objective_is_named(helped, name):
    said = " ".join(helped(name).split("--objective")[1].split("--")[0].split())
    assert all(objective in said for objective in OBJECTIVES)


def test_arguments_have_the_names_used_in_the_text(helped):
    shown = helped("shrink")
    assert shown.splitlines()[0] == "Usage: lilliput shrink [OPTIONS] TEACHER"
    assert "Shrink TEACHER, a classifier" in shown
    assert "\n  TEACHER  Fine-tuned model" in shown
    assert helped("complete").splitlines()[0] == "Usage: lilliput complete [OPTIONS] ARTIFACT [PROMPT]"
    assert helped("predict").splitlines()[0] == "Usage: lilliput predict [OPTIONS] ARTIFACT FILES..."
