"""``import lilliput``: nobody is told of it."""

import importlib.util
import os
import subprocess
import sys

import pytest

ENGINE = """
import multiprocessing, sys
multiprocessing.Process.start = lambda self: print("sends")
import lilliput
import lilliput.runtime.engine
print(sys.modules["openvino"].__version__)
"""


@pytest.mark.skipif(importlib.util.find_spec("openvino_telemetry") is None, reason="the engine has no such package")
def test_the_engine_tells_its_makers_nothing(tmp_path):
    """Else it keeps an id in the home folder, and sends it from a process of its own, at every start."""
    env = {**os.environ, "HOME": str(tmp_path)}
    env = {name: value for name, value in env.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    done = subprocess.run([sys.executable, "-c", ENGINE], env=env, capture_output=True, text=True, check=True)
    assert done.stdout[:2] == "20" and "sends" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_who_has_that_package_keeps_it():
    code = (
        "import sys; sys.modules['openvino_telemetry'] = sys; import lilliput; print(sys.modules['openvino_telemetry'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "<module 'sys' (built-in)>\n"
