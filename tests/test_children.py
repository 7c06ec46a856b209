"""Child processes run this package, whatever is in the folder that they start in."""

import re
import subprocess
from pathlib import Path

import pytest

import lilliput
from lilliput.children import python_module
from lilliput.study.executors import LocalProcesses

HOSTILE = ("json", "numpy", "pickle", "lilliput")


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """The current folder, with modules that leave a trace if they are run."""
    for name in HOSTILE:
        trace = tmp_path / f"{name} was run"
        (tmp_path / f"{name}.py").write_text(f"from pathlib import Path\nPath({str(trace)!r}).touch()\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("module", ["lilliput.verbs.evaluate.footprint", "lilliput.verbs.compare.child"])
def test_modules_of_the_current_folder_are_not_run(hostile, module):
    done = subprocess.run(python_module(module, "absent.json"), capture_output=True, text=True, check=False)
    assert "absent.json" in done.stderr  # it got as far as its own work
    assert sorted(path.name for path in hostile.iterdir()) == sorted(f"{name}.py" for name in HOSTILE)


def test_jobs_do_not_run_modules_of_the_current_folder(hostile):
    assert dict(LocalProcesses().map(abs, [-3])) == {0: 3}
    assert len(list(hostile.iterdir())) == len(HOSTILE)


def test_all_children_are_started_through_python_module():
    package = Path(lilliput.__file__).parent
    files = {path: path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    starting = {path.name for path, text in files.items() if re.search(r'sys\.executable,[^\]]*"-m"', text)}
    assert starting == {"children.py"}
    assert sum("python_module(" in text for text in files.values()) == 6
