"""What docs/recipe.md says about files, options and grids is true."""

import re
import shlex
from pathlib import Path

import typer

from lilliput.cli.app import app
from lilliput.study.grid import read_grid
from lilliput.study.grids import NAMED
from lilliput.study.recipe import read_recipe

TEXT = (Path(__file__).parents[2] / "docs/recipe.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_grid_in_the_document_is_valid(tmp_path):
    (tmp_path / "grid.toml").write_text(blocks("toml")[0])
    grid = read_grid(tmp_path / "grid.toml")
    assert not grid.left_out
    assert len(grid.points) == 1 + 2 + 2 * 2 * (1 + 2)  # nearest rounding uses no pieces: once, whatever their number


def test_recipe_in_the_document_is_valid(tmp_path):
    (tmp_path / "recipe.toml").write_text(blocks("toml")[1])
    assert read_recipe(tmp_path / "recipe.toml").point.label == "int4-g64-asym-gptq.dynamic128.cal32x512"


def test_sizes_of_the_grids_are_right():
    listed = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", TEXT, re.MULTILINE))
    assert listed == {name: str(len(read_grid(name).points)) for name in NAMED}


def test_options_in_commands_exist():
    known = {name: {option for item in verb.params for option in item.opts} for name, verb in verbs().items()}
    commands = re.findall(r"^(?:\$|   ) (lilliput (?:.*\\\n)*.*)$", TEXT, re.MULTILINE)
    assert len(commands) == 8
    for command in commands:
        _, verb, *rest = shlex.split(command.replace("\\\n", " "))
        assert {word for word in rest if word.startswith("--")} <= known[verb]


def test_every_named_option_exists():
    known = {option for verb in verbs().values() for item in verb.params for option in item.opts}
    assert set(re.findall(r"`(--[a-z-]+)", TEXT)) <= known


def verbs():
    return typer.main.get_command(app).commands
