"""One job of a study: a point quantized and measured. All that goes in is in the job, all that comes out in the result;
whatever runs it needs to know nothing else.
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

    Killed at any moment, the same job goes on: with the weights that were done, and with the completions.

    Raises:
        UserError: the checkpoint or the data cannot be read, or the point cannot be made of this model; nothing is
            left behind.
    """
    artifact, work = Path(job.artifact), Path(job.work)
    kept = job.keep and is_artifact(artifact)  # by an earlier run, which measured less of it
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
    there = is_artifact(artifact)  # from a run that was killed while measuring: artifacts appear whole
    if not there:
        quantize(
            job.model,
            artifact,
            settings=QuantizeSettings.of_point(job.point),
            tokenizer=job.tokenizer,
            allow_slow=True,  # which points are emulated, and whether that is wanted, the study has settled
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
    """The artifact, and what is kept beside it while it is made."""
    shutil.rmtree(artifact, ignore_errors=True)
    shutil.rmtree(work_folder(artifact), ignore_errors=True)
