"""Ctrl-C: exit code 130, and one line that says whether the same command resumes."""

import gc
import os
import signal
import subprocess
import sys

import pytest

from lilliput import cli
from lilliput.cli.interrupts import not_lost


def interrupted(*arguments: object, cue: str = "", fifo: object = None) -> tuple[int, str]:
    """Exit code and standard error of a command that gets SIGINT at its line ``cue``, or when it opens ``fifo``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lilliput", *map(str, arguments)],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
    )
    assert process.stderr is not None
    if fifo is not None:
        writer = os.open(str(fifo), os.O_WRONLY)  # blocks until the command opens it for reading
    else:
        assert any(cue in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    if fifo is not None:
        os.close(writer)
    return process.returncode, rest


def test_resumable_verb_says_that_it_resumes(tmp_path, workshop):
    base = "scratch:layers=1,hidden=16,heads=1,intermediate=16,vocabulary=300"
    data = ("--task", "vulnerability", "--train", workshop / "train.jsonl", "--valid", workshop / "valid.jsonl")
    code, text = interrupted("finetune", base, *data, "--epochs", 100_000, "--out", tmp_path / "t", cue="tokenizing")
    assert code == 130
    assert text.splitlines()[-1] == "interrupted; run the same command again to resume"
    assert "Traceback" not in text


def test_other_verbs_do_not_say_so(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    code, text = interrupted("report", tmp_path / "a.json", fifo=tmp_path / "a.json")
    assert (code, text) == (130, "interrupted\n")


@pytest.mark.parametrize("verb", [*cli.RESUMABLE, *cli.RESUMABLE_WITH_OUT])
def test_resumable_verbs_exist(verb):
    from lilliput.cli.app import VERBS

    assert verb in {function.__name__ for function in VERBS}


@pytest.mark.parametrize(
    ("arguments", "goes_on"),
    [
        ("study model --out s", True),
        ("score --problems p --completions c --out o", True),
        ("robustness m --task clone --data d --out=o.json", True),
        ("evaluate m --task humaneval --data d", False),
        ("compare a b --out o.json", False),
    ],
)
def test_some_verbs_resume_only_with_out(arguments, goes_on, monkeypatch, capsys):
    def interrupted(**_):
        raise SystemExit(cli.INTERRUPTED)

    monkeypatch.setattr(sys, "argv", ["lilliput", *arguments.split()])
    monkeypatch.setattr("lilliput.cli.app.app", interrupted)
    with pytest.raises(SystemExit):
        cli.main()
    assert ("run the same command again" in capsys.readouterr().err) is goes_on


def test_interrupt_during_imports(monkeypatch, capsys):
    def imported(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["lilliput", "shrink"])
    monkeypatch.setattr("builtins.__import__", imported)
    with pytest.raises(SystemExit) as ending:
        cli.main()
    monkeypatch.undo()
    assert ending.value.code == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to resume\n"


LOST = """
import signal, sys, time, weakref
from lilliput import cli
from lilliput.cli.interrupts import not_lost
from lilliput.cli import app

class Thing:
    pass

def verb():
    thing = Thing()
    watch = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing  # an interrupt within the callback, as when a module's lock of the import system goes
    time.sleep(30)
    print("went on")

app.app = verb
sys.argv = ["lilliput", "robustness"]
cli.main()
"""


def test_interrupt_that_python_ignores_is_sent_again():
    run = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "interrupted\n")


IN_TEXT = """
import sys
from lilliput import cli
from lilliput.cli import app

app.app = lambda: exec("raise KeyboardInterrupt")
sys.argv = ["lilliput", "robustness"]
cli.main()
"""


def test_exit_code_while_running_code_compiled_from_a_string(tmp_path):
    (tmp_path / "in_text.py").write_text(IN_TEXT)
    argv, paths = [sys.executable, "-m", "in_text"], os.pathsep.join(filter(None, [*sys.path, str(tmp_path)]))
    environment = {**os.environ, "PYTHONPATH": paths}
    run = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (run.returncode, run.stderr) == (130, "interrupted\n")


def test_other_ignored_exceptions_are_reported_as_before(monkeypatch):
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: told.append(unraisable.exc_type))
    before = sys.unraisablehook
    with not_lost():

        class Thing:
            def __del__(self):
                raise ValueError

        Thing()
        gc.collect()
    assert told == [ValueError]
    assert sys.unraisablehook is before
