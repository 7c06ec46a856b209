"""A clone-detection corpus made from Python's own standard library: no network, no data set shipped.

Functions are harvested (:mod:`~lilliput.data.corpus.harvest`), rewritten without changing what they do
(:mod:`~lilliput.data.corpus.rewrites`), and paired with rewrites of themselves and of functions that look much like
them (:mod:`~lilliput.data.corpus.pairs`). The result depends on the Python version and on the seed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

from lilliput.data.corpus.harvest import harvest
from lilliput.data.corpus.pairs import make_pairs, split_by_file
from lilliput.data.dataset import Dataset
from lilliput.errors import UserError
from lilliput.files import atomic_folder, write_text
from lilliput.progress import Progress

__all__ = ["CloneCorpus", "clone_corpus", "write_clone_corpus"]

SHARES = (0.8, 0.1, 0.1)
"""Shares of the functions for training, validation and test; all functions of a file go to the same one."""


@dataclass(frozen=True)
class CloneCorpus:
    """Pairs of functions, labelled ``different`` or ``clone``, half and half.

    No two of the three share a source file of the standard library.
    """

    train: Dataset
    valid: Dataset
    test: Dataset

    def parts(self) -> dict[str, Dataset]:
        """The three by name."""
        return {"train": self.train, "valid": self.valid, "test": self.test}


def clone_corpus(
    seed: int = 0, train: int = 6000, valid: int = 600, test: int = 1200, progress: Progress | None = None
) -> CloneCorpus:
    """Make the corpus; about 12 s on one core at the default sizes.

    Args:
        seed: determines everything that the Python version does not.
        train: pairs to train on.
        valid: pairs to choose models by.
        test: pairs to measure on.
        progress: shown while working.

    Raises:
        UserError: a size is below 4, or the standard library's sources are missing, or too few for the sizes.
    """
    progress = progress or Progress()
    sizes = {"train": train, "valid": valid, "test": test}
    for name, size in sizes.items():
        if size < 4:
            raise UserError(f"{name}={size} is too small for a set of pairs.", remedy="Ask for at least 4.")
    functions = harvest(progress=progress)
    if not functions:
        raise UserError(
            "Python's standard library is installed without its sources (.py files).",
            remedy="Use a Python installed in the usual way, or bring your own pairs.",
        )
    parts = split_by_file(functions, SHARES, Random(f"split {seed}"))
    made = {}
    with progress.track("rewriting and pairing functions", sum(sizes.values())) as advance:
        for (name, size), part in zip(sizes.items(), parts, strict=True):
            made[name] = make_pairs(part, size, Random(f"{name} {seed}"), advance)
    return CloneCorpus(**made)


def write_clone_corpus(corpus: CloneCorpus, folder: Path) -> None:
    """Write ``corpus`` in CodeXGLUE's form: ``data.jsonl`` and the lists ``train.txt``, ``valid.txt``, ``test.txt``.

    ``data.jsonl`` has a line ``{"idx": ..., "func": ...}`` for each distinct function; a list has a line
    ``idx1 <tab> idx2 <tab> label`` for each pair, where 1 is a clone. The folder is written atomically, and replaces a
    corpus written there before.

    Raises:
        UserError: ``folder`` holds anything else, or cannot be written.
    """
    folder = Path(folder)
    lists = {f"{name}.txt": dataset for name, dataset in corpus.parts().items()}
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= {"data.jsonl", *lists}):
        raise UserError("already exists and holds more than a corpus.", where=folder, remedy="Choose another.")
    ids: dict[str, str] = {}
    for dataset in lists.values():
        for text in dataset.texts:
            ids.setdefault(text, str(len(ids)))
    with atomic_folder(folder) as temporary:
        rows = (json.dumps({"idx": name, "func": text}, ensure_ascii=False) for text, name in ids.items())
        write_text(temporary / "data.jsonl", "".join(row + "\n" for row in rows))
        for name, dataset in lists.items():
            pairs = zip(dataset.members, dataset.labels, strict=True)
            lines = [f"{ids[dataset.texts[a]]}\t{ids[dataset.texts[b]]}\t{label}\n" for (a, b), label in pairs]
            write_text(temporary / name, "".join(lines))
