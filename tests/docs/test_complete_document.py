"""The commands in docs/complete.md work, and its table lists all options."""

import re
import shlex
import sys

import pytest
from typer.main import get_command

from lilliput.cli.app import app
from lilliput.verbs.quantize import quantize
from tests.docs.test_documents import ROOT, blocks, commands, run
from tests.runtime.tiny_generators import Tiny, tiny_tokenizer
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint

DOCUMENT = "docs/complete.md"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("complete")
    kind, options = LLAMA
    checkpoint(folder / "my-model", kind, options)
    Tiny("llama", folder / "filler")
    tiny_tokenizer().save(str(folder / "filler" / "tokenizer.json"))
    for source, made in (("my-model", "coder"), ("filler", "filler")):
        quantize(folder / source, folder / "out" / made)
    return folder


def test_document_has_commands():
    assert len(commands(DOCUMENT)) == 5


@pytest.mark.parametrize("command", commands(DOCUMENT))
def test_commands_of_the_document_run(command, desk):
    run([sys.executable, "-m", "lilliput", *shlex.split(command)[1:]], desk)


@pytest.mark.parametrize("block", blocks(DOCUMENT, "python"))
def test_python_of_the_document_runs(block, desk):
    assert run([sys.executable, "-c", block], desk).stdout


def options_of(verb):
    group = get_command(app)
    return {
        name for option in group.commands[verb].params if option.param_type_name == "option" for name in option.opts
    }


def test_table_has_every_option():
    listed = re.findall(r"^\| (`--.*?) \|", (ROOT / DOCUMENT).read_text(), re.MULTILINE)
    assert set(re.findall(r"`(--[a-z-]+)`", " ".join(listed))) == options_of("complete") - {"--help"}
