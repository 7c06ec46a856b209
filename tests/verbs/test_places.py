"""Verbs that write a folder check its place before they look at anything else or start to work."""

from pathlib import Path

import pytest

from lilliput import api
from lilliput.errors import UserError
from lilliput.tasks import task_named
from lilliput.teachers.finetune import finetune


def _dangling(folder: Path) -> None:
    (folder / "file").mkdir()
    (folder / "file" / ".small.work").symlink_to(folder / "nowhere")


VERBS = {
    "shrink": lambda out: api.shrink("no-such-teacher", "vulnerability", ["no-data"], ["no-data"], out),
    "quantize": lambda out: api.quantize("no-such-model", out),
    "finetune": lambda out: finetune("no-such-base", task_named("vulnerability"), None, None, Path(out)),
    "report": lambda out: api.report(["no-such-artifact"], out),
}


@pytest.mark.parametrize("verb", VERBS)
def test_rejects_a_place_below_a_file(tmp_path, verb):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="a part of this path is a file"):
        VERBS[verb](tmp_path / "file" / "small")


@pytest.mark.parametrize("verb", ["shrink", "quantize", "finetune"])
def test_rejects_a_link_in_place_of_the_work_folder(tmp_path, verb):
    _dangling(tmp_path)
    with pytest.raises(UserError, match="it is a link or a file"):
        VERBS[verb](tmp_path / "file" / "small")
    assert [path.name for path in (tmp_path / "file").iterdir()] == [".small.work"]
