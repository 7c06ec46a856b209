"""What a program in the sandbox can rely on, and what it must never be able to do, with or without layers."""

import os
import re
import secrets
import subprocess
import sys
import threading
import time

import pytest

from lilliput.errors import UserError
from lilliput.evaluate.sandbox import _LAUNCHER as LAUNCHER
from lilliput.evaluate.sandbox import Verdict, run, run_many
from tests.evaluate.sandboxes import SHORT, anywhere, gone, judge, no_windows, running

pytestmark = no_windows


# What programs can rely on


@anywhere
def test_program_that_reaches_its_end_passes(layers):
    assert judge("import json, re, math, dataclasses\nassert math.pi > 3", layers) == Verdict(True, "passed", "")


@anywhere
def test_program_is_the_main_module_and_has_the_standard_library(layers):
    program = """
import sys, pickle, tempfile, threading, sqlite3, decimal, random, multiprocessing
from dataclasses import dataclass
@dataclass
class Point:
    x: int
assert __name__ == "__main__" and sys.argv == ["program"] and sys.stdin.read() == ""
assert pickle.loads(pickle.dumps(Point(3))) == Point(3)
with tempfile.TemporaryFile() as file:
    file.write(b"x")
open("here.txt", "w").write("y")
seen = []
thread = threading.Thread(target=seen.append, args=[1])
thread.start(); thread.join()
assert seen == [1]
assert multiprocessing.Lock()
"""
    assert judge(program, layers) == Verdict(True, "passed", "")


@anywhere
@pytest.mark.parametrize(
    "program, outcome, detail",
    [
        ("assert 1 == 2, 'one is not two'", "failed", "AssertionError: one is not two"),
        ("def f(:", "failed", "SyntaxError: invalid syntax"),
        ("x = 'a\0b'", "failed", "null byte"),
        ("x = '\ud800'", "failed", "surrogates not allowed|can't decode"),
        ("import numpy", "failed", "ModuleNotFoundError: No module named 'numpy'"),
        ("raise KeyboardInterrupt", "failed", "KeyboardInterrupt"),
        (
            "raise Exception('\\x1b[31m red \\x07' + 400 * 'x')",
            "failed",
            r"^Exception: \ufffd\[31m red \ufffdx+\.\.\.$",
        ),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_program_that_raises_fails_with_its_last_message(layers, program, outcome, detail):
    verdict = judge(program, layers)
    assert (verdict.passed, verdict.outcome) == (False, outcome)
    assert re.search(detail, verdict.detail)
    assert len(verdict.detail) <= 200


def test_sets_of_strings_always_have_the_same_order():
    program = "import sys; sys.exit(str(list({'red', 'green', 'blue', 'black', 'white'})))"
    assert len({run(program).detail for _ in range(3)}) == 1


def test_many_programs_are_judged_in_order():
    programs = [f"assert {number} % 3, 'multiple {number}'" for number in range(12)]
    verdicts = run_many(programs, workers=3)
    assert [verdict.passed for verdict in verdicts] == [bool(number % 3) for number in range(12)]
    assert verdicts[9].detail == "AssertionError: multiple 9"
    assert run_many([]) == []


def test_rejects_invalid_settings():
    huge = ({"seconds": 1e9}, {"memory_mb": 2**43}, {"memory_mb": 10**30})  # more than clocks and limits accept
    for wrong in ({"seconds": 0}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"memory_mb": 5}, *huge):
        with pytest.raises(UserError, match="must be"):
            run("", **wrong)
    with pytest.raises(UserError, match="workers: must be 1 or more"):
        run_many([""], workers=0)


# No pass without reaching the end


@anywhere
@pytest.mark.parametrize(
    "leave",
    [
        "import sys; sys.exit(0)",
        "raise SystemExit",
        "import os; os._exit(0)",
        "import atexit, os; atexit.register(os._exit, 0); exit_ = SystemExit(0); raise exit_",
        "import os; os.execv('/bin/true', ['true'])",
        "import threading, os; threading.Thread(target=os._exit, args=[0]).start(); import time; time.sleep(9)",
    ],
)
def test_leaving_early_is_not_a_pass(layers, leave):
    verdict = judge(f"{leave}\nassert False", layers)
    assert (verdict.passed, verdict.outcome) == (False, "exited")


@anywhere
def test_guessing_the_token_is_not_a_pass(layers):
    """Try 32 hexadecimal digits and other strings that look like success, on every pipe."""
    program = """
import os, secrets
for pipe in range(64):
    for guess in (secrets.token_hex(16).encode(), b"0" * 32, b"exit 0", b"passed"):
        try:
            os.write(pipe, guess)
        except OSError:
            pass
os._exit(0)
"""
    assert not judge(program, layers).passed
    assert not judge(program.replace("os._exit(0)", ""), layers).passed  # what it wrote spoils the real token after it


@anywhere
def test_token_is_in_neither_files_nor_environment_nor_arguments(layers):
    program = """
import os, re, sys
said = [" ".join(sys.argv), " ".join(sys.orig_argv), str(dict(os.environ)), str(os.listdir("."))]
for number in range(64):
    try:
        said.append(os.pread(number, 1000, 0).decode("latin-1"))
    except OSError:
        pass
for found in re.findall("[0-9a-f]{32}", "".join(said)):
    for pipe in range(3, 64):
        try:
            os.write(pipe, found.encode())
        except OSError:
            pass
os._exit(0)
"""
    assert not judge(program, layers).passed


@anywhere
def test_replacing_functions_of_the_runner_cannot_hide_a_failure(layers):
    program = """
import os, sys, builtins
os.write = os._exit = sys.__excepthook__ = sys.exit = builtins.compile = builtins.exec = lambda *_: 0
sys.stderr = sys.__stderr__ = None
assert False
"""
    assert (judge(program, layers).passed, judge(program, layers).outcome) == (False, "failed")


# Everything ends


@anywhere
def test_endless_loop_is_ended(layers):
    start = time.monotonic()
    assert judge("while True: pass", layers, SHORT) == Verdict(False, "timeout", "no end within 1 s")
    assert time.monotonic() - start < SHORT + 15


@anywhere
def test_programs_that_ignore_signals_or_stop_are_ended(layers):
    deaf = "import signal\nfor n in range(1, 65):\n try: signal.signal(n, signal.SIG_IGN)\n except Exception: pass\n"
    assert judge(deaf + "while True: pass", layers, SHORT).outcome == "timeout"
    assert judge("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", layers, SHORT).outcome == "timeout"


@anywhere
def test_threads_and_exit_handlers_do_not_delay_a_pass(layers):
    program = """
import atexit, threading, time
atexit.register(time.sleep, 60)
threading.Thread(target=time.sleep, args=[60]).start()
"""
    start = time.monotonic()
    assert judge(program, layers, 30).passed
    assert time.monotonic() - start < 25


@anywhere
@pytest.mark.skipif(sys.platform != "linux", reason="without /proc, neither test nor sandbox finds such processes")
@pytest.mark.parametrize("end", ["", "os._exit(0)", "time.sleep(60)"], ids=["passing", "leaving", "timing out"])
def test_no_started_process_survives(layers, end):
    """Not even one in its own session, without its parent, that ignores signals and holds all pipes open."""
    marker = secrets.token_hex(8)
    program = f"""
import os, signal, sys, time
for _ in range(3):
    if not os.fork():
        os.setsid()
        if not os.fork():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.execv(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(50)", "{marker}"])
        os._exit(0)
time.sleep(0.5)
{end}
"""
    seen = set()
    watch = threading.Event()

    def look():
        while not watch.wait(0.02):
            seen.update(running(marker))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        judge(program, layers, 3.0)
    finally:
        watch.set()
        watcher.join()
    assert seen  # the processes did run
    assert gone(marker)


@anywhere
@pytest.mark.skipif(sys.platform != "linux", reason="needs a feature of the Linux kernel")
def test_program_ends_with_the_process_that_started_it(layers, tmp_path):
    """If the caller is killed, nothing is left behind."""
    marker = secrets.token_hex(8)
    program = f"import os, sys; os.execv(sys.executable, ['x', '-S', '-c', 'import time; time.sleep(50)', '{marker}'])"
    caller = f"from lilliput.evaluate import sandbox; sandbox._run({program!r}, 60, 1024, {layers!r})"
    command = [sys.executable, "-c", caller.replace(marker, "'+'".join(marker))]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        last = time.monotonic() + 30
        while not running(marker) and time.monotonic() < last:
            time.sleep(0.05)
        assert running(marker)
        process.kill()
    assert gone(marker)


@pytest.mark.skipif(sys.platform != "linux", reason="tests how programs are started on Linux")
@pytest.mark.parametrize(
    ("command", "memory_mb", "reason"),
    [(["/no/such/python"], 64, "No such file"), ([sys.executable], 2**70, "")],
)
def test_failure_to_start_is_not_blamed_on_the_program(command, memory_mb, reason, tmp_path):
    """A machine without memory, processes or devices is no reason to call a program wrong."""
    code = (
        "import runpy, sys\n"
        f"launcher = runpy.run_path({str(LAUNCHER)!r})\n"
        f"try:\n    launcher['_start']({command!r}, {str(tmp_path)!r}, 1.0, {memory_mb}, False, False)\n"
        "except OSError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the program cannot be started: " in done.stdout
    assert reason in done.stdout


def test_exit_code_126_is_blamed_on_the_program():
    verdict = judge("import os; os._exit(126)", "")
    assert (verdict.outcome, verdict.passed) == ("exited", False)
