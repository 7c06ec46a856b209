"""Every command and every Python block in the README and docs/ is run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lilliput.grams import Grams
from lilliput.verbs.demo import DemoSettings, demo
from lilliput.verbs.quantize import quantize
from tests.data.test_problems import HUMANEVAL
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint

ROOT = Path(__file__).parents[2]
TINY = DemoSettings(
    train=48,
    valid=24,
    test=40,
    teacher="scratch:layers=1,hidden=32,heads=2,intermediate=64,vocabulary=400",
    teacher_epochs=1,
    student_epochs=1,
    candidates=2,
    grams=Grams(order=2, bits=6, width=16, scale="norm"),
    size=200_000,
    latency_ms=None,
    max_tokens=64,
)


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


def commands(document: str) -> list[str]:
    lines = [line for block in blocks(document, "console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ lilliput ")]


@pytest.fixture(scope="module")
def desk(tmp_path_factory, small):
    """A folder with a generator's checkpoint and a finished tiny demo, as the README's commands expect."""
    folder = tmp_path_factory.mktemp("desk")
    result = demo(folder / "out" / "demo", TINY, command="lilliput demo")
    assert result.student.bytes["total"] <= TINY.size
    for file in (folder / "out/demo/data").iterdir():
        shutil.copy(file, folder)
    kind, options = LLAMA
    checkpoint(folder / "my-model", kind, {**options, "max_position_embeddings": 512})
    quantize(folder / "my-model", folder / "out/coder")
    (folder / "HumanEval.jsonl").write_text(json.dumps(HUMANEVAL) + "\n")
    (folder / "FILE.c").write_text("int f(char *p)\n{\n    return *p;\n}\n")
    for name in ("A", "B"):
        (folder / f"{name}.java").write_text(f"class {name} {{\n    int f(int a) {{ return a + 1; }}\n}}\n")
    (folder / "ONE.py").write_text("def f(a):\n    return a + 1\n")
    (folder / "OTHER.py").write_text("def g(x):\n    y = 1 + x\n    return y\n")
    return folder


def run(argv: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    everybody = folder.parents[1] if "PYTEST_XDIST_WORKER" in os.environ else folder.parent
    # Shared by all workers of this test run: kernels are compiled and this machine is measured only once.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LILLIPUT_CACHE": str(everybody / "cache")}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_demo_makes_what_it_says(desk):
    made = {path.name for path in (desk / "out/demo").iterdir()}
    assert made >= {"data", "teacher", "student", "report.html", "teacher.evaluation.json", "student.evaluation.json"}
    page = (desk / "out/demo/report.html").read_text()
    assert "<svg" in page
    assert "student" in page


def test_readme_has_commands():
    assert len(commands("README.md")) >= 6


@pytest.mark.parametrize("command", commands("README.md"))
def test_commands_of_the_readme_run(command, desk):
    program, *arguments = shlex.split(command)
    assert program == "lilliput"
    run([sys.executable, "-m", "lilliput", *arguments], desk)


@pytest.mark.parametrize("index", range(len(blocks("README.md", "python"))))
def test_python_of_the_readme_runs(index, desk):
    assert run([sys.executable, "-c", blocks("README.md", "python")[index]], desk).stdout


def test_python_of_the_artifact_document_runs(small):
    for block in blocks("docs/artifact.md", "python"):
        assert "[[" in run([sys.executable, "-c", block], small.parent).stdout


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200
