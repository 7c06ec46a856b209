"""Values that options and arguments do not take, whatever the verb."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import typer

from lilliput.cli.app import VERBS, app
from lilliput.errors import UserError

COMMANDS = typer.main.get_command(app).commands


def parameters(kind):
    """``(verb, parameter, its types)`` of all options, or all arguments."""
    for verb in VERBS:
        hints = get_type_hints(verb)
        for parameter in COMMANDS[verb.__name__].params:
            if parameter.param_type_name == kind and parameter.name in hints:
                yield verb.__name__, parameter, {hints[parameter.name], *within(hints[parameter.name])}


def within(hint):
    return {part for inner in get_args(hint) for part in (inner, *within(inner))}


@pytest.fixture
def misused(capsys):
    """``misused(*arguments)``: the last line of what the command line says to them, with exit code 2."""

    def say(*arguments):
        command = typer.main.get_command(app)
        with pytest.raises(SystemExit) as ending:
            command(list(arguments), prog_name="lilliput")
        assert ending.value.code == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    return say


PATHS = [(verb, option.opts[0]) for verb, option, types in parameters("option") if Path in types]
NAMES = [(verb, argument.name) for verb, argument, _ in parameters("argument") if argument.name != "prompt"]


@pytest.mark.parametrize(("verb", "name"), [*PATHS, ("robustness", "--against")])
@pytest.mark.parametrize("form", ["two words", "one word"])
def test_an_empty_path_is_not_the_current_folder(verb, name, form, misused):
    given = (name, "") if form == "two words" else (f"{name}=",)
    assert misused(verb, *given).startswith(f"Error: Invalid value for '{name}': it is empty. ")


@pytest.mark.parametrize(("verb", "name"), NAMES)
def test_an_empty_name_is_none(verb, name, misused):
    before = {"files": ["vulnerability"], "models": ["vulnerability"]}.get(name, [])
    assert ": it is empty. " in misused(verb, *before, "")


def test_a_prompt_may_be_empty():
    with pytest.raises(UserError, match="nowhere: "):
        typer.main.get_command(app)(["complete", "nowhere", ""])
