"""Releasing pages of mapped files."""

import ctypes
import mmap
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy import _core as numpy_core

from lilliput.runtime.pages import release_code, release_mapped

SIZE = 8 << 20


def resident(path):
    """Kilobytes of ``path`` resident in this process."""
    found, ours = 0, False
    with open("/proc/self/smaps", encoding="utf-8", errors="replace") as lines:  # noqa: PTH123
        for line in lines:
            if "-" in line.split(" ", 1)[0] and ":" in line.split(" ", 4)[3]:
                ours = line.rstrip().endswith(str(path))
            elif ours and line.startswith("Rss:"):
                found += int(line.split()[1])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports and releases pages")
def test_released_pages_are_read_again(tmp_path):
    path = tmp_path / "weights.bin"
    values = np.random.default_rng(0).integers(0, 256, SIZE, dtype=np.uint8)
    path.write_bytes(values.tobytes())
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
    view = np.frombuffer(mapped, np.uint8)
    assert view.sum() == values.sum()
    assert resident(path) >= SIZE // 1024
    assert release_mapped(path) == SIZE
    assert resident(path) < SIZE // 4096
    assert np.array_equal(view, values)


def test_releasing_an_unmapped_file_is_no_error(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"x")
    assert release_mapped(tmp_path / "weights.bin") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells and takes pages")
def test_code_is_given_back_and_runs_again():
    library = next(Path(numpy_core.__file__).parent.glob("_multiarray_umath*.so"))
    before = np.arange(12.0).reshape(3, 4) @ np.ones((4, 2))  # so that the library's code is resident
    resident_before = resident(library)
    assert release_code() > 0
    assert resident(library) < resident_before / 2
    assert np.array_equal(np.arange(12.0).reshape(3, 4) @ np.ones((4, 2)), before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells and takes pages")
def test_modified_pages_of_a_library_are_kept(tmp_path):
    """As relocations and breakpoints are: reading them again from the file would lose them."""
    path = tmp_path / "own.so"
    path.write_bytes(bytes(SIZE))
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
    mapped[:4] = b"mine"
    address = np.frombuffer(mapped, np.uint8).ctypes.data
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), SIZE, mmap.PROT_READ) == 0
    release_code()
    assert mapped[:4] == b"mine"
