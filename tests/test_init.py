"""``import lilliput`` turns off the engine's telemetry."""

import os
import subprocess
import sys

ENGINE = """
import multiprocessing, sys
import lilliput
print(lilliput.load("clone").predict([("int f() { return 1; }", "int g() { return 1; }")])[0].label)
assert "openvino" in sys.modules and sys.modules["openvino_telemetry"] is None
assert not multiprocessing.active_children()
"""


def test_engine_sends_no_telemetry(tmp_path):
    """Otherwise it stores an id for the user in the home folder and sends it from a separate process."""
    homeless = {**os.environ, "HOME": str(tmp_path), "LILLIPUT_CACHE": str(tmp_path / "cache")}
    for name in ("CI", "TF_BUILD", "JENKINS_URL"):  # with these, it would not report anyway
        homeless.pop(name, None)
    run = subprocess.run([sys.executable, "-c", ENGINE], env=homeless, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert not (tmp_path / "intel").exists()


def test_loaded_telemetry_package_is_kept():
    code = (
        "import sys; sys.modules['openvino_telemetry'] = sys; import lilliput; print(sys.modules['openvino_telemetry'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "<module 'sys' (built-in)>\n"
