"""The kernels' worker threads, also in a forked process."""

import subprocess
import sys

import pytest

from lilliput.kernels.build import kernels

pytestmark = pytest.mark.skipif(kernels().library is None, reason=f"no kernels here: {kernels().about}")

FORKING = """
import os
import numpy as np
from lilliput.kernels.build import kernels
from lilliput.kernels.library import Layout
from openvino import Type, opset13 as ops

library = kernels().library
rows, columns = 64, 32


def product():
    codes, scales = np.ones((rows, columns), np.uint8), np.ones((rows, 1), np.float16)
    number = library.packed(Layout(rows, columns, columns, 8, 0, 0, 0), codes, scales, None, True, 2)
    return library.products(ops.parameter([1, columns], Type.f32).output(0), [number], 2)


kept = product()  # and with it the threads
child = os.fork()
if child == 0:
    product()  # alone
    del kept  # and with it what there was of the threads
    product()  # with threads of its own
    print("done", flush=True)
    os._exit(0)
print("child", os.waitpid(child, 0)[1])
del kept
"""


def test_forked_child_runs_kernels_and_exits():
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split("\n")[:2] == ["done", "child 0"], done.stderr
    assert done.returncode == 0
