"""Releasing pages of mapped files."""

import mmap
import sys

import numpy as np
import pytest

from lilliput.runtime.pages import release_mapped

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
