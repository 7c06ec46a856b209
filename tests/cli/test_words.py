"""Values that options and arguments do not take, whatever the verb."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from lilliput.cli.app import VERBS, app
from lilliput.constants import MOST
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


CHECKED_LATER = ("group", "activation_group", "memory")
"""Numbers that have bounds of their own, where they are used."""

COUNTS = [
    (verb, option) for verb, option, types in parameters("option") if int in types and option.name not in CHECKED_LATER
]


@pytest.mark.parametrize(("verb", "option"), COUNTS, ids=lambda value: value if isinstance(value, str) else value.name)
def test_a_number_that_cannot_be_meant_is_refused_at_once(verb, option, misused):
    said = misused(verb, option.opts[0], str(10**30))
    assert said.startswith(f"Error: Invalid value for '{option.opts[0]}': ")
    assert (f"Give {MOST[option.name]:,} at most." if option.max is None else str(option.max)) in said


@pytest.mark.parametrize(("verb", "name"), [("complete", "--samples"), ("finetune", "--batch")])
def test_the_largest_number_is_one(verb, name, misused):
    assert name not in misused(verb, name, "10000")
    assert misused(verb, name, "10001").endswith(f"'{name}': 10,001 is too large. Give 10,000 at most.")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("complete", "nothing", "x", "--samples", "3", "--beams", "2"), "--samples: must be 2 or less"),
        (("complete", "nothing", "x", "--top-p", "3", "--temperature", "1"), "--top-p: must be above 0"),
    ],
)
def test_errors_name_the_option_that_was_given(arguments, option):
    caught = CliRunner().invoke(app, arguments).exception
    assert isinstance(caught, UserError) and str(caught).startswith(option)
