"""Copy a trained artifact into the package, and its figures into docs/models.md.

Run: python benchmarks/ship.py NAME FOLDER [--valid FILE ...]
     python benchmarks/ship.py --page

NAME is the name of a shipped model (see src/lilliput/shipped.py), FOLDER an artifact of its task. The artifact is
verified, local paths are removed from its metadata, and its card is rewritten with license and terms. It is refused if
it would take more than 3,000,000 bytes, including the card. Graph and tokenizer are copied unchanged.

--valid measures the artifact again on validation data: for artifacts made before evidence had precision and recall at
several thresholds, and to make sure that the figures are those of the shipped file. --page only rewrites the document's
tables.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lilliput.artifact import CARD, EVIDENCE, GRAPH, TOKENIZER, Artifact, open_artifact, save
from lilliput.errors import UserError
from lilliput.evaluate.classification import score
from lilliput.progress import for_stream
from lilliput.report import percent
from lilliput.report.card import model_card, operating_table
from lilliput.report.card_facts import card_facts
from lilliput.runtime.classifier import Classifier
from lilliput.shipped import SHIPPED, folder_of
from lilliput.tasks import task_named
from lilliput.verbs.shrink import validation_evidence

LARGEST = 3_000_000
"""Maximum bytes of one model, all files included."""

LICENSE = "apache-2.0"

PAGE = Path(__file__).parents[1] / "docs" / "models.md"


@dataclass(frozen=True)
class Data:
    """A model's training data.

    Attributes:
        name: name and source.
        terms: terms of distribution.
        limits: known limits of models trained on it.
    """

    name: str
    terms: str
    limits: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """Sentences for the card."""
        return (
            "Trained by the lilliput project, which gives it under the Apache License 2.0.",
            f"Training data: {self.name}, {self.terms}. This folder holds none of it, but for the words, frequent "
            "there, that make up the tokenizer's vocabulary.",
        )


_CUDA = "distributed with CodeXGLUE under the Computational Use of Data Agreement (C-UDA)"
DATA = {
    "vulnerability": Data(
        "Devign (Zhou et al., NeurIPS 2019), functions of FFmpeg and QEMU",
        _CUDA,
        (
            "In its data 2.7 % of the functions lack their last lines, nearly all of them vulnerable, and the model "
            "has noticed. Of the 2,658 functions of validation data that are whole it gets 64.9 % right "
            "(docs/research/vulnerability.md).",
        ),
    ),
    "clone": Data(
        "BigCloneBench (Svajlenko et al., ICSME 2014), methods of Java projects",
        _CUDA,
        (
            "It recognizes functionalities it was trained on (copying files, hashing, sorting and the like), and does "
            "not tell clones as such: with one functionality left out of training, models of the same recipe were no "
            "better there than answering 'different' always (docs/research/clone.md).",
        ),
    ),
    "clone-python": Data(
        "functions of Python's standard library, and rewrites of them that lilliput made",
        "under the Python Software Foundation License",
        (
            "It knows the rewrites it was trained on, and reads which tokens are there, not their order: 'a - b' and "
            "'b - a' are the same to it. Of thirteen pairs of small functions tried by hand it told seven "
            "rightly, and called four clones that differ in an operator, a number or a name (docs/research/clone.md).",
        ),
    ),
}
"""Name -> training data."""

_PATH = re.compile(r"(?:(?<=[\s='\"(,:])|(?<=^))(?:~[\w.-]*|[A-Za-z]:)?[/\\](?:[^\s/\\'\",]+[/\\])*(?=[^\s/\\])")
"""Matches the folders of an absolute path."""


def without_paths(value: Any) -> Any:
    """Return the JSON ``value`` with absolute paths cut to their last part."""
    if isinstance(value, str):
        return _PATH.sub("", value)
    if isinstance(value, Mapping):
        return {name: without_paths(item) for name, item in value.items()}
    return [without_paths(item) for item in value] if isinstance(value, list) else value


def measured(artifact: Artifact, files: Sequence[Path]) -> dict[str, Any]:
    """Compute the evidence's validation figures on ``files``."""
    manifest = artifact.classifier
    task = task_named(manifest.task)
    data = task.read(files, None, manifest.labels)
    logits = Classifier(artifact, 1).logits(data, for_stream())
    scores = score(data.labels, logits.argmax(axis=1), len(manifest.labels), task.positive)
    return validation_evidence(scores, logits, data.labels, task.positive)


def ship(name: str, folder: Path, target: Path, valid: Sequence[Path] = ()) -> Artifact:
    """Write the artifact in ``folder`` to ``target`` as the shipped model ``name``.

    Raises:
        UserError: The artifact is of another task, damaged, too large, or lacks figures at thresholds.
    """
    artifact = open_artifact(folder)
    manifest = replace(artifact.classifier, provenance=without_paths(dict(artifact.classifier.provenance)))
    if manifest.task != SHIPPED[name].task:
        raise UserError(f"is of task '{manifest.task}', and '{name}' is not.", where=folder, remedy="Give another.")
    evidence = without_paths(artifact.evidence())
    if valid:
        evidence["valid"] = measured(artifact, valid)
    if "operating_points" not in evidence.get("valid", {}):
        raise UserError("has no figures at thresholds.", where=folder / EVIDENCE, remedy="Measure them: --valid FILE.")
    graph, tokenizer = artifact.file(GRAPH), artifact.file(TOKENIZER)
    sizes = {GRAPH: graph.stat().st_size, TOKENIZER: tokenizer.stat().st_size}
    facts = card_facts(
        name,
        manifest,
        evidence,
        sizes,
        address=name,
        license=LICENSE,
        terms=DATA[name].sentences(),
        limits=DATA[name].limits,
    )
    files = {
        GRAPH: graph.read_bytes(),  # copied, not linked, so that the package shares no file
        TOKENIZER: tokenizer.read_bytes(),
        CARD: model_card(facts).encode(),
        EVIDENCE: json.dumps(evidence, separators=(",", ":")).encode(),
    }
    with tempfile.TemporaryDirectory() as scratch:
        total = save(Path(scratch) / name, manifest, files).bytes().total
    if total > LARGEST:
        raise UserError(f"takes {total:,} bytes; {LARGEST:,} are allowed.", where=folder, remedy="Make a smaller one.")
    return save(target, manifest, files)


def figures() -> str:
    """Render the tables of docs/models.md from the evidence of the models in the package."""
    shipped = {name: open_artifact(folder_of(name)) for name in SHIPPED}
    lines = [
        "| model | takes | bytes | longest input | accuracy | F1 | MCC | n |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
        *(_row(name, artifact) for name, artifact in shipped.items()),
    ]
    for name, artifact in shipped.items():
        found, label = artifact.evidence()["valid"]["operating_points"], artifact.classifier.labels[1]
        lines += [
            "",
            f"`{name}`, on {found['n']:,} examples of validation data, {found['positives']:,} of them *{label}*:",
            "",
            operating_table(found, label),
        ]
    return "\n".join(lines)


def _row(name: str, artifact: Artifact) -> str:
    manifest, valid = artifact.classifier, artifact.evidence()["valid"]
    takes = f"{SHIPPED[name].language}, {'two functions' if manifest.config.arity == 2 else 'one function'}"
    low, high = valid["intervals"]["f1"]
    cells = [
        f"`{name}`",
        takes,
        f"{artifact.bytes().total:,}",
        f"{manifest.max_tokens} tokens",
        _share([valid["accuracy"], *valid["intervals"]["accuracy"]]),
        _share([valid["f1"], low, high]),
        f"{valid['mcc']:.3f}",
        f"{valid['n']:,}",
    ]
    return f"| {' | '.join(cells)} |"


def _share(values: Sequence[float]) -> str:
    return "{} % [{}, {}]".format(*map(percent, values))


BEGIN, END = "<!-- figures: benchmarks/ship.py --page -->", "<!-- end of figures -->"


def with_figures(page: str) -> str:
    """Return ``page`` with its tables rewritten."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n{figures()}\n\n{END}{rest.split(END)[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=SHIPPED, nargs="?")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--valid", type=Path, nargs="+", default=())
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    if options.folder is not None:
        try:
            made = ship(options.name, options.folder, folder_of(options.name), options.valid)
        except UserError as error:
            parser.error(str(error))
        print(f"{made.path}: {made.bytes().total:,} bytes")
    elif not options.page:
        parser.error("give a name and a folder, or --page")
    if all(folder_of(name).is_dir() for name in SHIPPED):
        PAGE.write_text(with_figures(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"wrote {PAGE.name}")


if __name__ == "__main__":
    main()
