"""The artifact: one folder that holds a small model and everything needed to run and verify it.

Files: ``manifest.json`` (description, provenance, and the SHA-256 of every other file), ``tokenizer.json``,
``README.md`` (the model card), ``evidence.json`` (how the model was chosen and scored), and the model: a classifier's
``model.onnx``, or a generator's graphs ``model.xml`` and ``encoder.xml`` with their weights in ``model.bin``.
No file is executed, and none is read before its hash is checked.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import index
from pathlib import Path
from typing import Any

from lilliput.constants import LARGEST
from lilliput.encoder import EncoderConfig
from lilliput.errors import ArtifactError, is_plain
from lilliput.files import atomic_folder, explain_disk_errors, read_json, require_place, sha256_of, write_json
from lilliput.generator_manifest import KIND, SEQ2SEQ, GeneratorManifest
from lilliput.shipped import NAMES, folder_named
from lilliput.version import VERSION

SCHEMA = 2
"""Manifest version that this code writes, and the latest it reads; version 1 covered only classifiers."""

MANIFEST, TOKENIZER, CARD, EVIDENCE = "manifest.json", "tokenizer.json", "README.md", "evidence.json"
GRAPH = "model.onnx"

DECODER_GRAPH, ENCODER_GRAPH, WEIGHTS = "model.xml", "encoder.xml", "model.bin"
"""Files of a generator; both graphs keep their weights in the one file."""

CLASSIFIER, GENERATOR = "classifier", KIND
REQUIRED = {CLASSIFIER: (GRAPH, TOKENIZER), GENERATOR: (DECODER_GRAPH, WEIGHTS, TOKENIZER)}
"""Kind of model -> files without which it cannot run."""

_MAKERS = {CLASSIFIER: "'lilliput shrink'", GENERATOR: "'lilliput quantize'"}


def _again(*kinds: str) -> str:
    """The remedy for a damaged artifact of one of ``kinds``; of any kind if none is given."""
    makers = " or ".join(_MAKERS[kind] for kind in kinds or _MAKERS)
    return f"Get the artifact again from its source, or remake it with {makers}."


@dataclass(frozen=True)
class Manifest:
    """A classifier's manifest.

    Attributes:
        task: name of the task.
        labels: class names, in the order of the logits.
        config: the encoder's sizes and options.
        precision: how weights are stored (``fp32``, ``int8``, ``int4``).
        max_tokens: longest input, special tokens included; longer inputs are truncated on the right.
        provenance: teacher, data hashes, seed, command, versions, date.
    """

    task: str
    labels: tuple[str, ...]
    config: EncoderConfig
    precision: str
    max_tokens: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the schema and the table of files."""
        return {
            "kind": CLASSIFIER,
            "lilliput": VERSION,
            "task": self.task,
            "labels": list(self.labels),
            "precision": self.precision,
            "max_tokens": self.max_tokens,
            "config": self.config.as_dict(),
            "provenance": dict(self.provenance),
        }


@dataclass(frozen=True)
class ArtifactBytes:
    """Bytes on disk by part; ``other`` is the card and the evidence."""

    weights: int
    tokenizer: int
    manifest: int
    other: int

    @property
    def total(self) -> int:
        """All files."""
        return self.weights + self.tokenizer + self.manifest + self.other

    def as_dict(self) -> dict[str, int]:
        """The ``bytes`` object of the JSON contract."""
        parts = {"weights": self.weights, "tokenizer": self.tokenizer, "manifest": self.manifest, "other": self.other}
        return {"total": self.total, **parts}


@dataclass(frozen=True)
class Artifact:
    """An opened and verified artifact."""

    path: Path
    manifest: Manifest | GeneratorManifest
    hashes: Mapping[str, str]

    @property
    def classifier(self) -> Manifest:
        """The classifier's manifest.

        Raises:
            ArtifactError: the artifact is a generator.
        """
        if isinstance(self.manifest, Manifest):
            return self.manifest
        raise ArtifactError(
            "is a generator, not a classifier.", where=self.path, remedy="Use 'lilliput complete' with it."
        )

    @property
    def generator(self) -> GeneratorManifest:
        """The generator's manifest.

        Raises:
            ArtifactError: the artifact is a classifier.
        """
        if isinstance(self.manifest, GeneratorManifest):
            return self.manifest
        raise ArtifactError(
            "is a classifier, not a generator.", where=self.path, remedy="Use 'lilliput predict' with it."
        )

    def file(self, name: str) -> Path:
        """Path of the artifact's file ``name``."""
        return self.path / name

    def bytes(self) -> ArtifactBytes:
        """Bytes on disk by part."""
        sizes = {name: self.file(name).stat().st_size for name in (*self.hashes, MANIFEST)}
        weights = sum(sizes.pop(name, 0) for name in (GRAPH, DECODER_GRAPH, ENCODER_GRAPH, WEIGHTS))
        return ArtifactBytes(weights, sizes.pop(TOKENIZER, 0), sizes.pop(MANIFEST, 0), sum(sizes.values()))

    def evidence(self) -> dict[str, Any]:
        """How the model was chosen and how it scored; empty if the artifact does not say.

        Raises:
            ArtifactError: the file is not a JSON object.
        """
        return _read_object(self.file(EVIDENCE)) if EVIDENCE in self.hashes else {}


def save(path: Path, manifest: Manifest | GeneratorManifest, files: Mapping[str, bytes | Path]) -> Artifact:
    """Write an artifact atomically: ``path`` is afterwards either the new artifact or unchanged.

    Args:
        path: the folder to make; an existing artifact is replaced, any other non-empty folder is refused.
        manifest: description of the model.
        files: name -> content of every file but the manifest, or the path of a file with that content, which is hard
            linked, or copied where links are impossible.

    Raises:
        UserError: ``path`` is a folder of something else, or cannot be written.
    """
    path = Path(path)
    refuse_occupied(path)
    with atomic_folder(path) as folder:
        table = {}
        for name, content in files.items():
            if isinstance(content, Path):
                _linked(content, folder / name)
            else:
                (folder / name).write_bytes(content)
            table[name] = {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
        write_json(folder / MANIFEST, {"schema": SCHEMA, **manifest.as_dict(), "files": table})
    return open_artifact(path)


def _linked(source: Path, target: Path) -> None:
    """Hard-link ``source`` to ``target``, or copy it where the file system cannot."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def refuse_occupied(path: str | Path) -> bool:
    """Refuse to overwrite anything but an artifact or an empty folder; return whether ``path`` is an artifact.

    Raises:
        ArtifactError: ``path`` is something else, or an artifact with other files beside its own.
        UserError: ``path`` cannot be read or written.
    """
    path = Path(path)
    require_place(path)
    with explain_disk_errors(path):
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return False
        problem = "already exists and is not an artifact."
        others = _others(path) if _has_manifest(path) else None
        if others == []:
            return True
        if others:
            problem = f"already exists and holds more than an artifact: {', '.join(others[:3])}."
    raise ArtifactError(problem, where=path, remedy="Choose another --out.")


def _others(folder: Path) -> list[str] | None:
    """What ``folder`` holds besides an artifact's own files; ``None`` if its manifest is not an artifact's."""
    try:
        values = read_json(folder / MANIFEST)
    except ValueError:
        return None
    if not isinstance(values, dict) or not {"schema", "files"} <= values.keys() or not {"task", "kind"} & values.keys():
        return None
    if not isinstance(values["files"], dict):
        return None
    own = {MANIFEST, *values["files"]}
    return sorted(file.name for file in folder.iterdir() if file.name not in own or not file.is_file())


def is_artifact(path: str | Path) -> bool:
    """Whether ``path`` is a folder with a manifest, or the name of a shipped model."""
    return _has_manifest(folder_named(path))


def _has_manifest(path: Path) -> bool:
    try:
        return (path / MANIFEST).is_file()
    except OSError:  # the name is too long, or the folder not accessible
        return False


def open_artifact(path: str | Path) -> Artifact:
    """Open an artifact, verifying every file against the manifest.

    Args:
        path: its folder, or the name of a shipped model (:mod:`lilliput.shipped`).

    Raises:
        ArtifactError: missing, truncated, altered, or made by a later version; the message names the file.
    """
    path = folder_named(path)
    if not _has_manifest(path):
        raise ArtifactError(
            f"is not an artifact: there is no {MANIFEST}.",
            where=path,
            remedy=f"Give an artifact's folder, or the name of a model that comes with lilliput: {NAMES}.",
        )
    values = _read_object(path / MANIFEST)
    schema = values.get("schema")
    if type(schema) is not int or schema < 1:
        raise ArtifactError("field 'schema' is missing or not a number.", where=path / MANIFEST, remedy=_again())
    if schema > SCHEMA:
        raise ArtifactError(
            f"has schema {schema}; this version of lilliput ({VERSION}) reads up to {SCHEMA}.",
            where=path / MANIFEST,
            remedy="Upgrade: pip install -U lilliput",
        )
    kind = values.get("kind", CLASSIFIER)
    if not isinstance(kind, str) or kind not in REQUIRED:
        raise ArtifactError(f"is of an unknown kind, '{kind}'.", where=path / MANIFEST, remedy=_again())
    again = _again(kind)
    try:
        manifest = GeneratorManifest.checked(values) if kind == GENERATOR else _checked(values)
        files = {name: (index(entry["bytes"]), str(entry["sha256"])) for name, entry in values["files"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"a field is missing or of the wrong kind ({type(error).__name__}: {error}).",
            where=path / MANIFEST,
            remedy=again,
        ) from error
    encoder = (ENCODER_GRAPH,) if isinstance(manifest, GeneratorManifest) and manifest.family == SEQ2SEQ else ()
    for name in (*REQUIRED[kind], *encoder):
        if name not in files:
            raise ArtifactError(f"lists no {name}.", where=path / MANIFEST, remedy=again)
    for name, (size, digest) in files.items():
        try:
            _verify(path, name, size, digest, again)
        except OSError as error:
            raise ArtifactError(f"cannot be read ({error.strerror}).", where=path / name, remedy=again) from error
    return Artifact(path, manifest, {name: digest for name, (_, digest) in files.items()})


def _read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file of an artifact."""
    try:
        values = read_json(path, strict=True)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"is damaged: {error}.", where=path, remedy=_again()) from error
    if not isinstance(values, dict):
        raise ArtifactError("is damaged: it is not a JSON object.", where=path, remedy=_again())
    return values


def _checked(values: Mapping[str, Any]) -> Manifest:
    """The manifest, after checking that its fields are valid and consistent.

    A hash shows that a file is the one its maker listed, not that the maker meant well.

    Raises:
        KeyError, TypeError, ValueError: a field is not; the message names it.
    """

    def require(fine: bool, field: str, wanted: str) -> None:
        if not fine:
            raise ValueError(f"'{field}' must be {wanted}")

    config, labels, made = EncoderConfig.from_dict(values["config"]), values["labels"], values["provenance"]
    config.check(require)
    longest = LARGEST if config.reads_on else config.positions
    require(type(values["max_tokens"]) is int, "max_tokens", "a positive whole number")
    require(2 < values["max_tokens"] <= longest, "max_tokens", "more than 2 and at most 'positions'")
    for name in ("task", "precision"):
        require(isinstance(values[name], str) and bool(values[name]), name, "a word")
    require(isinstance(labels, list), "labels", "a list")
    require(all(isinstance(label, str) and label and is_plain(label) for label in labels), "labels", "words")
    require(len(set(labels)) == len(labels) == config.classes, "labels", "distinct, one for each of 'classes'")
    require(isinstance(made, dict), "provenance", "an object")
    for name in ("data", "teacher"):
        require(isinstance(made.get(name, {}), dict), f"provenance: {name}", "an object")
    require(all(isinstance(part, dict) for part in made.get("data", {}).values()), "provenance: data", "of objects")
    return Manifest(values["task"], tuple(labels), config, values["precision"], values["max_tokens"], made)


def _verify(folder: Path, name: str, size: int, digest: str, remedy: str) -> None:
    target = folder / name
    if Path(name).name != name:
        raise ArtifactError(f"lists the unsafe file name '{name}'.", where=folder / MANIFEST, remedy=remedy)
    if target.is_symlink():
        remedy = "Copy the folder with its links followed: cp -rL."
        raise ArtifactError("is a link, which may lead anywhere.", where=target, remedy=remedy)
    if not target.is_file():
        raise ArtifactError("is missing.", where=target, remedy=remedy)
    found = target.stat().st_size
    if found != size:
        raise ArtifactError(f"has {found:,} bytes where the manifest says {size:,}.", where=target, remedy=remedy)
    if sha256_of(target) != digest:
        raise ArtifactError("was altered: its SHA-256 is not the manifest's.", where=target, remedy=remedy)
