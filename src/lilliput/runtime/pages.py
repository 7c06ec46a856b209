"""Memory that is of no use any more, given back: what is on the disk anyway, and what was freed.

The CPU plugin maps the file of weights and, once it has run, keeps a copy of most of them in the layout its kernels
want. The pages of the file that it read for that stay resident, though only rows of the embedding are read again.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
from pathlib import Path

_DONT_NEED = 4
"""``MADV_DONTNEED`` of Linux. Of a file's read-only pages nothing is lost: what is read again comes from the file."""


def release_mapped(file: Path) -> int:
    """Give back the resident pages of ``file`` that this process has mapped.

    Returns:
        Bytes of the mappings concerned; 0 where nothing is mapped, or on other systems than Linux.
    """
    maps = Path("/proc/self/maps")
    if sys.platform != "linux" or not maps.exists():
        return 0
    libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)
    wanted, given = str(file.resolve()), 0
    for line in maps.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == wanted and "w" not in fields[1]:
            first, last = (int(part, 16) for part in fields[0].split("-"))
            if libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _DONT_NEED) == 0:
                given += last - first
    return given


def trim() -> None:
    """Give freed memory back to the system, which the C library otherwise keeps for itself; nothing without glibc."""
    if sys.platform == "linux" and ctypes.util.find_library("c"):
        library = ctypes.CDLL(ctypes.util.find_library("c"))
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)
