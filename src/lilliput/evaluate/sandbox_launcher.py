"""Set up the sandbox around one program, in a fresh process started by :mod:`.sandbox` for this purpose.

Executed by path with only the standard library, never imported. Arguments: the layers to set up (``namespaces``,
``other-user``, joined by commas), a folder to use, seconds, memory in MB, the number of the pipe on which the program's
end is signalled, and the runner's source. The runner inherits standard input, which holds the program, and standard
error. Standard output gets one line at the end: ``exit N``, ``signal N``, ``timeout``, or ``refused`` and why.

With namespaces there are three processes: this one, outside; the first of the new process namespace, whose end makes
the kernel end all others in it; and the runner. Without namespaces there are this one and the runner. Paths are strings
here: importing pathlib would take longer than everything else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator

NAMESPACES, OTHER_USER = "namespaces", "other-user"

NOBODY = 65534
"""The user id that owns nothing, by convention."""

PROCESSES, OPEN_FILES, FILE_BYTES, FOLDER_BYTES = 32, 64, 16 << 20, 64 << 20

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache")
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

# From Linux's headers sched.h, mount.h, fcntl.h, prctl.h and the system call table (the same on all machines).
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 1 << 12, 1 << 14, 1 << 18, 2
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, SYS_MOUNT_SETATTR = -100, 0x8000, 1, 2, 442
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38

LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Run the program and report."""
    layers, folder, seconds, memory_mb, end, runner = sys.argv[1:]
    python = os.path.realpath(sys.executable)
    command = [python, "-sSPB", "-Xutf8", "-Wignore", "-c", runner, end]
    isolated, other_user = NAMESPACES in layers, OTHER_USER in layers
    try:
        _end_with_parent()
        _offer_to_be_killed_first()
        if isolated:
            _enter_namespaces(other_user)
            if first := os.fork():
                os.waitpid(first, 0)  # which writes the report
                return
            _end_with_parent()
            _make_root(folder, other_user)
            folder = "/tmp"
        elif LINUX:
            _call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # this process adopts orphans, and kills them
        if not isolated:
            folder = _make_folder(folder, other_user)
        program = _start(command, folder, float(seconds), int(memory_mb), isolated, other_user)
    except OSError as error:
        _report(f"refused {error.strerror or error}")
        return
    outcome = _wait(program, float(seconds))
    if not isolated:
        _end_descendants(program)
    _report(outcome)


def _report(text: str) -> None:
    os.write(1, text.encode())


def _call(name: str, *arguments: object) -> None:
    """Call the C library's function ``name``; raise ``OSError`` where it fails."""
    converted = [
        os.fsencode(value) if isinstance(value, str) else ctypes.c_long(value) if isinstance(value, int) else value
        for value in arguments
    ]
    if getattr(_libc, name)(*converted) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _end_with_parent() -> None:
    if LINUX:
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _offer_to_be_killed_first() -> None:
    """Make the kernel kill these processes first when the machine runs out of memory."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as setting:
        setting.write("1000")


def _enter_namespaces(other_user: bool) -> None:
    """Enter new namespaces for users, processes (of children), mounts, network, IPC and host name.

    User ids are mapped to themselves: the caller's, and with ``other_user``, which needs root, also :data:`NOBODY`. The
    mapping must be written from outside the namespace, hence by a child that stays there.
    """
    waits, entered = os.pipe()
    teller = os.fork()
    if not teller:
        os.close(entered)
        os.read(waits, 1)  # nothing is sent: the read ends when the other side is closed
        with contextlib.suppress(OSError):
            _map_users(os.getppid(), other_user)
            os._exit(0)
        os._exit(1)
    flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    try:
        _call("unshare", flags)
    finally:
        os.close(waits)
        os.close(entered)
        _, failed = os.waitpid(teller, 0)
    if failed:
        raise OSError("user ids cannot be mapped")


def _map_users(process: int, other_user: bool) -> None:
    if not other_user:  # only root may map groups while setgroups is allowed
        with open(f"/proc/{process}/setgroups", "w", encoding="ascii") as setting:
            setting.write("deny")
    for file, own in (("uid_map", os.geteuid()), ("gid_map", os.getegid())):
        mapped = [own, NOBODY] if other_user else [own]
        with open(f"/proc/{process}/{file}", "w", encoding="ascii") as setting:
            setting.write("".join(f"{number} {number} 1\n" for number in mapped))


def _make_folder(parent: str, other_user: bool) -> str:
    """Create the program's folder inside one owned by the caller, so that the program cannot replace it by a link."""
    folder = f"{parent}/work"
    os.mkdir(folder)
    if other_user:
        os.chmod(parent, 0o711)
        os.chown(folder, NOBODY, NOBODY)
    return folder


def _make_root(folder: str, other_user: bool) -> None:
    """Make a root file system of the system's libraries, Python and a few devices, all read-only, and a ``/tmp``."""
    _call("mount", "none", "/", None, MS_REC | MS_PRIVATE, None)
    os.umask(0o022)
    _call("mount", "tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    os.mkdir(f"{folder}/old")
    _call("pivot_root", folder, f"{folder}/old")
    os.chdir("/")
    for path in [*_shown(), *DEVICES]:
        _show(path)
    os.mkdir("/tmp")
    os.symlink("/tmp", "/dev/shm")
    with contextlib.suppress(OSError), open("/old/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as limit:
        limit.write("0")  # there the program would have privileges and a larger attack surface
    _call("umount2", "/old", MNT_DETACH)
    os.rmdir("/old")
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, 0)
    _call("syscall", SYS_MOUNT_SETATTR, AT_FDCWD, "/", AT_RECURSIVE, attributes, ctypes.sizeof(attributes))
    owner = f"uid={NOBODY},gid={NOBODY}" if other_user else f"uid={os.geteuid()},gid={os.getegid()}"
    _call("mount", "tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, f"size={FOLDER_BYTES},mode=700,{owner}")
    with contextlib.suppress(OSError):
        _call("sethostname", "sandbox", 7)


def _shown() -> Iterator[str]:
    """The system's folders and Python's, without those inside another."""
    python = (sys.base_prefix, sys.base_exec_prefix, os.path.dirname(os.__file__), os.path.realpath(sys.executable))
    last = None
    for path in sorted({*SYSTEM, *map(os.path.abspath, python)}):
        if path == "/":
            raise OSError("Python is installed in the root folder")
        if last is None or not path.startswith(f"{last}/"):
            yield path
            last = path


def _show(path: str) -> None:
    """Bind-mount ``path`` of the old root at the same place in the new one."""
    old = f"/old{path}"
    if not os.path.lexists(old):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(old):  # /lib is usr/lib on many systems
        os.symlink(os.readlink(old), path)
        return
    if os.path.isdir(old):
        os.mkdir(path)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    _call("mount", old, path, None, MS_BIND | MS_REC, None)


def _start(command: list[str], folder: str, seconds: float, memory_mb: int, isolated: bool, other_user: bool) -> int:
    """Start the runner and return its process id.

    Raises:
        OSError: it cannot be started, which says nothing about the program.
    """
    told, tell = os.pipe()  # closed on exec: the read below ends as soon as the runner starts
    program = os.fork()
    if not program:
        os.close(told)
        _become(command, folder, seconds, memory_mb, isolated, other_user, tell)
    os.close(tell)
    with os.fdopen(told, "rb") as complaint:
        reason = complaint.read().decode(errors="replace")
    if reason:
        os.waitpid(program, 0)
        raise OSError(f"the program cannot be started: {reason}")
    return program


def _become(
    command: list[str], folder: str, seconds: float, memory_mb: int, isolated: bool, other_user: bool, tell: int
) -> None:
    """Turn this freshly forked process into the runner and never return; errors are written to ``tell``."""
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.chdir(folder)
        if LINUX:
            _drop_rights(other_user)
        _limit(seconds, memory_mb, isolated)
        os.execve(command[0], command, {"HOME": folder, "TMPDIR": folder, **os.environ, **_FIXED})
    except Exception as error:
        os.write(tell, (str(error) or type(error).__name__).encode())
    finally:
        os._exit(126)


_FIXED = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
"""Environment variables; the last makes the order of sets of strings, and so verdicts, reproducible."""


def _drop_rights(other_user: bool) -> None:
    """Drop all capabilities, and any way to gain one by executing a file."""
    for capability in range(64):
        with contextlib.suppress(OSError):  # there are fewer; without any, dropping is neither allowed nor needed
            _call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)
    if other_user:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _end_with_parent()  # changing the user undid it


def _limit(seconds: float, memory_mb: int, isolated: bool) -> None:
    limits = {
        resource.RLIMIT_AS: memory_mb << 20,
        resource.RLIMIT_CPU: int(seconds) + 2,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: OPEN_FILES,
    }
    if LINUX:  # without user namespaces, all processes of this user count
        limits[resource.RLIMIT_NPROC] = PROCESSES + (0 if isolated else _threads_of(os.getuid()))
    for kind, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # macOS refuses some; or the limit is lower already
            resource.setrlimit(kind, (most, most))


def _threads_of(user: int) -> int:
    count = 0
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
    return count


def _wait(program: int, seconds: float) -> str:
    """Wait for ``program`` and say how it ended; orphans adopted by this process are reaped."""

    def give_up(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        ended = 0
        while ended != program:
            ended, status = os.waitpid(-1, 0)
    except TimeoutError:
        return "timeout"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"


def _end_descendants(program: int) -> None:
    """Kill the program's group, then all children: as they end, this process adopts their own children."""
    with contextlib.suppress(OSError):
        os.killpg(program, signal.SIGKILL)
    last = time.monotonic() + 5
    while time.monotonic() < last:
        try:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as listing:
                children = listing.read().split()
        except OSError:  # not Linux, or a kernel without this file
            return
        for child in children:
            with contextlib.suppress(OSError):
                os.kill(int(child), signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


if __name__ == "__main__":
    main()
