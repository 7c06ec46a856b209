"""The commands in docs/classifier-robustness.md work, and its table lists all rewrites."""

import re
import shlex
import sys

import pytest

from lilliput.data.rewrites import REWRITES
from tests.docs.test_documents import ROOT, blocks, commands, run

DOCUMENT = "docs/classifier-robustness.md"


@pytest.fixture(scope="module")
def desk(tmp_path_factory, small, workshop):
    """A folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("robustness")
    for name in ("small", "teacher", "train.jsonl", "valid.jsonl"):
        (folder / name).symlink_to(workshop / name)
    return folder


def test_document_has_commands():
    assert len(commands(DOCUMENT)) == 2


@pytest.mark.parametrize("command", commands(DOCUMENT))
def test_commands_of_the_document_run(command, desk):
    assert run([sys.executable, "-m", "lilliput", *shlex.split(command)[1:]], desk).stdout


@pytest.mark.parametrize("block", blocks(DOCUMENT, "python"))
def test_python_of_the_document_runs(block, desk):
    assert "for (; a > 9; )" in run([sys.executable, "-c", block], desk).stdout


def test_table_has_every_rewrite():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / DOCUMENT).read_text(), re.MULTILINE)
    assert rows == [*REWRITES] * 2
