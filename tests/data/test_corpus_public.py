"""The corpus through its public interface: built, scored with a trivial baseline, written, and read back."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

import lilliput.data.corpus as corpus_module
from lilliput.data.clones import read_clones
from lilliput.data.corpus import CloneCorpus, clone_corpus, write_clone_corpus
from lilliput.data.corpus.harvest import harvest
from lilliput.errors import UserError
from lilliput.evaluate.baselines import token_overlap
from lilliput.progress import LogProgress

SIZES = {"train": 900, "valid": 60, "test": 400}


@pytest.fixture(scope="module")
def corpus() -> CloneCorpus:
    return clone_corpus(3, *SIZES.values())


def test_sizes_balance_and_names(corpus: CloneCorpus) -> None:
    assert {name: len(part) for name, part in corpus.parts().items()} == SIZES
    for part in corpus.parts().values():
        assert part.labels.mean() == 0.5
        assert part.label_names == ("different", "clone")
        assert part.arity == 2


def test_no_source_file_or_function_is_in_two_parts(corpus: CloneCorpus) -> None:
    parts = list(corpus.parts().values())
    for i, one in enumerate(parts):
        for other in parts[:i]:
            assert not set(one.sources) & set(other.sources)
            assert not set(one.texts) & set(other.texts)
    assert all(source.endswith(".py") and not Path(source).is_absolute() for part in parts for source in part.sources)


def test_token_overlap_alone_does_not_solve_it(corpus: CloneCorpus) -> None:
    """At the default sizes and seed, F1 is 0.83; these sets are smaller, so the range is wider."""
    scores = token_overlap(corpus.train, corpus.test).scores
    assert 0.6 < scores.f1 < 0.9
    assert scores.accuracy < 0.9


def test_corpus_survives_writing_and_reading(corpus: CloneCorpus, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "clones"
    write_clone_corpus(corpus, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["data.jsonl", "test.txt", "train.txt", "valid.txt"]
    rows = [json.loads(line) for line in (folder / "data.jsonl").read_text("utf-8").splitlines()]
    assert [row["idx"] for row in rows] == [str(i) for i in range(len(rows))]
    assert len({row["func"] for row in rows}) == len(rows)
    for name, part in corpus.parts().items():
        again = read_clones([folder / f"{name}.txt"])
        assert again.label_names == part.label_names
        assert np.array_equal(again.labels, part.labels)
        pairs = [[data.texts[i] for i in row] for data in (again, part) for row in data.members]
        assert pairs[: len(part)] == pairs[len(part) :]
    write_clone_corpus(corpus, folder)  # overwrite its own files


def test_other_files_are_not_overwritten(corpus: CloneCorpus, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="already exists and holds more than a corpus"):
        write_clone_corpus(corpus, tmp_path)
    with pytest.raises(UserError, match="already exists"):
        write_clone_corpus(corpus, tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("sizes", [{"train": 3}, {"valid": 0}, {"test": -5}])
def test_rejects_too_small_sizes(sizes: dict[str, int]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(sizes))}=.* is too small for a set of pairs. Ask for at least 4"):
        clone_corpus(**sizes)


def test_rejects_a_python_without_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "harvest", lambda progress: [])
    with pytest.raises(UserError, match=r"without its sources \(.py files\). Use a Python installed"):
        clone_corpus()


def test_corpus_is_the_same_in_every_process_and_for_every_hash_seed() -> None:
    program = (
        "import sysconfig; from pathlib import Path; from random import Random\n"
        "from lilliput.data.corpus.harvest import harvest; from lilliput.data.corpus.pairs import make_pairs\n"
        "functions = harvest(Path(sysconfig.get_path('stdlib'), 'asyncio'))\n"
        "print(make_pairs(functions, 300, Random(0)).sha256)"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1]
    assert len(printed[0].strip()) == 64


def test_progress_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(sysconfig.get_path("stdlib"), "asyncio")
    monkeypatch.setattr(corpus_module, "harvest", lambda progress: harvest(folder, progress))
    clone_corpus(0, 4, 4, 4, LogProgress())
    reported = capsys.readouterr().err
    assert "reading the standard library: done" in reported
    assert "rewriting and pairing functions: done" in reported
