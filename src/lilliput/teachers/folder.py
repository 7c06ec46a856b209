"""A fine-tuned teacher on disk: one folder.

``config.json`` and ``model.safetensors`` of the encoder, the tokenizer's files, ``head.safetensors``, and
``lilliput-teacher.json``, which says how they go together and where they come from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError

from lilliput.errors import CheckpointError, is_plain
from lilliput.files import explain_disk_errors, read_json, require_place, write_json
from lilliput.tasks import Task
from lilliput.teachers.hub import TEACHER, checkpoint_files, tokenizer_files
from lilliput.teachers.huggingface import check_vocabulary, load_encoder, load_tokenizer, pad_id, quiet, tokenizing
from lilliput.teachers.model import JOINS, POOLINGS, EncoderClassifier, OutputConvention
from lilliput.teachers.teacher import Teacher, fingerprint_of
from lilliput.training import device

MANIFEST = TEACHER
HEAD = "head.safetensors"
SCHEMA = 1


@dataclass(frozen=True)
class TeacherManifest:
    """How the parts of a teacher go together.

    Attributes:
        task: name of the task.
        label_names: the classes, in the order of the logits.
        arity: functions per example.
        pooling: a name in :data:`~lilliput.teachers.model.POOLINGS`.
        join: a name in :data:`~lilliput.teachers.model.JOINS`.
        max_tokens: longest input, special tokens included.
        output: what the head's outputs mean.
        provenance: what it was made from: base, data, seed, settings.
        metrics: what was measured when it was made.
        schema: version of this layout.
    """

    task: str
    label_names: tuple[str, ...]
    arity: int
    pooling: str
    join: str
    max_tokens: int
    output: OutputConvention
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TeacherManifest:
        """The inverse of ``dataclasses.asdict``; keys it does not know are dropped."""
        known = {item.name: values[item.name] for item in fields(cls)}
        known |= {"label_names": tuple(values["label_names"]), "output": OutputConvention.from_dict(values["output"])}
        return cls(**known)

    def check(self) -> None:
        """Check that the fields are consistent.

        Raises:
            KeyError, TypeError, ValueError: they are not; the message names the fields.
        """
        POOLINGS[self.pooling], JOINS[self.join]
        labels, columns = self.label_names, self.output.columns
        if not all(isinstance(name, str) and name and is_plain(name) for name in labels) or len(set(labels)) < 2:
            raise ValueError("'label_names' are not two or more different words")
        if self.arity not in (1, 2) or type(self.max_tokens) is not int or self.max_tokens <= 2:
            raise ValueError("'arity' is not 1 or 2, or 'max_tokens' is not a number above 2")
        if sorted(columns) != list(range(len(labels))):
            raise ValueError("the columns of 'output' are not one for each label")


def save_teacher(folder: Path, model: EncoderClassifier, tokenizer: Any, manifest: TeacherManifest) -> None:
    """Write a teacher into the existing ``folder``."""
    try:
        with quiet():
            model.encoder.save_pretrained(folder)  # type: ignore[operator]  # transformers is untyped
            tokenizer.save_pretrained(folder)
        safetensors.torch.save_file(model.head.state_dict(), folder / HEAD)
        for file in folder.iterdir():
            file.chmod(0o644)  # safetensors creates files that only their owner may read
    except SafetensorError as error:  # it wraps the operating system's write error in its own
        refusal = re.search(r"\(os error (\d+)\)", str(error))
        raise OSError(int(refusal[1]), str(error)) if refusal else error from error
    files = sorted(file.name for file in folder.iterdir())
    write_json(folder / MANIFEST, {**asdict(manifest), "files": files})


def refuse_occupied(folder: Path) -> bool:
    """Refuse a folder that holds anything but an earlier teacher; return whether it holds one.

    Raises:
        CheckpointError: the folder holds something else, or a teacher with foreign files beside its own.
        UserError: the folder cannot be read or written.
    """
    require_place(folder)
    with explain_disk_errors(folder):
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return False
        problem = "already exists and is not a teacher."
        values = _read_values(folder / MANIFEST)
        if values is not None and {"schema", "task", "label_names"} <= values.keys():
            listed = values.get("files") or [file.name for file in checkpoint_files(folder)]
            others = sorted({file.name for file in folder.iterdir()} - {MANIFEST, *map(str, listed)})
            if not others:
                return True
            problem = f"already exists and holds more than a teacher: {', '.join(others[:3])}."
    raise CheckpointError(problem, where=folder, remedy="Choose another --out.")


def _read_values(path: Path) -> dict[str, Any] | None:
    """A file's JSON object; ``None`` if there is no such file, or it holds something else."""
    try:
        values = read_json(path)
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def read_manifest(folder: Path) -> TeacherManifest:
    """Read ``lilliput-teacher.json``.

    Raises:
        CheckpointError: the file is damaged, or of another schema.
    """
    path = folder / MANIFEST
    try:
        values = read_json(path)
        if values["schema"] != SCHEMA:
            raise CheckpointError(
                f"is of schema {values['schema']}, this version reads schema {SCHEMA}.",
                where=path,
                remedy="Update lilliput.",
            )
        manifest = TeacherManifest.from_dict(values)
        manifest.check()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"cannot be read ({type(error).__name__}: {error}).", where=path, remedy="Fine-tune the teacher again."
        ) from error
    return manifest


def open_checkpoint(folder: Path, *, tokenizer: Path | None, task: Task | None) -> Teacher:
    """Open a folder that :func:`save_teacher` wrote.

    Raises:
        CheckpointError: something is missing or damaged, or the teacher is for another task.
    """
    manifest = read_manifest(folder)
    if task is not None and manifest.task != task.name:
        raise CheckpointError(
            f"this teacher was fine-tuned for the task '{manifest.task}', not '{task.name}'.",
            where=folder,
            remedy=f"Choose --task {manifest.task}, or another teacher.",
        )
    encoder = load_encoder(folder)
    model = EncoderClassifier(
        encoder,
        len(manifest.label_names),
        convention=manifest.output,
        arity=manifest.arity,
        pooling=manifest.pooling,
        join=manifest.join,
    )
    try:
        model.head.load_state_dict(safetensors.torch.load_file(folder / HEAD))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(
            f"the head cannot be read ({error}).", where=folder / HEAD, remedy="Fine-tune the teacher again."
        ) from error
    found = load_tokenizer(folder, tokenizer)
    check_vocabulary(encoder, found, folder)
    files = checkpoint_files(folder) + tokenizer_files(tokenizer)
    return Teacher(
        name=folder.name,
        model=model.to(device()).eval(),
        tokenize=tokenizing(found, manifest.max_tokens),
        pad_id=pad_id(encoder, found),
        max_tokens=manifest.max_tokens,
        label_names=manifest.label_names,
        files=files,
        fingerprint=fingerprint_of(files),
    )
