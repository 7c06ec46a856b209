"""Programs that reach for what is not theirs: memory, files, processes, the network, the caller's secrets.

Each test checks a promise, and is skipped only where the kernel offers no such layer.
"""

import os
import secrets
import socket
import sys
import time
from pathlib import Path

import pytest

from lilliput.evaluate import sandbox
from lilliput.evaluate.sandbox import Verdict, protections, run
from tests.evaluate.sandboxes import SHORT, anywhere, judge, needs, no_windows

pytestmark = no_windows


# Limits


@anywhere
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
def test_memory_is_limited(layers):
    start = time.monotonic()
    verdict = judge("hog = []\nwhile True: hog.append(bytearray(10_000_000))", layers, memory_mb=256)
    assert verdict == Verdict(False, "memory", "MemoryError")
    assert time.monotonic() - start < 20
    assert judge("hog = bytearray(100_000_000)", layers, memory_mb=256).passed


def test_fork_bomb_is_bounded_and_ends():
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
    assert run("").passed  # the machine still works


@anywhere
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_endless_output_is_discarded(layers, stream):
    program = f"import sys\nwhile True: sys.{stream}.write('x' * 100_000)"
    assert judge(program, layers, SHORT).outcome == "timeout"


@anywhere
def test_invalid_utf_8_output_is_harmless(layers):
    program = "import os; os.write(2, b'\\xff\\xfe\\x00 end\\n'); os.write(1, bytes(range(256))); os._exit(3)"
    assert judge(program, layers) == Verdict(False, "exited", "\ufffd\ufffd\ufffd end")


@anywhere
def test_files_cannot_grow_large(layers):
    program = "with open('large', 'wb') as file:\n while True: file.write(bytes(1 << 20))"
    verdict = judge(program, layers)
    assert verdict.outcome == "failed" and "File too large" in verdict.detail


@anywhere
def test_number_of_open_files_is_limited(layers):
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


# Nothing is inherited from the caller


@anywhere
def test_environment_holds_no_secret(layers, monkeypatch):
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
        program = """
import os
for number in range(64):
    try:
        assert b"s3cret" not in os.pread(number, 100, 0)
    except OSError:
        pass
"""
        assert judge(program, layers) == Verdict(True, "passed", "")


@anywhere
def test_program_works_in_its_own_folder_which_is_removed(layers, tmp_path, monkeypatch):
    """The program makes removal hard; the caller's working folder is another one."""
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


# Kernel layers


def test_protections_are_consistent():
    found = protections()
    assert found.files == found.network == found.processes
    assert found.files or found.refused
    assert not found.other_user or os.geteuid() == 0


def test_there_is_no_network_not_even_to_this_machine():
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


def test_only_own_processes_can_be_seen_or_signalled():
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
try:
    os.kill(1, signal.SIGKILL)  # the first of its namespace, which the kernel protects
except PermissionError:
    pass
"""
    assert run(program) == Verdict(True, "passed", "")
    for deadly in ("os.kill(os.getppid(), 9)", "os.kill(-1, 9)", "os.killpg(0, 9)", "os.kill(1, 14)"):
        verdict = run(f"import os, time\ntry: {deadly}\nexcept OSError: pass\ntime.sleep(0.2)\nassert False", seconds=5)
        assert not verdict.passed


def test_files_outside_cannot_be_read_written_or_removed(tmp_path):
    needs("files")
    precious = tmp_path / "precious"
    precious.write_text("data")
    tmp_path.chmod(0o777)
    precious.chmod(0o666)
    program = f"""
import os, shutil
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
for folder in (os.path.dirname(os.__file__) + "/json", "/dev", "/bin/", {str(tmp_path)!r}):
    shutil.rmtree(folder, ignore_errors=True)
"""
    assert run(program) == Verdict(True, "passed", "")
    assert precious.read_text() == "data"
    assert Path(os.__file__).exists()


def test_size_of_its_folder_is_limited():
    needs("files")
    program = """
for number in range(100):
    with open(f"part{number}", "wb") as file:
        file.write(bytes(10 << 20))
"""
    verdict = run(program)
    assert verdict.outcome == "failed" and "No space left on device" in verdict.detail


def test_program_has_no_privileges_and_gains_none():
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
def test_program_does_not_run_as_root():
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
