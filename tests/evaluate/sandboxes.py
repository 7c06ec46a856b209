"""Helpers for the sandbox's tests: running programs with all layers or none, and finding processes on this machine.

``anywhere`` marks tests of what holds without any kernel layer: they run twice.
"""

import sys
import time
from pathlib import Path

import pytest

from lilliput.evaluate import sandbox
from lilliput.evaluate.sandbox import protections

no_windows = pytest.mark.skipif(sys.platform == "win32", reason="programs cannot be run on Windows")

SHORT = 1.0
"""Time limit in seconds for programs that do not end; starting one takes much of it on a loaded machine."""


def judge(program, layers, seconds=20.0, memory_mb=1024):
    return sandbox._run(program, seconds, memory_mb, layers)


def every_layer():
    return [] if sys.platform == "win32" else sorted({sandbox._layers()[0], ""})


anywhere = pytest.mark.parametrize("layers", every_layer(), ids=lambda layers: layers or "no layers")


def needs(layer):
    """Skip unless ``layer`` is available here."""
    if not getattr(protections(), layer):
        pytest.skip(f"the kernel does not grant it: {protections().refused or 'this system has no such layer'}")


def running(marker):
    """Processes on this machine, in whatever namespace, whose command line contains ``marker``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def gone(marker, seconds=5.0):
    """Whether no such process is left within ``seconds``: the kernel takes a moment to end them."""
    last = time.monotonic() + seconds
    while running(marker) and time.monotonic() < last:
        time.sleep(0.05)
    return not running(marker)
