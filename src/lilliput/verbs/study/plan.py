"""The plan of a study: jobs for the points of its grid that this model allows and that could fit the budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lilliput.errors import UserError
from lilliput.files import sha256_of
from lilliput.formats.weights import Scheme
from lilliput.graph.decoder import DecoderConfig
from lilliput.kernels.build import kernels
from lilliput.progress import Progress
from lilliput.provenance import versions
from lilliput.study.budget import Budget
from lilliput.study.grid import Grid, LeftOut
from lilliput.study.jobs import Job, Measures
from lilliput.study.point import Point
from lilliput.teachers.generator import GeneratorCheckpoint
from lilliput.units import show_bytes
from lilliput.verbs.kept import key_of
from lilliput.verbs.quantize import expected_weights

WORK, ARTIFACTS = "work", "artifacts"
"""Subfolders of a study: temporary work, and kept artifacts."""


@dataclass(frozen=True)
class Plan:
    """What a study will run.

    Attributes:
        jobs: jobs, in the grid's order.
        left_out: points left out, and why.
        measures: what to measure in all jobs, as far as possible with this model.
    """

    jobs: tuple[Job, ...]
    left_out: tuple[LeftOut, ...]
    measures: Measures


DECISIVE = ("openvino", "tokenizers", "numpy")
"""Packages whose versions decide results; Python does too, as perplexity is measured on its library."""


def planned(
    checkpoint: GeneratorCheckpoint,
    grid: Grid,
    measures: Measures,
    budget: Budget,
    out: Path,
    *,
    model: str,
    tokenizer: str | None,
    allow_slow: bool,
    keep: bool,
    command: str,
    progress: Progress,
) -> Plan:
    """Plan the jobs of a study.

    Raises:
        UserError: nothing is left to run, or nothing to measure.
    """
    measures = _possible(checkpoint, measures, progress)
    left = list(grid.left_out)
    points = []
    tokenizer_bytes = len(checkpoint.tokenizer.to_str().encode())
    for point in grid.points:
        reason = _obstacle(checkpoint, point, budget, tokenizer_bytes, allow_slow)
        if reason:
            left.append(LeftOut({"point": point.label}, reason))
        else:
            points.append(point)
    if not points:
        first = left[0]
        raise UserError(
            f"no point of the grid is left to run; {first.label}: {first.reason}.",
            where="--grid",
            remedy="Choose another grid, a larger --budget, or add --allow-slow.",
        )
    facts = {**measures.as_dict(), "humaneval": sha256_of(Path(measures.humaneval)) if measures.humaneval else ""}
    for name in ("unsafe", "batch"):  # do not affect results
        facts.pop(name)
    source = key_of("study", checkpoint.fingerprint(), facts, versions(*DECISIVE), kernels().library is not None)
    jobs = []
    for point in points:
        key = key_of(source, point.as_dict())
        place = out / ARTIFACTS / f"{point.label}-{key[:8]}" if keep else out / WORK / key[:16] / "artifact"
        jobs.append(
            Job(
                key=key,
                model=model,
                tokenizer=tokenizer,
                point=point,
                measures=measures,
                work=str(out / WORK / key[:16]),
                artifact=str(place),
                keep=keep,
                command=command,
            )
        )
    return Plan(tuple(jobs), tuple(left), measures)


def together(jobs: Sequence[Job], concurrent: int) -> list[Job]:
    """The same jobs, marked with how many of them run at a time."""
    return [replace(job, concurrent=max(1, min(concurrent, len(jobs)))) for job in jobs]


def _possible(checkpoint: GeneratorCheckpoint, measures: Measures, progress: Progress) -> Measures:
    """The measures that are possible with this model."""
    if isinstance(checkpoint.config, DecoderConfig) or not measures.perplexity_pieces:
        return measures
    if not measures.humaneval:
        raise UserError(
            "has an encoder, so perplexity cannot be measured, and there is no other quality.",
            where=checkpoint.path,
            remedy="Give HumanEval's file: --humaneval.",
        )
    progress.note(f"{checkpoint.path}: has an encoder, so perplexity is not measured.")
    return replace(measures, perplexity_pieces=0, piece_tokens=Measures.piece_tokens)


def _obstacle(
    checkpoint: GeneratorCheckpoint, point: Point, budget: Budget, tokenizer_bytes: int, allow_slow: bool
) -> str:
    """Why a point is not tried; empty if it is."""
    if not allow_slow and point.activation.emulated(point.policy.linear):
        return f"{point.activations} would be emulated and slow: add --allow-slow to study its accuracy"
    if budget.bytes is None:
        return ""
    least = expected_weights(checkpoint, point.policy, _least) + tokenizer_bytes
    if least > budget.bytes:
        return f"needs at least {show_bytes(least)}, and the budget is {show_bytes(budget.bytes)}"
    return ""


def _least(shape: Sequence[int], scheme: Scheme | None) -> int:
    """Lower bound on the bytes of a weight: its codes and, for groups, float16 scales."""
    count = math.prod(shape)
    if scheme is None or len(shape) != 2:
        return 4 * count
    scales = count // scheme.group if scheme.group > 0 and not scheme.kind.floating else 0
    return count * scheme.kind.stored_bits // 8 + 2 * scales
