"""The commands in docs/accuracy.md work."""

import shlex
import sys

import pytest

from lilliput.evaluate import sandbox
from lilliput.verbs.quantize import quantize
from tests.data.test_problems import HUMANEVAL, MBPP, write
from tests.docs.test_documents import blocks, commands, run
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint

PAGE = "docs/accuracy.md"


@pytest.fixture(scope="module")
def generator_desk(tmp_path_factory):
    """A folder with a generator's checkpoint, its artifact, problems and completions."""
    folder = tmp_path_factory.mktemp("generator_desk")
    kind, options = LLAMA
    checkpoint(folder / "my-model", kind, {**options, "max_position_embeddings": 512})
    quantize(folder / "my-model", folder / "out/coder")
    write(folder / "HumanEval.jsonl", HUMANEVAL)
    write(folder / "mbpp.jsonl", MBPP, {**MBPP, "task_id": 8})
    write(folder / "completions.jsonl", {"task_id": "Test/0", "completion": "    return 2 * n\n"})
    write(folder / "samples.jsonl", *[{"task_id": 7, "completion": "def double(n): return n"}] * 10)
    return folder


def test_document_has_commands():
    assert len(commands(PAGE)) >= 4


@pytest.mark.skipif(not sandbox.protections().files, reason="the kernel grants no isolation, and the page has none")
@pytest.mark.parametrize("command", commands(PAGE))
def test_commands_of_the_document_run(command, generator_desk):
    program, *arguments = shlex.split(command)
    assert program == "lilliput"
    assert "pass@1" in run([sys.executable, "-m", "lilliput", *arguments], generator_desk).stdout


@pytest.mark.skipif(not sandbox.protections().files, reason="the kernel grants no isolation, and the page has none")
def test_python_of_the_document_runs(generator_desk):
    for block in blocks(PAGE, "python"):
        assert run([sys.executable, "-c", block], generator_desk).stdout.startswith("1.0 {'pass@1': [")
