"""The study shows what its jobs say while they work, and nothing from an earlier run."""

import threading
import time

import pytest

from lilliput.study.jobs import Job
from lilliput.study.point import point
from lilliput.verbs.study.sayings import said_by, shown
from tests.verbs.study.small import LEAN

SOON = 0.01


@pytest.fixture
def jobs(tmp_path):
    return [
        Job(name, "model", None, point(name), LEAN, str(tmp_path / name), str(tmp_path / name / "artifact"))
        for name in ("int8", "int4")
    ]


class Heard:
    """A loop's ``advance`` that records its notes, and signals when a line came."""

    def __init__(self):
        self.lines, self.steps, self.came = [], 0, threading.Event()

    def __call__(self, steps=1, note=""):
        self.steps += steps
        if note:
            self.lines.append(note)
            self.came.set()


def test_newest_line_is_shown_with_its_point(jobs):
    heard = Heard()
    with shown(jobs, heard, SOON) as advance, said_by(jobs[1]) as progress:
        progress.note("  quantizing: 3/7, 0:05 gone, 0:07 left")
        assert heard.came.wait(20)
        advance()
    assert heard.steps == 1
    assert heard.lines[-1] == f"{jobs[1].point.label}: quantizing: 3/7, 0:05 gone, 0:07 left"


def test_lines_of_an_earlier_run_are_not_shown(jobs):
    with said_by(jobs[0]) as progress:
        progress.note("of yesterday")
    heard = Heard()
    with shown(jobs, heard, SOON):
        time.sleep(10 * SOON)
    assert heard.lines == []


def test_incomplete_line_is_not_shown(jobs):
    heard = Heard()
    with shown(jobs, heard, SOON), said_by(jobs[0]) as progress:
        progress.note("whole")
        progress.stream.write("half")
        progress.stream.flush()
        assert heard.came.wait(20)
    assert set(heard.lines) == {f"{jobs[0].point.label}: whole"}
