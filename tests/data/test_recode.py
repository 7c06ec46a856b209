"""Reading ReCode's released layout: by family, perturbation and seed."""

import gzip
import json
from dataclasses import asdict, replace

import pytest

from lilliput.data.humaneval import Problem
from lilliput.data.recode import FAMILIES, read_recode
from lilliput.errors import DataError
from lilliput.evaluate.perturb import PERTURBATIONS
from tests.conftest import shared_folder

REAL = shared_folder() / "data" / "recode" / "humaneval"

ONE = Problem("Test/0", "def one():\n", "one", "    return 1\n", "def check(candidate):\n    assert candidate() == 1\n")
TWO = replace(ONE, task_id="Test/1", canonical_solution="    return 1.0\n")
FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")


def row(problem, **more):
    values = asdict(problem)
    return json.dumps({**{name: values[name] for name in FIELDS}, **more}) + "\n"


def write(folder, name, *rows):
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(rows).encode()
    (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)


@pytest.fixture
def released(tmp_path):
    typed = replace(ONE, prompt="def noe():\n", entry_point="noe")
    write(tmp_path / "func_name", "humaneval_FuncRenameSwapChar_s0.jsonl", row(typed), row(TWO))
    write(tmp_path / "func_name", "humaneval_FuncRenameSwapChar_s10.jsonl.gz", row(ONE), row(TWO))
    write(tmp_path / "format", "humaneval_new_lines_s2.jsonl.gz", row(TWO, partial="def ..."))
    write(tmp_path / "format", "mbpp_new_lines_s3.jsonl", row(ONE))
    write(tmp_path / "format", "notes.txt", "nothing to read")
    return tmp_path


def test_files_are_found_by_name(released):
    found = read_recode(released)
    typed = replace(ONE, prompt="def noe():\n", entry_point="noe")
    assert found == {"FuncRenameSwapChar": {0: [typed, TWO], 10: [ONE, TWO]}, "new_lines": {2: [TWO]}}
    assert read_recode(released / "format") == {"new_lines": {2: [TWO]}}
    assert read_recode(released, "mbpp") == {"new_lines": {3: [ONE]}}


def test_wrong_line_is_named_with_its_file(released):
    write(released / "natgen", "humaneval_OperandSwap_s0.jsonl", row(ONE), row(replace(TWO, entry_point="a b")))
    with pytest.raises(DataError, match=r"natgen.humaneval_OperandSwap_s0\.jsonl, line 2: 'entry_point' is 'a b'"):
        read_recode(released)


def test_inconsistent_files_are_named(released):
    write(released / "func_name", "humaneval_FuncRenameSwapChar_s1.jsonl", row(TWO), row(ONE))
    with pytest.raises(DataError, match=r"SwapChar_s1\.jsonl: has other problems, or in another order, than"):
        read_recode(released)
    write(released / "func_name", "humaneval_FuncRenameSwapChar_s1.jsonl", row(ONE), row(TWO))
    write(released / "func_name", "humaneval_FuncRenameSwapChar_s1.jsonl.gz", row(ONE), row(TWO))
    with pytest.raises(DataError, match=r"SwapChar_s1\.jsonl\.gz: seed 1 of FuncRenameSwapChar exists twice"):
        read_recode(released)


def test_folder_without_such_files_is_named(released):
    with pytest.raises(DataError, match="is not a folder"):
        read_recode(released / "nowhere")
    with pytest.raises(DataError, match=r"holds no file called 'mbjp_PERTURBATION_s0\.jsonl'"):
        read_recode(released, "mbjp")


@pytest.mark.skipif(not REAL.is_dir(), reason="ReCode's files are not on this machine (LILLIPUT_SHARED)")
def test_released_files_match_the_perturbations():
    found = read_recode(REAL)
    ours = {item.released: item for item in PERTURBATIONS.values() if item.released}
    assert set(found) == {*ours, "BackTranslation"}
    for name, seeds in found.items():
        assert list(seeds) == list(range(5)) or list(seeds) == [0]
        assert {len(problems) for problems in seeds.values()} == {164}
        assert name not in ours or ours[name].deterministic == (list(seeds) == [0])
    assert {item.family for item in ours.values()} == set(FAMILIES.values())
