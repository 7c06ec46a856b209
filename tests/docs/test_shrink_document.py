"""The commands in docs/shrink.md work, and its table lists all options."""

import re
import shlex
import sys

import pytest

from tests.docs.test_complete_document import options_of
from tests.docs.test_documents import ROOT, commands, run

DOCUMENT = "docs/shrink.md"


@pytest.fixture(scope="module")
def desk(tmp_path_factory, workshop):
    """A folder with the files that the commands name."""
    folder = tmp_path_factory.mktemp("shrink")
    for name in ("train.jsonl", "valid.jsonl"):
        (folder / name).symlink_to(workshop / name)
    return folder


def test_commands_of_the_document_run(desk):
    for command in commands(DOCUMENT):  # each uses the results of the one before
        run([sys.executable, "-m", "lilliput", *shlex.split(command)[1:]], desk)
    assert {"own", "small", "bag"} <= {path.name for path in desk.iterdir()}


def test_table_has_every_option():
    listed = re.findall(r"^\| (`--.*?) \|", (ROOT / DOCUMENT).read_text(), re.MULTILINE)
    assert set(re.findall(r"`(--[a-z-]+)`", " ".join(listed))) == options_of("shrink") - {"--help"}
