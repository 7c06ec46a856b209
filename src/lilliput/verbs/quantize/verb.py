"""``quantize``: turn a generator's checkpoint into an artifact that runs on a laptop."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import openvino as ov

from lilliput.artifact import (
    CARD,
    EVIDENCE,
    TOKENIZER,
    WEIGHTS,
    ArtifactBytes,
    refuse_occupied,
    save,
)
from lilliput.errors import CheckpointError, UserError
from lilliput.files import explain_disk_errors, work_folder
from lilliput.formats.weights import Scheme
from lilliput.generator_manifest import DECODER, SEQ2SEQ, GeneratorManifest
from lilliput.graph import architectures
from lilliput.graph.architectures import stored_name
from lilliput.graph.checks import refuse_other_shapes
from lilliput.graph.decoder import DecoderConfig
from lilliput.graph.layers import InputRounding, Weights
from lilliput.graph.stored import StoredWeight, expected_bytes, write_graphs
from lilliput.progress import Progress
from lilliput.provenance import today, versions
from lilliput.quantize.activations import STATIC
from lilliput.quantize.calibration import Tokens, digest
from lilliput.quantize.policy import Policy
from lilliput.quantize.ranges import bytes_kept
from lilliput.quantize.stream import Places, stream
from lilliput.report.generator_card import generator_card
from lilliput.teachers.chat_template import TEMPLATE_FILE
from lilliput.teachers.generator import GeneratorCheckpoint, open_generator
from lilliput.teachers.gguf import GgufFile
from lilliput.units import show_bytes
from lilliput.verbs.origin import origin_of
from lilliput.verbs.quantize.methods import (
    calibration_data,
    calibration_facts,
    input_rounding,
    ranges_of_inputs,
    weight_rounding,
)
from lilliput.verbs.quantize.settings import QuantizeSettings
from lilliput.verbs.stages import Stages
from lilliput.version import VERSION

ROOM_FOR_GRAPHS = 30_000_000
"""Upper bound on the bytes of graphs, tokenizer, card and evidence, for checking disk space."""


@dataclass(frozen=True)
class QuantizeResult:
    """The result of a quantization.

    Attributes:
        path: the artifact.
        bytes: bytes on disk, by part.
        parameters: number of weights.
        original_bytes: bytes of the checkpoint's weight files.
        settings: settings used.
        worst: the weights whose stored values differ most from the original's, relative to their norm.
    """

    path: Path
    bytes: ArtifactBytes
    parameters: int
    original_bytes: int
    settings: QuantizeSettings
    worst: Sequence[StoredWeight]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "path": str(self.path),
            "bytes": self.bytes.as_dict(),
            "parameters": self.parameters,
            "original_bytes": self.original_bytes,
            "bits_per_weight": 8 * self.bytes.weights / self.parameters,
            "settings": self.settings.as_dict(),
            "worst": [{"name": weight.name, "relative_error": weight.relative_error} for weight in self.worst],
        }


def quantize(
    model: str | Path,
    out: str | Path,
    *,
    settings: QuantizeSettings | None = None,
    tokenizer: str | Path | None = None,
    allow_slow: bool = False,
    command: str = "",
    progress: Progress | None = None,
) -> QuantizeResult:
    """Quantize a generator.

    Args:
        model: folder of a Hugging Face checkpoint, hub id, or GGUF file.
        out: the artifact's folder.
        settings: how to quantize; by default 8-bit weights with one scale per row.
        tokenizer: ``tokenizer.json`` for a model without its own.
        allow_slow: allow settings that round activations but multiply them in floating point all the same.
        command: recorded in the provenance.
        progress: shown while working.

    Raises:
        UserError: bad input, not enough disk space, or ``out`` is occupied. If interrupted at any point, the same call
            resumes.
    """
    out, settings, progress = Path(out), settings or QuantizeSettings(), progress or Progress()
    if not allow_slow:
        settings.inputs.refuse_slow(settings.policy.linear)
    if refuse_occupied(out):
        progress.note(f"{out}: the artifact there is replaced when the new one is complete.")
    checkpoint = open_generator(model, None if tokenizer is None else Path(tokenizer))
    data = calibration_data(checkpoint, settings)
    method = weight_rounding(checkpoint, settings, data)
    with explain_disk_errors(out):
        _require_room(checkpoint, settings, data, out)
        _leave_alone(out)
    identity = {"model": checkpoint.fingerprint(), "lilliput": VERSION, "data": digest(data), **settings.as_dict()}
    work = Stages(out, identity, progress)
    weights, journal = work.file(WEIGHTS), work.file("journal.jsonl")
    try:
        places = Places(weights, journal)
        entries = stream(
            checkpoint.pieces, checkpoint.tensors, settings.policy, places, rounding=method, progress=progress
        )
        with explain_disk_errors(out):
            _keep_weights_alone(entries, weights)
            refuse_other_shapes(checkpoint.config, {entry.name: entry.shape for entry in entries}, checkpoint.path)
            ranges = ranges_of_inputs(checkpoint, settings, entries, data, work)
            build = partial(_build, checkpoint, input_rounding(settings.inputs, ranges))
            graphs = {file.name: file for file in write_graphs(build, entries, work.folder, weights)}
    except CheckpointError:  # nothing to resume: that checkpoint will never work
        work.give_up()
        raise
    settings = settings.fitted(entry.scheme.group for entry in entries)
    made = {**_provenance(checkpoint, command, progress), "calibration": calibration_facts(settings.calibration, data)}
    made |= {} if settings.recipe is None else {"recipe": dict(settings.recipe)}
    evidence = {"weights": [_figures(entry) for entry in entries]}
    evidence |= {"inputs": [found.as_dict() for found in ranges]} if ranges else {}
    result = _save(checkpoint, entries, {WEIGHTS: weights, **graphs}, evidence, out, settings, made, progress)
    work.finish()
    return result


def expected_weights(
    checkpoint: GeneratorCheckpoint,
    policy: Policy,
    bytes_of: Callable[[Sequence[int], Scheme | None], int] = expected_bytes,
) -> int:
    """Bytes that the weights will take in an artifact; ``bytes_of`` maps a weight's shape and scheme to its bytes."""
    tied = "head.weight" not in checkpoint.pieces
    seen: dict[str, int] = {}
    for name, piece in checkpoint.pieces.items():
        if piece.source:
            source = stored_name(piece, checkpoint.tensors)
            shape = checkpoint.tensors.shape(source)
            seen[source] = max(seen.get(source, 0), bytes_of(shape, policy.scheme(name, shape, tied)))
    return sum(seen.values())


def _provenance(checkpoint: GeneratorCheckpoint, command: str, progress: Progress) -> dict[str, Any]:
    metadata = checkpoint.tensors.metadata if isinstance(checkpoint.tensors, GgufFile) else None
    origin = origin_of(checkpoint.path, metadata)
    return {
        "checkpoint": {"name": checkpoint.path.name, "sha256": checkpoint.sha256(progress), **origin},
        "command": command,
        "date": today(),
        "versions": versions("openvino", "tokenizers", "numpy"),
    }


def _require_room(
    checkpoint: GeneratorCheckpoint, settings: QuantizeSettings, data: Sequence[Tokens], out: Path
) -> None:
    """Fail early if the disk is too small; space used by an earlier run of the same work counts as free."""
    needed = ROOM_FOR_GRAPHS + expected_weights(checkpoint, settings.policy)
    if settings.inputs.mode == STATIC:
        needed += bytes_kept(checkpoint.config.hidden, data)
    work = work_folder(out)
    there = sum(file.stat().st_size for file in work.iterdir()) if work.is_dir() else 0
    free = shutil.disk_usage(next(folder for folder in out.absolute().parents if folder.is_dir())).free + there
    if needed > free:
        raise UserError(
            f"about {show_bytes(needed)} are needed, but only {show_bytes(free)} are free.",
            where=out,
            remedy="Free some space, or choose another --out. Nothing was written.",
        )


def _leave_alone(out: Path) -> None:
    """Unlink weights left by a run killed after its artifact was written: they are the artifact's own file."""
    left = work_folder(out) / WEIGHTS
    if left.is_file() and (out / WEIGHTS).is_file() and left.samefile(out / WEIGHTS):
        left.unlink()


def _keep_weights_alone(entries: Sequence[StoredWeight], weights: Path) -> None:
    """Truncate what a killed run appended to the weights."""
    with weights.open("r+b") as file:
        file.truncate(max(first + size for entry in entries for first, size in entry.places.values()))


def _build(checkpoint: GeneratorCheckpoint, rounding: InputRounding | None, weights: Weights) -> dict[str, ov.Model]:
    try:
        return architectures.graphs(checkpoint.config, weights, last_only=True, rounding=rounding)
    except RuntimeError as error:  # raised by the engine
        raise CheckpointError(
            f"has tensors of incompatible shapes ({str(error).strip().splitlines()[-1]}).",
            where=checkpoint.path,
            remedy="Get the checkpoint again: its files do not belong together.",
        ) from error


def _save(
    checkpoint: GeneratorCheckpoint,
    entries: Sequence[StoredWeight],
    files: dict[str, Path],
    evidence: Mapping[str, Any],
    out: Path,
    settings: QuantizeSettings,
    provenance: Mapping[str, Any],
    progress: Progress,
) -> QuantizeResult:
    parameters = sum(math.prod(entry.shape) for entry in entries)
    manifest = GeneratorManifest(
        family=DECODER if isinstance(checkpoint.config, DecoderConfig) else SEQ2SEQ,
        model_type=str(checkpoint.values["model_type"]),
        architecture=dataclasses.asdict(checkpoint.config),
        parameters=parameters,
        weights=settings.policy.as_dict(),
        activations=settings.as_dict()["activations"],
        positions=checkpoint.config.positions,
        vocabulary=checkpoint.config.vocabulary,
        end=checkpoint.end,
        start=None if isinstance(checkpoint.config, DecoderConfig) else checkpoint.start,
        sampling=checkpoint.sampling,
        fill=checkpoint.fill,
        provenance=provenance,
    )
    written = sum(file.stat().st_size for file in files.values())
    contents: dict[str, bytes | Path] = {
        **files,
        TOKENIZER: checkpoint.tokenizer.to_str().encode(),
        CARD: generator_card(out.name, manifest, written).encode(),
        EVIDENCE: json.dumps(evidence, separators=(",", ":")).encode(),
    }
    if checkpoint.chat_template is not None:
        contents[TEMPLATE_FILE] = checkpoint.chat_template.encode()
    artifact = save(out, manifest, contents)
    progress.note(f"{out}: {show_bytes(artifact.bytes().total)}, {parameters / 1e6:,.0f} million weights")
    worst = sorted(entries, key=lambda entry: -entry.relative_error)[:3]
    original = sum(file.stat().st_size for file in checkpoint.files)
    return QuantizeResult(out, artifact.bytes(), parameters, original, settings, worst)


def _figures(entry: StoredWeight) -> dict[str, Any]:
    """Evidence about one weight."""
    return {
        "name": entry.name,
        "shape": list(entry.shape),
        "scheme": entry.scheme.as_dict(),
        "bytes": entry.size,
        "relative_error": entry.relative_error,
        "largest_error": entry.largest_error,
    }
