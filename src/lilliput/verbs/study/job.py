"""One job of a study: quantize a point and measure it.

All input is in the job and all output in the result, so that any executor can run it.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from lilliput.artifact import is_artifact, open_artifact
from lilliput.evaluate.resources import machine
from lilliput.files import work_folder
from lilliput.progress import Progress
from lilliput.study.jobs import Job, JobResult
from lilliput.verbs.quantize import quantize
from lilliput.verbs.quantize.settings import QuantizeSettings
from lilliput.verbs.study.measures import (
    Solver,
    measured_passes,
    measured_perplexity,
    measured_robustness,
    measured_speed,
    read_measured,
)
from lilliput.verbs.study.sayings import said_by

KEPT = "kept.jsonl"


def run_job(job: Job) -> JobResult:
    """Quantize a point, measure it, and remove what is not to be kept.

    If interrupted at any point, the same job resumes with the finished weights and completions.

    Raises:
        UserError: the checkpoint or the data cannot be read, or the point cannot be made from this model; nothing is
            left behind.
    """
    artifact, work = Path(job.artifact), Path(job.work)
    kept = job.keep and is_artifact(artifact)  # from an earlier run, which measured less
    try:
        with said_by(job) as progress:
            result = _result(job, artifact, work, progress)
    except Exception:
        if not kept:
            _remove(artifact)
        shutil.rmtree(work, ignore_errors=True)
        raise
    if not job.keep:
        _remove(artifact)
    shutil.rmtree(work, ignore_errors=True)
    return result


def _result(job: Job, artifact: Path, work: Path, progress: Progress) -> JobResult:
    begun = time.perf_counter()
    problems = read_measured(job.measures)
    there = is_artifact(artifact)  # from a run killed while measuring: artifacts are written atomically
    if not there:
        quantize(
            job.model,
            artifact,
            settings=QuantizeSettings.of_point(job.point),
            tokenizer=job.tokenizer,
            allow_slow=True,  # the study has already decided on emulated points
            command=job.command,
            progress=progress,
        )
    quantized = time.perf_counter()
    opened = open_artifact(artifact)
    sizes, parameters = opened.bytes(), opened.generator.parameters
    speed = measured_speed(opened, job.measures, job.concurrent, progress)
    perplexity = measured_perplexity(opened, job.measures, progress)
    solver = Solver(opened, job.measures, work / KEPT, job.concurrent, progress) if problems else None
    return JobResult(
        key=job.key,
        point=job.point,
        bytes=sizes.as_dict(),
        parameters=parameters,
        bits_per_weight=8 * sizes.weights / parameters,
        quantize_s=None if there else quantized - begun,
        speed=speed,
        perplexity=perplexity,
        passed=None if solver is None else measured_passes(solver, problems),
        robust={} if solver is None else measured_robustness(solver, problems),
        machine=machine(),
        seconds=time.perf_counter() - begun,
    )


def _remove(artifact: Path) -> None:
    """Remove the artifact and its work folder."""
    shutil.rmtree(artifact, ignore_errors=True)
    shutil.rmtree(work_folder(artifact), ignore_errors=True)
