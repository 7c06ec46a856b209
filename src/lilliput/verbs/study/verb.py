"""``study``: quantize a generator with every setting of a grid, measure each, and write a recipe."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.artifact import is_artifact
from lilliput.errors import MissingExtra, UserError
from lilliput.files import explain_disk_errors, sha256_of, write_json, write_text
from lilliput.locks import claim, release
from lilliput.progress import Progress
from lilliput.provenance import versions
from lilliput.report.front_plot import FrontPoint, front_svg
from lilliput.study.budget import Budget
from lilliput.study.choice import Choice, Rule, choose
from lilliput.study.executors import Executor, Failed, open_executor
from lilliput.study.grid import Grid, read_grid
from lilliput.study.jobs import Job, JobResult, Measures
from lilliput.study.quality import quality_named
from lilliput.study.recipe import Recipe, write_recipe
from lilliput.teachers.generator import GeneratorCheckpoint, open_generator
from lilliput.units import show_bytes
from lilliput.verbs.kept import Kept
from lilliput.verbs.study.job import run_job
from lilliput.verbs.study.measures import read_measured
from lilliput.verbs.study.plan import DECISIVE, WORK, Plan, planned, together
from lilliput.verbs.study.sayings import shown

PLAN, RESULTS, STUDY, FRONT, RECIPE = "plan.json", "results.jsonl", "study.json", "front.svg", "recipe.json"
"""Files in a study's folder: the plan; results, line by line; the final result; the plot; the recipe."""

SCHEMA = 1


@dataclass(frozen=True)
class StudyResult:
    """The result; :meth:`as_dict` is the JSON contract of ``lilliput study``.

    Attributes:
        path: the study's folder.
        grid: the requested grid.
        plan: the points that were run and those left out.
        choice: the front and the chosen point.
        failed: jobs without a result, and why.
        recipe: file of the recipe; ``None``: no point qualifies.
        facts: model, settings, versions, command.
    """

    path: Path
    grid: Grid
    plan: Plan
    choice: Choice
    failed: Mapping[str, str]
    recipe: Path | None
    facts: Mapping[str, Any]

    @property
    def exit_code(self) -> int:
        """1 if there is no recipe."""
        return 0 if self.recipe else 1

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values. Fractions, not percent; 95 % intervals; files are in the study's folder."""
        choice = self.choice
        return {
            "schema": SCHEMA,
            **self.facts,
            "rule": choice.rule.as_dict(),
            "reference": None if choice.reference is None else choice.reference.point.label,
            "objectives": list(choice.objectives),
            "front": [one.result.point.label for one in choice.rated if one.on_front],
            "chosen": None if choice.chosen is None else choice.chosen.result.point.label,
            "recipe": None if self.recipe is None else self.recipe.name,
            "points": [
                {"label": one.result.point.label, **one.result.as_dict(), **one.as_dict()} for one in choice.rated
            ],
            "failed": [
                {"label": job.point.label, "point": job.point.as_dict(), "problem": self.failed[job.key]}
                for job in self.plan.jobs
                if job.key in self.failed
            ],
            "left_out": [one.as_dict() for one in self.plan.left_out],
        }


def study(
    model: str | Path,
    out: str | Path,
    *,
    grid: str | Path | Grid = "quick",
    measures: Measures | None = None,
    rule: Rule | None = None,
    tokenizer: str | Path | None = None,
    allow_slow: bool = False,
    keep: bool = False,
    executor: str | Executor = "local",
    workers: int = 1,
    address: str | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> StudyResult:
    """Quantize a generator with every setting of a grid, measure each point, and choose one.

    Args:
        model: folder of a Hugging Face checkpoint, hub id, or GGUF file.
        out: the study's folder. If interrupted at any point, the same call resumes; failed jobs are retried; another
            grid in the same folder runs only the points not done yet.
        grid: a name in :data:`~lilliput.study.grids.NAMED`, a TOML file, or a grid.
        measures: what to measure; by default perplexity and speed.
        rule: how to choose; by default by pass@1 if problems are given, else by perplexity.
        tokenizer: ``tokenizer.json`` for a model without its own.
        allow_slow: also try points that round activations but multiply them in floating point all the same.
        keep: keep the artifacts in the study's folder; points whose artifacts were not kept are redone.
        executor: a name in :data:`~lilliput.study.executors.EXECUTORS`, or an executor (which is not closed).
        workers: number of parallel jobs. With more than one, speeds are reported but not used as evidence: a rule that
            needs speeds has those points measured again, one at a time.
        address: address of a cluster's scheduler.
        command: recorded in the result.
        progress: shown while working.

    Raises:
        UserError: bad input, nothing to run, or ``out`` is occupied.
    """
    out, progress, measures = Path(out).absolute(), progress or Progress(), measures or Measures()
    rule = rule or Rule(default_quality(measures))
    grid = grid if isinstance(grid, Grid) else read_grid(grid)
    with explain_disk_errors(out):
        _refuse_occupied(out)
    _refuse_unmeasured(rule, measures)
    read_measured(measures)  # fail before hours of work
    checkpoint = open_generator(model, None if tokenizer is None else Path(tokenizer))
    plan = planned(
        checkpoint,
        grid,
        measures,
        rule.budget,
        out,
        model=_placed(model),
        tokenizer=None if tokenizer is None else _placed(tokenizer),
        allow_slow=allow_slow,
        keep=keep,
        command=command,
        progress=progress,
    )
    _refuse_unmeasured(rule, plan.measures)
    facts = {
        "model": _model_facts(checkpoint),
        "grid": {"name": grid.name, "sha256": grid.sha256, "points": len(grid.points)},
        "measures": _measures_facts(plan.measures),
        "versions": versions(*DECISIVE),
        "command": command,
    }
    points = [{"label": job.point.label, "key": job.key, "point": job.point.as_dict()} for job in plan.jobs]
    with explain_disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        claim(out)
    write_json(out / PLAN, {"schema": SCHEMA, **facts, "points": points})
    results, failed = _run(plan, out, executor, workers, address, rule, progress)
    choice = choose(results, rule)
    recipe = _written_recipe(out, checkpoint, grid, choice, facts)
    result = StudyResult(out, grid, plan, choice, failed, recipe, facts)
    write_json(out / STUDY, result.as_dict())
    _draw(out / FRONT, choice, checkpoint.path.name, progress)
    with contextlib.suppress(OSError):  # a job of another grid may have left work to resume
        (out / WORK).rmdir()
    release(out)
    return result


def default_quality(measures: Measures) -> str:
    """The default quality of a rule."""
    return "pass@1" if measures.humaneval else "perplexity"


def _run(
    plan: Plan, out: Path, executor: str | Executor, workers: int, address: str | None, rule: Rule, progress: Progress
) -> tuple[list[JobResult], dict[str, str]]:
    """Run the jobs without results; return all results in the order of the jobs, and the failures."""
    kept = Kept(out / RESULTS)
    found = {job.key: result for job in plan.jobs if (result := _known(kept.found.get(job.key), job, rule)) is not None}
    missing = [job for job in plan.jobs if job.key not in found]
    if found:
        progress.note(f"{out}: {len(found)} of {len(plan.jobs)} points are already measured.")
    if missing:
        progress.note(f"points to measure: {', '.join(job.point.label for job in missing)}")
    failed: dict[str, str] = {}
    if missing:
        runner = open_executor(executor, workers, address) if isinstance(executor, str) else executor
        try:
            jobs = together(missing, runner.concurrent)
            _refuse_crowd(rule, jobs)
            with (
                contextlib.closing(runner.map(run_job, jobs)) as coming,
                progress.track("measuring points", len(jobs)) as counted,
                shown(jobs, counted) as advance,
            ):
                for place, answer in coming:
                    job, record = jobs[place], dict[str, Any]()
                    if isinstance(answer, Failed):
                        failed[job.key] = answer.problem
                        record["failed"], said = answer.problem, f"failed: {answer.problem}"
                    else:
                        found[job.key] = answer
                        record["result"], said = answer.as_dict(), _in_a_line(answer, rule)
                    kept.add(job.key, {"label": job.point.label, **record})
                    progress.note(f"{job.point.label}: {said}")
                    advance()
        finally:
            if isinstance(executor, str):
                runner.close()
    return [found[job.key] for job in plan.jobs if job.key in found], failed


def _known(record: Any, job: Job, rule: Rule) -> JobResult | None:
    """The result in a line of an earlier run; ``None`` if missing, damaged or incomplete for this rule."""
    try:
        result = JobResult.from_dict(record["result"])
    except (KeyError, TypeError):
        return None
    crowded = result.speed is not None and result.tokens_per_s is None  # timed while other jobs ran
    lacks = (crowded and _needs_speed(rule)) or (job.keep and not is_artifact(job.artifact))
    return None if lacks else result


def _in_a_line(result: JobResult, rule: Rule) -> str:
    quality = quality_named(rule.quality)
    found = quality.estimate(result)
    words = [show_bytes(result.size)]
    if found is not None:
        value = f"{100 * found.value:.1f} %" if quality.percent else f"{found.value:.3f}"
        words.append(f"{quality.title} {value}")
    if result.speed is not None:
        words.append(f"{result.speed['decode_tokens_per_s']['value']:.1f} tok/s")
    return ", ".join([*words, f"{result.seconds:.0f} s"])


def _written_recipe(
    out: Path, checkpoint: GeneratorCheckpoint, grid: Grid, choice: Choice, facts: Mapping[str, Any]
) -> Path | None:
    path = out / RECIPE
    if choice.chosen is None or choice.reference is None:
        path.unlink(missing_ok=True)  # from an earlier run with another rule
        return None
    chosen = choice.chosen

    def figures(result: JobResult) -> dict[str, Any]:
        shown = ("bytes", "bits_per_weight", "speed", "perplexity", "passed", "robust", "machine")
        return {"label": result.point.label, **{name: getattr(result, name) for name in shown}}

    write_recipe(
        path,
        Recipe(
            name=f"{checkpoint.path.name}, {grid.name}: {chosen.result.point.label}"[:100],
            point=chosen.result.point,
            why=choice.rule.as_dict(),
            figures={
                "chosen": figures(chosen.result),
                "loss": None if chosen.loss is None else vars(chosen.loss),
                "reference": figures(choice.reference),
            },
            model=facts["model"],
            study={**facts["grid"], "measured": len(choice.rated), "measures": facts["measures"]},
            versions=facts["versions"],
        ),
    )
    return path


def _draw(path: Path, choice: Choice, name: str, progress: Progress) -> None:
    quality = quality_named(choice.rule.quality)
    points = [
        FrontPoint(one.result.point.label, one.result.size, one.quality, one.on_front, one is choice.chosen)
        for one in choice.rated
        if one.quality is not None
    ]
    path.unlink(missing_ok=True)
    if not points:
        return
    try:
        write_text(path, front_svg(points, name, quality.title, quality.percent))
    except MissingExtra as error:
        progress.note(f"no plot drawn: {error}")


def _model_facts(checkpoint: GeneratorCheckpoint) -> dict[str, Any]:
    return {
        "name": checkpoint.path.name,
        "model_type": str(checkpoint.values["model_type"]),
        "bytes": sum(file.stat().st_size for file in checkpoint.files),
        "fingerprint": checkpoint.fingerprint(),
    }


def _measures_facts(measures: Measures) -> dict[str, Any]:
    """What was measured, without paths of this machine."""
    data = Path(measures.humaneval)
    named = {"name": data.name, "sha256": sha256_of(data)} if measures.humaneval else None
    return {**measures.as_dict(), "humaneval": named}


def _placed(model: str | Path) -> str:
    """An absolute path, so that other processes find it; hub ids are unchanged."""
    return str(Path(model).absolute()) if Path(model).exists() else str(model)


def _refuse_occupied(out: Path) -> None:
    if out.exists() and not (out.is_dir() and ((out / PLAN).is_file() or not any(out.iterdir()))):
        raise UserError("already exists and is not a study.", where=out, remedy="Choose another --out.")


def _refuse_unmeasured(rule: Rule, measures: Measures) -> None:
    """Refuse a rule that needs something that is not going to be measured."""
    there = {
        "perplexity": bool(measures.perplexity_pieces),
        "pass@1": bool(measures.humaneval),
        "robust-pass": bool(measures.perturbations),
    }
    if not there[rule.quality]:
        raise UserError(
            f"{rule.quality} is not going to be measured.",
            where="--quality",
            remedy="Choose another, or give what it needs (--perplexity-pieces, --humaneval, --perturbations).",
        )
    if not measures.speed_rounds and _needs_speed(rule):
        raise UserError(
            "is 0, but --budget or --prefer needs speeds.", where="--speed-rounds", remedy="Choose 6 or more."
        )


def _needs_speed(rule: Rule) -> bool:
    return rule.prefer == "fastest" or rule.budget.tokens_per_s is not None


def _refuse_crowd(rule: Rule, jobs: list[Job]) -> None:
    if _needs_speed(rule) and jobs[0].concurrent > 1:
        raise UserError(
            f"speeds of {jobs[0].concurrent} parallel jobs are not comparable, but --budget or --prefer needs speeds.",
            where="--workers",
            remedy="Choose 1, or leave the speed out of --budget and --prefer.",
        )


__all__ = ["Budget", "Measures", "Rule", "StudyResult", "study"]
