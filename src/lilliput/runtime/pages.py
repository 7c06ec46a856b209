"""Memory that is of no use any more, given back: what is on the disk anyway, and what was freed.

The CPU plugin maps the file of weights and, once it has run, keeps a copy of most of them in the layout its kernels
want. The pages of the file that it read for that stay resident, though only rows of the embedding are read again.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import sys
from pathlib import Path

import openvino as ov
from openvino import opset13 as ops

_DONT_NEED = 4
"""``MADV_DONTNEED`` of Linux. Of a file's read-only pages nothing is lost: what is read again comes from the file."""


@functools.cache
def _c_library() -> ctypes.CDLL | None:
    """Found once: looking for it runs a program."""
    name = ctypes.util.find_library("c") if sys.platform == "linux" else None
    return ctypes.CDLL(name, use_errno=True) if name else None


def release_mapped(file: Path) -> int:
    """Give back the resident pages of ``file`` that this process has mapped.

    Returns:
        Bytes of the mappings concerned; 0 where nothing is mapped, or on other systems than Linux.
    """
    maps, libc = Path("/proc/self/maps"), _c_library()
    if libc is None or not maps.exists():
        return 0
    wanted, given = str(file.resolve()), 0
    for line in maps.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == wanted and "w" not in fields[1]:
            first, last = (int(part, 16) for part in fields[0].split("-"))
            if libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _DONT_NEED) == 0:
                given += last - first
    return given


_SMALL = 1 << 16
_PLAIN = {"f32", "f16", "i64", "i32"}


def keep_small_constants(model: ov.Model) -> None:
    """Take a graph's small constants out of the mapped file, in place. Reading one of a few kB there makes up to 4 MB
    around it resident, where the system keeps files in large pages: 50 MB for the norms of a 0.5 B model, measured.
    """
    for node in model.get_ops():
        if node.get_type_name() != "Constant" or node.get_element_type().get_type_name() not in _PLAIN:
            continue
        if node.get_byte_size() <= _SMALL:
            copy = ops.constant(node.data.copy())
            copy.set_friendly_name(node.get_friendly_name())
            node.output(0).replace(copy.output(0))


def trim() -> None:
    """Give freed memory back to the system, which the C library otherwise keeps for itself; nothing without glibc."""
    libc = _c_library()
    if libc is not None and hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
