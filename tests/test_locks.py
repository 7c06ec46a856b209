"""One process at a time: others are rejected or wait, and none waits for a process that has ended."""

import subprocess
import sys
import threading
import time

import pytest

from lilliput.errors import UserError
from lilliput.locks import claim, in_turn, release

CLAIMING = """
import sys
from pathlib import Path
from lilliput.locks import claim
claim(Path(sys.argv[1]))
print("mine", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_only_one_process_works_in_a_folder(tmp_path):
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", CLAIMING, tmp_path], stdin=pipe, stdout=pipe) as other:
        assert other.stdout.readline() == b"mine\n"
        with pytest.raises(UserError, match="another run is at work there"):
            claim(tmp_path)
        other.kill()
    claim(tmp_path)  # its death released the lock
    claim(tmp_path)  # a process does not lock itself out
    release(tmp_path)
    release(tmp_path)


def other_process(folder):
    """A process that locks a folder until it is killed."""
    pipe = subprocess.PIPE
    other = subprocess.Popen([sys.executable, "-c", CLAIMING, folder], stdin=pipe, stdout=pipe)
    assert other.stdout.readline() == b"mine\n"
    return other


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_waits_for_the_other_process_and_says_so_once(tmp_path, capsys):
    with other_process(tmp_path) as other:
        threading.Timer(0.5, other.kill).start()
        begun = time.monotonic()
        with in_turn(tmp_path, 60, "waiting."):
            assert 0.3 < time.monotonic() - begun < 30
            with pytest.raises(UserError, match="another run"):
                claim(tmp_path)
    assert capsys.readouterr().err == "waiting.\n"
    with in_turn(tmp_path, 60, "waiting."):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_waiting_is_limited(tmp_path):
    with other_process(tmp_path) as other, in_turn(tmp_path, 0.2, "waiting."):
        assert other.poll() is None
        other.kill()
