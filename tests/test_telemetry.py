"""Nothing is sent to anybody: OpenVINO's reports on who imports it are off wherever lilliput is imported first."""

import os
import subprocess
import sys

CODE = """
import multiprocessing, sys
import lilliput
print(lilliput.load("clone").predict([("int f() { return 1; }", "int g() { return 1; }")])[0].label)
assert "openvino" in sys.modules and sys.modules["openvino_telemetry"] is None
assert not multiprocessing.active_children()
"""


def test_the_engine_does_not_report(tmp_path):
    homeless = {**os.environ, "HOME": str(tmp_path), "LILLIPUT_CACHE": str(tmp_path / "cache")}
    homeless.pop("CI", None)  # where it would not report either
    run = subprocess.run([sys.executable, "-c", CODE], env=homeless, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert not (tmp_path / "intel").exists()  # where it counts its reports, and keeps a number for this user
