"""The artifact: one folder that holds a small model and everything needed to run and to trust it.

Files: ``manifest.json`` (what it is, where it comes from, the SHA-256 of every other file), ``model.onnx`` (graph and
weights), ``tokenizer.json``, ``README.md`` (the model card) and ``evidence.json`` (how it was chosen and scored).
Nothing in it is executed, and nothing is read before its hash is checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lilliput.encoder import EncoderConfig
from lilliput.errors import ArtifactError
from lilliput.files import atomic_folder, sha256_of, write_json
from lilliput.version import VERSION

SCHEMA = 1
"""Version of the manifest this code writes, and the latest it reads."""

MANIFEST, GRAPH, TOKENIZER, CARD, EVIDENCE = (
    "manifest.json",
    "model.onnx",
    "tokenizer.json",
    "README.md",
    "evidence.json",
)

REQUIRED = (GRAPH, TOKENIZER)
"""Files without which an artifact cannot run."""


@dataclass(frozen=True)
class Manifest:
    """What an artifact says of itself.

    Attributes:
        task: name of the task.
        labels: class names, by index of the logits.
        config: the encoder's sizes and options.
        precision: how weights are stored (``fp32``, ``int8``, ``int4``).
        max_tokens: longest input, special tokens included; longer ones are cut at the right.
        provenance: teacher, data hashes, seed, command, versions, date.
    """

    task: str
    labels: tuple[str, ...]
    config: EncoderConfig
    precision: str
    max_tokens: int
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the table of files."""
        return {
            "schema": SCHEMA,
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
    manifest: Manifest
    hashes: Mapping[str, str]

    def file(self, name: str) -> Path:
        """Path of one of its files."""
        return self.path / name

    def bytes(self) -> ArtifactBytes:
        """Bytes on disk by part."""
        sizes = {name: self.file(name).stat().st_size for name in (*self.hashes, MANIFEST)}
        known = {name: sizes.pop(name, 0) for name in (GRAPH, TOKENIZER, MANIFEST)}
        return ArtifactBytes(known[GRAPH], known[TOKENIZER], known[MANIFEST], sum(sizes.values()))

    def evidence(self) -> dict[str, Any]:
        """How it was chosen and how it scored; empty where the artifact carries none."""
        path = self.file(EVIDENCE)
        return json.loads(path.read_text(encoding="utf-8")) if EVIDENCE in self.hashes else {}


def save(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Artifact:
    """Write an artifact whole: either ``path`` is the new one afterwards, or it is as it was.

    Args:
        path: the folder to make; an artifact already there is replaced, any other folder is refused.
        manifest: what it is.
        files: name -> content of every file but the manifest.
    """
    path = Path(path)
    if path.exists() and not is_artifact(path) and not _is_empty_folder(path):
        raise ArtifactError("is there already and is not an artifact.", where=path, remedy="Choose another --out.")
    with atomic_folder(path) as folder:
        table = {}
        for name, content in files.items():
            (folder / name).write_bytes(content)
            table[name] = {"bytes": len(content), "sha256": sha256_of(folder / name)}
        write_json(folder / MANIFEST, {**manifest.as_dict(), "files": table})
    return open_artifact(path)


def is_artifact(path: Path) -> bool:
    """Whether ``path`` is a folder with a manifest."""
    return (path / MANIFEST).is_file()


def open_artifact(path: str | Path) -> Artifact:
    """Open an artifact, verifying every file against the manifest.

    Raises:
        ArtifactError: missing, truncated, altered, or made by a later version; the message names the file.
    """
    path = Path(path)
    again = "Get the artifact again from where it came, or make it anew with 'lilliput shrink'."
    if not is_artifact(path):
        raise ArtifactError(
            f"is not an artifact: there is no {MANIFEST}.", where=path, remedy="Give an artifact's folder."
        )
    try:
        values = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtifactError(f"is damaged: {error}.", where=path / MANIFEST, remedy=again) from error
    schema = values.get("schema") if isinstance(values, dict) else None
    if not isinstance(schema, int):
        raise ArtifactError("field 'schema' is missing or not a number.", where=path / MANIFEST, remedy=again)
    if schema > SCHEMA:
        raise ArtifactError(
            f"has schema {schema}; this version of lilliput ({VERSION}) reads up to {SCHEMA}.",
            where=path / MANIFEST,
            remedy="Upgrade: pip install -U lilliput",
        )
    try:
        manifest = Manifest(
            task=str(values["task"]),
            labels=tuple(map(str, values["labels"])),
            config=EncoderConfig.from_dict(values["config"]),
            precision=str(values["precision"]),
            max_tokens=int(values["max_tokens"]),
            provenance=dict(values["provenance"]),
        )
        files = {str(name): (int(entry["bytes"]), str(entry["sha256"])) for name, entry in values["files"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"a field is missing or of the wrong kind ({type(error).__name__}: {error}).",
            where=path / MANIFEST,
            remedy=again,
        ) from error
    for name in REQUIRED:
        if name not in files:
            raise ArtifactError(f"lists no {name}.", where=path / MANIFEST, remedy=again)
    for name, (size, digest) in files.items():
        _verify(path, name, size, digest, again)
    return Artifact(path, manifest, {name: digest for name, (_, digest) in files.items()})


def _verify(folder: Path, name: str, size: int, digest: str, remedy: str) -> None:
    target = folder / name
    if Path(name).name != name or target.is_symlink():
        raise ArtifactError(f"lists the unsafe file name '{name}'.", where=folder / MANIFEST, remedy=remedy)
    if not target.is_file():
        raise ArtifactError("is missing.", where=target, remedy=remedy)
    found = target.stat().st_size
    if found != size:
        raise ArtifactError(f"has {found:,} bytes where the manifest says {size:,}.", where=target, remedy=remedy)
    if sha256_of(target) != digest:
        raise ArtifactError("was altered: its SHA-256 is not the manifest's.", where=target, remedy=remedy)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
