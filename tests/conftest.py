"""Shared test helpers: synthetic functions with a learnable label, and a tiny teacher trained on them."""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # with two threads each, parallel workers would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

os.environ.pop("COLUMNS", None)  # the workers' idea of this terminal's width: output is as long as in a pipe

SCRATCH = "scratch:layers=1,hidden=32,heads=2,intermediate=64,vocabulary=400"


def shared_folder() -> Path:
    """The folder of real data sets and checkpoints, on machines that have them."""
    named = os.environ.get("LILLIPUT_SHARED")
    return Path(named) if named else Path(__file__).parents[2] / "shared"


def c_function(generator: random.Random, vulnerable: bool) -> str:
    """A synthetic C function; vulnerable ones copy without a length."""
    name = generator.choice(["buf", "ptr", "dst", "name"])
    copy = f"strcpy({name}, src);" if vulnerable else f"strncpy({name}, src, len);"
    return (
        f"static int func_{generator.randrange(99)}(char *{name}, int len)\n"
        f"{{\n    int i = {generator.randrange(9)};\n    {copy}\n    return i + {generator.randrange(99)};\n}}\n"
    )


def write_functions(path: Path, count: int, seed: int) -> Path:
    """Write a Devign-like JSONL file."""
    generator = random.Random(seed)
    with path.open("w") as stream:
        for row in range(count):
            example = {"func": c_function(generator, row % 2 == 1), "target": row % 2}
            stream.write(json.dumps(example) + "\n")
    return path


def write_pairs(folder: Path, count: int, seed: int) -> Path:
    """Write a CodeXGLUE-like pair list with its function table; clones are both vulnerable or both safe."""
    generator = random.Random(seed)
    kinds = [row % 2 == 1 for row in range(40)]
    with (folder / "data.jsonl").open("w") as stream:
        for row, kind in enumerate(kinds):
            stream.write(json.dumps({"idx": str(row), "func": c_function(generator, kind)}) + "\n")
    path = folder / f"pairs{seed}.txt"
    with path.open("w") as stream:
        for row in range(count):
            one, other = generator.sample(range(len(kinds)), 2)
            if (kinds[one] == kinds[other]) != (row % 2 == 1):
                other = next(k for k in range(len(kinds)) if k != one and (kinds[one] == kinds[k]) == (row % 2 == 1))
            stream.write(f"{one}\t{other}\t{row % 2}\n")
    return path


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """A folder with ``train.jsonl``, ``valid.jsonl``, and a teacher ``teacher`` fine-tuned on them."""
    from lilliput.verbs.finetune import finetune

    folder = tmp_path_factory.mktemp("workshop")
    train, valid = write_functions(folder / "train.jsonl", 120, 0), write_functions(folder / "valid.jsonl", 60, 1)
    how = {"epochs": 4, "learning_rate": 5e-3, "max_tokens": 64}
    finetune(SCRATCH, "vulnerability", [train], [valid], folder / "teacher", **how)
    return folder


@pytest.fixture(scope="session")
def small(workshop):
    """An artifact made in the workshop."""
    from lilliput.verbs.shrink import ShrinkSettings, shrink

    settings = ShrinkSettings(candidates=2, epochs=6, max_tokens=64, learning_rate=3e-3, largest_vocabulary=1000)
    files = {"train": [workshop / "train.jsonl"], "valid": [workshop / "valid.jsonl"]}
    shrink(
        workshop / "teacher",
        "vulnerability",
        **files,
        out=workshop / "small",
        size=150_000,
        latency_ms=None,
        settings=settings,
    )
    return workshop / "small"


@pytest.fixture
def lilliput(monkeypatch, capfd):
    """Run the command in this process and return exit code, standard output and standard error."""
    from lilliput import cli

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lilliput", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ending:
            cli.main()
        return ending.value.code or 0, *capfd.readouterr()

    return run
