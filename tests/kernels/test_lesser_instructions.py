"""The tests of the kernels, once more with each lesser instruction set that this processor has, too."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.kernels import build

HERE = Path(__file__).parent
FILES = ("test_kernel_products.py", "test_kernel_attention.py", "test_source_attention.py", "test_chain.py")
BEST = build.kernels()


@pytest.mark.skipif(BEST.library is None, reason=f"no kernels here: {BEST.about}")
@pytest.mark.parametrize(
    ("instructions", "needed", "without"),
    [
        ("avx512-vnni", "avx512_vnni", "-mno-amx-tile"),
        ("avx-vnni", "avx_vnni", "-mno-amx-tile -mno-avx512f"),
        ("avx2", "avx2", "-mno-amx-tile -mno-avx512f -mno-avxvnni"),
    ],
)
def test_kernels_with_lesser_instructions(instructions, needed, without, tmp_path):
    if needed not in build._processor().split():
        pytest.skip(f"this processor has no {needed}")
    if instructions == BEST.about:
        pytest.skip("the other tests use them")
    compiler = f"{shlex.join(build._compiler())} {without}"
    environment = os.environ | {"CXX": compiler, "LILLIPUT_CACHE": str(tmp_path)}
    about = "from lilliput.kernels.build import kernels; print(kernels().about)"
    assert output([sys.executable, "-c", about], environment).strip() == instructions
    files = [str(HERE / name) for name in FILES]
    chosen = ["-k", "not a_token_s_logits"]  # whole models take long, and add no instruction
    assert " passed" in output(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen, *files], environment
    )


def output(command, environment):
    """What a command prints; that it succeeds is asserted."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=HERE.parents[1], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
