"""The kernels, compiled once for the processor, the engine and the compiler at hand, and kept in the user's cache.

They do not ship compiled: an operation for the engine is tied to the engine's version and the compiler's C++ ABI, and
the instructions that matter are the newest a processor has.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import openvino as ov

from lilliput.children import python_module
from lilliput.errors import UserError
from lilliput.files import cache_folder
from lilliput.kernels.library import Library
from lilliput.locks import in_turn

SWITCH = "LILLIPUT_KERNELS"
"""Environment variable: ``off`` leaves the products to the engine."""

_FLAGS = ("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", "-pthread")
_SECONDS = 300
_DAY = 24 * 60 * 60
_NATIVE = Path(__file__).parent / "native"


class Unavailable(Exception):
    """There are no kernels on this machine; the message says why."""


class Hindered(Unavailable):
    """There are no kernels this time, for a reason that may be temporary."""


@dataclass(frozen=True)
class Kernels:
    """The kernels of this machine, if any.

    Attributes:
        library: the kernels, or ``None``.
        about: the instructions they use, or why there are none.
    """

    library: Library | None
    about: str


@functools.cache
def kernels() -> Kernels:
    """Return the kernels of this machine; the first call compiles them, which takes about ten seconds."""
    try:
        library = Library(_built())
    except (Unavailable, UserError, OSError, RuntimeError) as error:  # RuntimeError: the engine's
        return Kernels(None, str(error))
    return Kernels(library, library.instructions)


def in_use() -> str | None:
    """What :func:`kernels` reported, for a measurement's record, or ``None`` if nothing has asked for them yet."""
    return kernels().about if kernels.cache_info().currsize else None


def _built() -> Path:
    """Return the compiled library, compiled first if necessary.

    Raises:
        Unavailable: there is none, and it cannot be made.
        OSError: the cache cannot be written.
    """
    if os.environ.get(SWITCH, "").lower() == "off":
        raise Unavailable(f"{SWITCH} is off")
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Unavailable(f"they are for Linux on x86-64, not for {platform.system()} on {platform.machine()}")
    compiler = _compiler()
    folder = _own_folder(cache_folder() / "kernels")
    place = folder / f"{_key(compiler)}.so"
    if not _is_whole(place):
        with in_turn(folder, _SECONDS, "lilliput: waiting for another process that compiles kernels."):
            if not _is_whole(place):
                _make(compiler, place)
    return place


def _make(compiler: Sequence[str], place: Path) -> None:
    """Compile the library. Unless its cause may be temporary, a failure is recorded, and not retried for a day.

    Raises:
        Unavailable: it cannot be compiled, or could not be within the last day.
    """
    note = place.with_suffix(".failed")
    if note.exists() and time.time() - note.stat().st_mtime < _DAY:
        reason = note.read_text(encoding="utf-8", errors="replace")
        raise Unavailable(f"{reason} (tried before; delete {note} to try again)")
    with tempfile.TemporaryDirectory(dir=place.parent) as work:
        made = Path(work) / "kernels.so"
        try:
            _compile(compiler, made)
            _try_out(made)
        except Hindered:
            raise
        except Unavailable as error:
            note.write_text(str(error), encoding="utf-8")
            raise
        _checksum_file(place).write_text(_digest(made), encoding="ascii")
        made.replace(place)


def _compiler() -> tuple[str, ...]:
    """The compiler's command: ``CXX``, perhaps with arguments, or else the first compiler found."""
    try:
        chosen = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:
        raise Unavailable(f"CXX is not a valid command: {error}") from error
    names = [chosen] if chosen else [["c++"], ["g++"], ["clang++"]]
    found = next(((path, *rest) for name, *rest in names if (path := shutil.which(name))), None)
    if found is None:
        raise Unavailable(f"there is no C++ compiler ({' '.join(chosen)})" if chosen else "there is no C++ compiler")
    return found


def _own_folder(folder: Path) -> Path:
    """Return the folder, made if missing; one that others can write to is refused."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unavailable(f"others can write to {folder}")
    return folder


def _key(compiler: Sequence[str]) -> str:
    """Hash of everything that the compiled code depends on."""
    version = _run([*compiler, "--version"], "does not print its version")
    facts = (ov.__version__, *compiler, version, *_FLAGS, _processor())
    sources = (path.read_bytes() for path in sorted(_NATIVE.iterdir()) if path.is_file())
    return _hash((*(fact.encode() for fact in facts), *sources))[:32]


def _processor() -> str:
    """Approximately what ``-march=native`` depends on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(("flags", "model", "cpu family"))}))


def _hash(parts: Iterable[bytes]) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _checksum_file(place: Path) -> Path:
    return place.with_suffix(".sha256")


def _is_whole(place: Path) -> bool:
    checksum = _checksum_file(place)
    return place.exists() and checksum.exists() and checksum.read_bytes() == _digest(place).encode()


def _compile(compiler: Sequence[str], target: Path) -> None:
    engine = Path(ov.__file__).parent
    libraries = sorted((engine / "libs").glob("libopenvino.so*"))
    if not libraries or not (engine / "include").exists():
        raise Unavailable("the installed engine has no headers to compile with")
    print("lilliput: compiling kernels for this processor, once; about ten seconds.", file=sys.stderr, flush=True)
    command = [*compiler, *_FLAGS, str(_NATIVE / "extension.cpp"), f"-I{engine / 'include'}", str(libraries[-1])]
    _run([*command, "-o", str(target)], "cannot be compiled")


def _try_out(library: Path) -> None:
    """Try the library in a separate process, so that one that crashes is not loaded here."""
    _run(python_module("lilliput.kernels.trial", str(library)), "does not work when compiled")


def _run(command: list[str], complaint: str) -> str:
    """Run a command and return what it prints."""
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Hindered(f"{complaint}: {error}") from error
    if done.returncode == -signal.SIGKILL or "Killed signal" in done.stderr:  # as when memory runs out
        raise Hindered(f"{complaint}: {command[0]} was killed")
    if done.returncode != 0:
        reasons = [line for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in reasons if "error" in line.lower()), "".join(reasons[-1:]))
        raise Unavailable(f"{complaint} ({shlex.join(command[:1])}, exit code {done.returncode}): {reason.strip()}")
    return done.stdout
