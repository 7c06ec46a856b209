"""Programs that attack the sandbox: each test says what is promised, and is skipped only where the kernel has no such
layer to offer.

Those marked with ``anywhere`` hold without any layer, so they run twice: with all that is had here, and with none.
"""

import os
import secrets
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from lilliput.errors import UserError
from lilliput.evaluate import sandbox
from lilliput.evaluate.sandbox import Verdict, protections, run, run_many

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="programs cannot be run on Windows")

SHORT = 1.5
"""Seconds for programs that do not end; starting one on a loaded machine takes a good part of this."""


def judge(program, layers, seconds=20.0, memory_mb=1024):
    return sandbox._run(program, seconds, memory_mb, layers)


def every_layer():
    return [] if sys.platform == "win32" else sorted({sandbox._layers()[0], ""})


anywhere = pytest.mark.parametrize("layers", every_layer(), ids=lambda layers: layers or "no layers")


def needs(layer):
    """Skip unless ``layer`` is had here."""
    if not getattr(protections(), layer):
        pytest.skip(f"the kernel does not grant it: {protections().refused or 'this system has no such layer'}")


def running(marker):
    """Processes on this machine, in whatever namespace, whose command line holds ``marker``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def gone(marker, seconds=5.0):
    """Whether no such process is left, or is within ``seconds``: the kernel takes a moment to end them."""
    last = time.monotonic() + seconds
    while running(marker) and time.monotonic() < last:
        time.sleep(0.05)
    return not running(marker)


# What programs may count on.


@anywhere
def test_a_program_that_comes_to_its_end_passes(layers):
    assert judge("import json, re, math, dataclasses\nassert math.pi > 3", layers) == Verdict(True, "passed", "")


@anywhere
def test_it_is_the_main_module_and_the_standard_library_works(layers):
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
def test_a_program_that_raises_fails_with_its_last_words(layers, program, outcome, detail):
    import re

    verdict = judge(program, layers)
    assert (verdict.passed, verdict.outcome) == (False, outcome)
    assert re.search(detail, verdict.detail)
    assert len(verdict.detail) <= 200


def test_sets_of_strings_have_the_same_order_each_time():
    program = "import sys; sys.exit(str(list({'red', 'green', 'blue', 'black', 'white'})))"
    assert len({run(program).detail for _ in range(3)}) == 1


def test_many_are_judged_in_their_order():
    programs = [f"assert {number} % 3, 'multiple {number}'" for number in range(12)]
    verdicts = run_many(programs, workers=3)
    assert [verdict.passed for verdict in verdicts] == [bool(number % 3) for number in range(12)]
    assert verdicts[9].detail == "AssertionError: multiple 9"
    assert run_many([]) == []


def test_settings_that_mean_nothing_are_refused():
    for wrong in ({"seconds": 0}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"memory_mb": 5}):
        with pytest.raises(UserError, match="must be"):
            run("", **wrong)
    with pytest.raises(UserError, match="workers: must be 1 or more"):
        run_many([""], workers=0)


# No pass without the end.


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
def test_leaving_early_is_no_pass(layers, leave):
    verdict = judge(f"{leave}\nassert False", layers)
    assert (verdict.passed, verdict.outcome) == (False, "exited")


@anywhere
def test_guessing_the_token_is_no_pass(layers):
    """32 hexadecimal digits, on whichever pipe, and whatever else looks like success."""
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
    assert not judge(program.replace("os._exit(0)", ""), layers).passed  # what it wrote spoils what would follow


@anywhere
def test_the_token_is_in_neither_files_nor_environment_nor_arguments(layers):
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
def test_replacing_what_the_runner_needs_is_no_pass_nor_hides_a_failure(layers):
    program = """
import os, sys, builtins
os.write = os._exit = sys.__excepthook__ = sys.exit = builtins.compile = builtins.exec = lambda *_: 0
sys.stderr = sys.__stderr__ = None
assert False
"""
    assert (judge(program, layers).passed, judge(program, layers).outcome) == (False, "failed")


# An end to everything.


@anywhere
def test_an_endless_loop_ends(layers):
    start = time.monotonic()
    assert judge("while True: pass", layers, SHORT) == Verdict(False, "timeout", "no end within 1.5 s")
    assert time.monotonic() - start < SHORT + 15


@anywhere
def test_so_does_one_that_ignores_signals_and_one_that_waits(layers):
    deaf = "import signal\nfor n in range(1, 65):\n try: signal.signal(n, signal.SIG_IGN)\n except Exception: pass\n"
    assert judge(deaf + "while True: pass", layers, SHORT).outcome == "timeout"
    assert judge("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)", layers, SHORT).outcome == "timeout"


@anywhere
def test_threads_and_exit_handlers_do_not_hold_a_pass_up(layers):
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
def test_nothing_it_started_runs_on(layers, end):
    """Not even in a session of its own, with its parent gone, deaf to signals, holding all pipes open."""
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
    assert seen  # they were there
    assert gone(marker)


@anywhere
@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel of Linux")
def test_it_ends_with_the_process_that_started_it(layers, tmp_path):
    """A caller that is killed leaves nothing behind."""
    import subprocess

    marker = secrets.token_hex(8)
    program = f"import os, sys; os.execv(sys.executable, ['x', '-S', '-c', 'import time; time.sleep(50)', '{marker}'])"
    caller = f"from lilliput.evaluate import sandbox; sandbox._run({program!r}, 60, 1024, {layers!r})"
    with subprocess.Popen([sys.executable, "-c", caller.replace(marker, "'+'".join(marker))]) as process:
        last = time.monotonic() + 30
        while not running(marker) and time.monotonic() < last:
            time.sleep(0.05)
        assert running(marker)
        process.kill()
    assert gone(marker)


# Limits.


@anywhere
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
def test_memory_is_limited(layers):
    start = time.monotonic()
    verdict = judge("hog = []\nwhile True: hog.append(bytearray(10_000_000))", layers, memory_mb=256)
    assert verdict == Verdict(False, "memory", "MemoryError")
    assert time.monotonic() - start < 20
    assert judge("hog = bytearray(100_000_000)", layers, memory_mb=256).passed


def test_a_fork_bomb_is_bounded_and_ends():
    needs("process_limit")
    program = """
import os, time
started = 0
try:
    while True:
        if not os.fork():
            time.sleep(60)
        started += 1
except OSError as error:
    assert started < 40, started
    raise error
"""
    assert "BlockingIOError" in run(program).detail
    start = time.monotonic()
    bomb = "import os\nwhile True:\n try: os.fork()\n except OSError: pass"
    assert run(bomb, seconds=SHORT).outcome == "timeout"
    assert time.monotonic() - start < SHORT + 15
    assert run("").passed  # and the machine goes on


@anywhere
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_is_thrown_away(layers, stream):
    program = f"import sys\nwhile True: sys.{stream}.write('x' * 100_000)"
    assert judge(program, layers, SHORT).outcome == "timeout"


@anywhere
def test_output_that_is_no_utf_8_does_no_harm(layers):
    program = "import os; os.write(2, b'\\xff\\xfe\\x00 end\\n'); os.write(1, bytes(range(256))); os._exit(3)"
    assert judge(program, layers) == Verdict(False, "exited", "\ufffd\ufffd\ufffd end")


@anywhere
def test_a_file_cannot_grow_large(layers):
    program = "with open('large', 'wb') as file:\n while True: file.write(bytes(1 << 20))"
    verdict = judge(program, layers)
    assert verdict.outcome == "failed" and "File too large" in verdict.detail


@anywhere
def test_files_cannot_be_opened_without_end(layers):
    verdict = judge("files = []\nwhile True: files.append(open('file', 'w'))", layers)
    assert verdict.outcome == "failed" and "Too many open files" in verdict.detail


@anywhere
def test_deep_recursion_and_crashes_are_verdicts(layers):
    assert judge("def f(): return f()\nf()", layers).detail.startswith("RecursionError")
    endless = "import sys; sys.setrecursionlimit(10**9)\nclass A:\n def __repr__(self): return repr(self)\nrepr(A())"
    assert judge(endless, layers).outcome in ("crashed", "failed", "memory")
    crash = judge("import ctypes; ctypes.string_at(1)", layers)
    assert (crash.outcome, crash.detail) == ("crashed", "Segmentation fault")
    assert judge("import os; os.abort()", layers).outcome == "crashed"


# Nothing of the caller's is given.


@anywhere
def test_the_environment_holds_no_secret(layers, monkeypatch):
    monkeypatch.setenv("LILLIPUT_TEST_SECRET", "s3cret")
    monkeypatch.setenv("HOME", "/home/someone")
    program = """
import os, sys
allowed = {"HOME", "TMPDIR", "PATH", "LANG", "PYTHONHASHSEED", "LC_CTYPE", "LD_LIBRARY_PATH"}
assert set(os.environ) <= allowed, set(os.environ) - allowed
assert "someone" not in os.path.expanduser("~")
"""
    assert judge(program, layers) == Verdict(True, "passed", "")


@anywhere
def test_no_open_file_is_inherited(layers, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    with secret.open() as stream:
        os.set_inheritable(stream.fileno(), True)
        program = f"""
import os
for number in range(3, 64):
    try:
        assert b"s3cret" not in os.pread(number, 100, 0)
    except OSError:
        pass
try:
    os.fstat({stream.fileno() + 500})
except OSError:
    pass
"""
        assert judge(program, layers) == Verdict(True, "passed", "")


@anywhere
def test_it_works_in_a_folder_of_its_own_that_is_removed(layers, tmp_path, monkeypatch):
    """However hard it makes that; the caller's working folder is another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(sandbox.tempfile, "tempdir", str(tmp_path))
    program = """
import os
assert os.listdir(".") == []
os.makedirs("a/b/c")
open("a/b/c/file", "w").write("x")
os.symlink("/", "root")
os.chmod("a/b/c/file", 0)
os.chmod("a/b", 0)
os.chmod("a", 0)
os.chmod(".", 0)
"""
    assert judge(program, layers) == Verdict(True, "passed", "")
    assert list(tmp_path.iterdir()) == []


# Layers of the kernel.


def test_protections_are_what_was_found():
    found = protections()
    assert found.files == found.network == found.processes
    assert found.files or found.refused
    assert not found.other_user or os.geteuid() == 0


def test_there_is_no_network_not_even_on_this_machine():
    needs("network")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"\0{secrets.token_hex(8)}")  # in the abstract namespace, which has no files
        local.listen()
        program = f"""
import socket
for attempt in (
    lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 3),
    lambda: socket.create_connection(("1.1.1.1", 53), 3),
    lambda: socket.getaddrinfo("example.org", 80),
    lambda: socket.socket(socket.AF_UNIX).connect({local.getsockname()!r}),
):
    try:
        attempt()
    except OSError:
        continue
    raise SystemExit("connected")
"""
        assert run(program) == Verdict(True, "passed", "")


def test_it_sees_and_signals_no_process_but_its_own():
    needs("processes")
    program = f"""
import os, signal
assert os.getpid() < 10 and os.getppid() == 1
for process in ({os.getpid()}, {os.getppid()}):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        continue
    raise SystemExit("it is there")
assert not os.path.exists("/proc/1")
os.kill(1, signal.SIGKILL)  # the first of its namespace, which the kernel protects
"""
    assert run(program) == Verdict(True, "passed", "")
    for deadly in ("os.kill(os.getppid(), 9)", "os.kill(-1, 9)", "os.killpg(0, 9)", "os.kill(1, 14)"):
        verdict = run(f"import os, time\ntry: {deadly}\nexcept OSError: pass\ntime.sleep(0.2)\nassert False", seconds=5)
        assert not verdict.passed


def test_files_outside_are_neither_read_nor_written_nor_removed(tmp_path):
    needs("files")
    precious = tmp_path / "precious"
    precious.write_text("data")
    tmp_path.chmod(0o777)
    precious.chmod(0o666)
    program = f"""
import os, shutil, sys
for attempt in (
    lambda: open({str(precious)!r}).read(),
    lambda: open({str(precious)!r}, "w"),
    lambda: os.remove({str(precious)!r}),
    lambda: os.listdir({str(tmp_path)!r}),
    lambda: os.listdir({str(Path.home())!r} + "/.ssh"),
    lambda: open({str(Path(__file__))!r}).read(),
    lambda: open("/etc/passwd").read(),
    lambda: os.mkdir("/new"),
    lambda: open(os.__file__, "a"),
    lambda: os.remove("/bin/sh"),
    lambda: open("/usr/new", "w"),
    lambda: os.chmod("/usr", 0o777),
    lambda: os.mknod("/tmp/disk", 0o060600, os.makedev(8, 0)),
):
    try:
        attempt()
    except OSError:
        continue
    raise SystemExit("done")
for root in ("/", "/usr", sys.base_prefix, {str(tmp_path)!r}):
    shutil.rmtree(root, ignore_errors=True)
"""
    assert run(program) == Verdict(True, "passed", "")
    assert precious.read_text() == "data"
    assert Path(os.__file__).exists()


def test_its_folder_is_bounded():
    needs("files")
    program = """
for number in range(100):
    with open(f"part{number}", "wb") as file:
        file.write(bytes(10 << 20))
"""
    verdict = run(program)
    assert verdict.outcome == "failed" and "No space left on device" in verdict.detail


def test_it_has_no_rights_and_gains_none():
    needs("files")
    program = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(39, 0, 0, 0, 0) == 1  # no new privileges
header, held = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.capget(header, held) == 0 and not any(held), list(held)
for attempt in (
    lambda: libc.unshare(0x10000000),
    lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
    lambda: libc.umount2(b"/usr", 2),
    lambda: libc.chroot(b"/tmp"),
    lambda: libc.sethostname(b"x", 1),
):
    assert attempt() == -1
"""
    assert run(program) == Verdict(True, "passed", "")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can become another user")
def test_root_is_not_what_it_runs_as():
    needs("other_user")
    program = """
import os
assert os.getresuid() == os.getresgid() == (65534,) * 3 and os.getgroups() == []
try:
    os.setuid(0)
except PermissionError:
    pass
else:
    raise SystemExit("root again")
"""
    assert run(program) == Verdict(True, "passed", "")
