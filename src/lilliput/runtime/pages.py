"""Give memory back to the system: resident pages of the weights file, code of libraries, and freed heap memory.

The CPU plugin maps the weights file and, after its first run, keeps a copy of most weights in the layout of its
kernels. The pages that it read stay resident, though only rows of the embedding are read again.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import openvino as ov
from openvino import opset13 as ops

_DONT_NEED = 4
"""Linux's ``MADV_DONTNEED``. It loses nothing of a file's read-only pages, which are read from the file again."""


@functools.cache
def _c_library() -> ctypes.CDLL | None:
    """The C library, looked up once: the lookup runs a program."""
    name = ctypes.util.find_library("c") if sys.platform == "linux" else None
    return ctypes.CDLL(name, use_errno=True) if name else None


def release_mapped(file: Path) -> int:
    """Give back the resident pages of ``file`` that this process has mapped.

    Returns:
        Bytes of these mappings; 0 if nothing is mapped, or on systems other than Linux.
    """
    wanted = str(file.resolve())
    return sum(_released(mapping) for mapping in _mappings("maps") if mapping.file == wanted)


def release_code() -> int:
    """Give back the resident code and constants of shared libraries; what is used again is read from the page cache.

    Compiling a graph runs tens of megabytes of the engine's code that running it never touches.

    Returns:
        Bytes of the mappings concerned; 0 on other systems than Linux.
    """
    return sum(_released(mapping) for mapping in _mappings("smaps") if ".so" in Path(mapping.file).suffixes)


@dataclass(frozen=True)
class _Mapping:
    """A part of this process's address space.

    Attributes:
        first, last: addresses, the latter exclusive.
        permissions: such as ``r-xp``.
        file: what is mapped; empty for anonymous memory.
        modified: kilobytes of pages that differ from the file (relocations, breakpoints), in memory or swapped out;
            0 if ``maps`` was read, which does not tell.
    """

    first: int
    last: int
    permissions: str
    file: str
    modified: int


_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+ *(.*)")
_MODIFIED = re.compile(r"^(?:Anonymous|Swap): +(\d+) kB$", re.M)


def _mappings(source: str) -> Iterator[_Mapping]:
    """The mappings of this process, from Linux's ``maps`` or ``smaps`` (slower); none on other systems."""
    path = Path("/proc/self") / source
    if path.exists():
        for part in re.split(r"^(?=[0-9a-f]+-)", path.read_text(encoding="utf-8", errors="replace"), flags=re.M):
            if (found := _MAPPING.match(part)) is not None:
                first, last, permissions, file = found.groups()
                modified = sum(int(size) for size in _MODIFIED.findall(part))
                yield _Mapping(int(first, 16), int(last, 16), permissions, file, modified)


def _released(mapping: _Mapping) -> int:
    """Give back a mapping's pages, unless it may hold what its file does not: bytes of it, or 0."""
    libc, size = _c_library(), mapping.last - mapping.first
    if libc is None or "w" in mapping.permissions or mapping.modified:
        return 0
    return 0 if libc.madvise(ctypes.c_void_p(mapping.first), ctypes.c_size_t(size), _DONT_NEED) else size


_SMALL = 1 << 16
_PLAIN = {"f32", "f16", "i64", "i32"}


def keep_small_constants(model: ov.Model) -> None:
    """Copy a graph's small constants out of the mapped file, in place.

    On systems that cache files in large pages, reading a few kB of the file makes up to 4 MB around it resident: 50 MB
    for the norms of a 0.5 B model, measured.
    """
    for node in model.get_ops():
        if node.get_type_name() != "Constant" or node.get_element_type().get_type_name() not in _PLAIN:
            continue
        if node.get_byte_size() <= _SMALL:
            copy = ops.constant(node.data.copy())
            copy.set_friendly_name(node.get_friendly_name())
            node.output(0).replace(copy.output(0))


def trim() -> None:
    """Return freed memory that the C library holds to the system; does nothing without glibc."""
    libc = _c_library()
    if libc is not None and hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
