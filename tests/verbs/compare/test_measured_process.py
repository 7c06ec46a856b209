"""A process that answers requests in turn: its answers, its death, and that it never outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lilliput.errors import UserError
from lilliput.evaluate.paired import MOST_IDLE
from lilliput.evaluate.resources import peak_memory
from lilliput.verbs.compare import process as measured_process
from lilliput.verbs.compare.process import MeasuredProcess

REFERENCE = {"kind": "reference", "threads": 1}
ROOT = Path(__file__).parents[3]


def started(folder, request=None, name="the model"):
    return MeasuredProcess(name, request or REFERENCE, 1, folder)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_process_answers_and_its_peak_memory_is_counted_at_its_end(tmp_path):
    begin = time.monotonic()
    with started(tmp_path) as process:
        seconds, _ = process.first_answer()
        assert 0 < seconds < time.monotonic() - begin
        found = process.ask("measure")
        assert found["bytes_per_second"] == pytest.approx(2**28 / (found["read"] / 3), rel=1)
        time.sleep(0.5)  # its turn is over: it should wait without working
        memory = process.ask("memory")
        peak = process.end()
    assert 0 <= memory["idle_cores"] < MOST_IDLE
    assert 268 < memory["private_mb"] <= memory["resident_mb"] < 600  # 268 MB of it is the array
    assert peak > 0.99 * memory["resident_mb"]  # the kernel counts the peak in strides
    alone = peak_memory([sys.executable, "-c", "import numpy as np; np.ones(1 << 25)"])
    assert peak == pytest.approx(alone, abs=120)


def test_user_error_in_the_child_is_raised_as_its_own(tmp_path):
    request = {"kind": "generator", "threads": 1, "precision": "fp32", "model": str(tmp_path / "nothing")}
    with started(tmp_path, request, "nothing") as process, pytest.raises(UserError, match="no such file") as refusal:
        process.first_answer()
    assert "nothing" in refusal.value.where
    assert refusal.value.remedy


def test_failing_child_is_reported_with_its_last_output(tmp_path):
    with started(tmp_path) as process:
        process.first_answer()
        with pytest.raises(UserError) as death:
            process.ask("sing")
    assert str(death.value) == (
        "the model: its process exited with code 1; its last output: AttributeError: 'ReferenceWork' object has "
        "no attribute 'sing'. Run the model by itself to see why."
    )


@pytest.mark.parametrize(
    ("by_signal", "words"),
    [("", "exited with code 3; its last output: MemoryError: no room"), ("1", "by signal 9.*out of memory")],
)
def test_child_that_dies_before_answering_is_reported(tmp_path, monkeypatch, by_signal, words):
    monkeypatch.setattr(measured_process, "MODULE", "tests.verbs.compare.dying_child")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("BY_SIGNAL", by_signal)
    with started(tmp_path) as process, pytest.raises(UserError, match=f"the model: its process .*{words}"):
        process.first_answer()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in /proc")
def test_killed_child_is_reported_and_abandoned_child_is_ended(tmp_path):
    with started(tmp_path) as process:
        process.first_answer()
        (child,) = children(process.process.pid)
        os.kill(child, signal.SIGKILL)
        assert gone(child)
        with pytest.raises(UserError, match="was killed by signal 9"):
            process.ask("measure")
    with pytest.raises(KeyboardInterrupt), started(tmp_path) as process:
        process.first_answer()
        (child,) = children(process.process.pid)
        raise KeyboardInterrupt
    assert gone(child, 5)
    assert process.process.returncode is not None


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in /proc")
def test_child_ends_when_its_parent_is_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from lilliput.verbs.compare.process import MeasuredProcess\n"
        f"process = MeasuredProcess('m', {REFERENCE!r}, 1, Path(sys.argv[1]))\n"
        "process.first_answer(); print(process.process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    launcher = int(parent.stdout.readline())
    (child,) = children(launcher)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(child)
    assert gone(launcher)


INTERRUPTED = """
import os, signal, time
from lilliput.verbs.compare.process import interrupts_held
try:
    with interrupts_held():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)
        print("started")
except KeyboardInterrupt:
    print("interrupted")
with interrupts_held():
    print("again")
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
"""


def test_interrupt_during_a_start_is_deferred():
    """Run in a process of its own: this one holds the threads and signal stacks of many libraries."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["started", "interrupted", "again"]
