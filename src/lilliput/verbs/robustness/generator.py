"""``robustness`` for generators: how pass@k changes on perturbed prompts, as ReCode measures it.

Source: Wang et al., "ReCode: Robustness Evaluation of Code Generation Models", ACL 2023.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.constants import NEW_TOKENS
from lilliput.data.problems import Problem, benchmark_named, read_problems
from lilliput.data.recode import read_recode
from lilliput.errors import DataError, UserError, require_whole
from lilliput.evaluate.intervals import Estimate
from lilliput.evaluate.judging import Limits
from lilliput.evaluate.perturb import PERTURBATIONS, SEEDS, named, partial, perturbed
from lilliput.evaluate.robustness import Flags, Robustness, robustness, worst_of
from lilliput.files import sha256_of, write_json
from lilliput.progress import Progress
from lilliput.runtime.settings import Settings
from lilliput.verbs.complete import require_draws
from lilliput.verbs.completers import GeneratorSource, refuse_precision, refuse_threads, require_openable
from lilliput.verbs.kept import Kept, beside
from lilliput.verbs.programs import allowed
from lilliput.verbs.robustness.against import against as compared
from lilliput.verbs.robustness.against import read_outcomes
from lilliput.verbs.robustness.outcomes import ON, PASSED, Outcomes, Prompts, Runner, Variant
from lilliput.verbs.tally import MOST_LOST

RESULT = "robustness.json"
TASK = "humaneval"
"""The benchmark whose prompts are perturbed: partial programs need solutions that continue the prompt."""


@dataclass(frozen=True)
class Line:
    """The effect of one perturbation, or of a family of them.

    Attributes:
        name: name of the perturbation or the family.
        family: its family.
        on: what was perturbed; for a family, common to its perturbations.
        changed: share of prompts changed, over all versions.
        scores: RP, RD and RR.
    """

    name: str
    family: str
    on: str
    changed: float
    scores: Robustness

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"name": self.name, "family": self.family, "on": self.on, "changed": self.changed, **asdict(self.scores)}


@dataclass(frozen=True)
class GeneratorRobustness:
    """The result; :meth:`as_dict` is the JSON contract of ``lilliput robustness`` for generators.

    Attributes:
        name: name of the model.
        n: number of problems.
        lost: problems without a verdict in at least one version, because of the runner; excluded from all figures.
        nominal: what was perturbed -> pass@1 before.
        perturbations: results of each perturbation.
        families: worst case over all versions of each family.
        facts: model, settings, data, sandbox, machine, command.
        against: figures of another model on the same prompts, and the differences (see
            :func:`~lilliput.verbs.robustness.against.against`); ``None``: none was given.
        outcomes: all verdicts; ``None``: not kept.
    """

    name: str
    n: int
    lost: int
    nominal: Mapping[str, Estimate]
    perturbations: Sequence[Line]
    families: Sequence[Line]
    facts: Mapping[str, Any]
    against: Mapping[str, Any] | None = None
    outcomes: Outcomes | None = None

    @property
    def exit_code(self) -> int:
        """1 if the figures are not to be trusted."""
        return 1 if self.lost > MOST_LOST * (self.n + self.lost) else 0

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; fractions, not percent."""
        trouble = f"{self.lost} problems failed because of the runner; these figures are not to be trusted."
        return {
            **({"warning": trouble} if self.exit_code else {}),
            "name": self.name,
            "task": TASK,
            "n": self.n,
            "lost": self.lost,
            "nominal": {on: asdict(rate) for on, rate in self.nominal.items()},
            "perturbations": [line.as_dict() for line in self.perturbations],
            "families": [line.as_dict() for line in self.families],
            "against": None if self.against is None else dict(self.against),
            **self.facts,
            "outcomes": None if self.outcomes is None else self.outcomes.as_dict(),
        }


def robustness_generator(
    model: str | Path,
    data: str | Path,
    *,
    against: str | Path | None = None,
    perturbations: Sequence[str] | None = None,
    seeds: int = SEEDS,
    released: str | Path | None = None,
    limit: int | None = None,
    settings: Settings | None = None,
    threads: int | None = None,
    precision: str = "fp32",
    workers: int | None = None,
    limits: Limits | None = None,
    unsafe: bool = False,
    out: str | Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> GeneratorRobustness:
    """Complete HumanEval's prompts, unperturbed and perturbed, and compare what passes.

    Args:
        model: an artifact's folder, a checkpoint's folder or hub id, or a server's address.
        data: HumanEval's file.
        against: the original: a model to measure as well, or the ``.json`` result of an earlier run with it.
        perturbations: names of perturbations or of families; ``None``: all.
        seeds: versions of each prompt by each random perturbation.
        released: folder with the perturbed files that ReCode released, to use instead of ours.
        limit: use only the first ``limit`` problems of the file; ``None``: all.
        settings: settings of the completions; by default one greedy completion per prompt, at most 320 tokens.
        threads, precision: for the model.
        workers, limits, unsafe: for the programs, as in :func:`lilliput.verbs.score.score`.
        out: ``.json`` file or folder to write the result to; an interrupted run resumes from what is kept beside it.
        command: recorded in the result.
        progress: shown while working.

    Raises:
        UserError: bad input, or nothing can be completed.
        MissingExtra: LemmInflect, or for a checkpoint torch or transformers, is not installed.
    """
    progress = progress or Progress()
    settings = settings or Settings(max_new_tokens=NEW_TOKENS, stop=benchmark_named(TASK).stops)
    require_draws(settings)
    require_whole(seeds, 1, "--seeds")
    if limit is not None:
        require_whole(limit, 1, "--limit")
    earlier = against is not None and Path(against).suffix == ".json"
    models = [str(one) for one in (model, None if earlier else against) if one is not None]
    refuse_precision(precision, models)
    refuse_threads(threads, models)
    data = Path(data)
    problems = read_problems(data, TASK)[:limit]
    nominal = {"prompt": problems, "partial": [partial(problem) for problem in problems]}
    if released is None:
        variants = _ours(problems, perturbations, seeds)
    else:
        variants = _released(Path(released), nominal, perturbations, seeds)
    prompts = Prompts(nominal, variants)
    programs = allowed(limits, workers, unsafe)
    for one in models:  # otherwise the second would only be opened after the first has run
        require_openable(GeneratorSource(one, threads, precision), progress.note)
    target, kept_path = beside(None if out is None else Path(out), RESULT, [model, data, against])
    facts: dict[str, Any] = {
        "settings": {
            **asdict(settings),
            "stop": list(settings.stops),
            "seeds": seeds,
            "limit": limit,
            "threads": threads,
            "precision": precision,
            "programs": programs.settings,
        },
        "perturbed_by": "ReCode's released files" if released is not None else "lilliput.evaluate.perturb",
        "data": {"source": str(data), "sha256": sha256_of(data), "problems": len(problems)},
    }
    theirs = read_outcomes(Path(str(against)), prompts, facts) if earlier else None
    run = Runner(settings, Kept(kept_path), programs, threads, precision, progress)
    ours = run.outcomes(str(model), prompts)
    if against is not None and theirs is None:
        theirs = run.outcomes(str(against), prompts)
    judged = ours.judged(list(ours.verdicts))
    if not judged.any():
        raise DataError("no problem has a verdict in every version.", remedy="Find out why the sandbox gives none.")
    passed = {name: verdicts[:, judged] == PASSED for name, verdicts in ours.verdicts.items()}
    base = {on: passed[on][0] for on in ON if on in passed}
    flags = [passed[variant.name] for variant in variants]
    lines = [_line(v, base[v.on], found, nominal[v.on]) for v, found in zip(variants, flags, strict=True)]
    result = GeneratorRobustness(
        name=ours.name,
        n=int(judged.sum()),
        lost=int((~judged).sum()),
        nominal={on: robustness(found, found[None]).nominal_pass for on, found in base.items()},
        perturbations=lines,
        families=_families(variants, base, flags, lines),
        facts={"model": dict(ours.model), **facts, **programs.facts(command)},
        against=None if theirs is None else compared(ours, theirs, variants),
        outcomes=ours,
    )
    if target is not None:
        write_json(target, result.as_dict())
    return result


def _ours(problems: Sequence[Problem], names: Sequence[str] | None, seeds: int) -> list[Variant]:
    versions = perturbed(problems, names, seeds)
    return [Variant(p.name, p.family, p.on, versions[p.name]) for p in named(names)]


def _released(
    folder: Path, nominal: Mapping[str, Sequence[Problem]], names: Sequence[str] | None, seeds: int
) -> list[Variant]:
    """The ReCode files requested by name, or by the name of their counterpart here."""
    ours = {p.released: p for p in PERTURBATIONS.values() if p.released}
    wanted = None if names is None else set(names)
    order = [problem.task_id for problem in nominal["prompt"]]
    variants = []
    for name, versions in read_recode(folder).items():
        like = ours.get(name)
        family = "docstring" if like is None else like.family
        called = {name, family} | (set() if like is None else {like.name})
        if wanted is not None and not called & wanted:
            continue
        by_id = {seed: {p.task_id: p for p in version} for seed, version in versions.items() if seed < seeds}
        missing = next((i for version in by_id.values() for i in order if i not in version), None)
        if missing is not None:
            raise DataError(f"{name} lacks problem {missing}.", where=folder, remedy="Give the files of one benchmark.")
        on = "prompt" if like is None else like.on
        found = {seed: [version[i] for i in order] for seed, version in by_id.items()}
        variants.append(Variant(name, family, on, found))
    if not variants:
        raise UserError("matches none of the files there.", where="--perturbations", remedy="See --help.")
    return variants


def _line(variant: Variant, base: Flags, flags: Flags, nominal: Sequence[Problem]) -> Line:
    prompts = [problem.prompt for problem in nominal]
    changed = [[p.prompt != q for p, q in zip(v, prompts, strict=True)] for v in variant.versions.values()]
    return Line(variant.name, variant.family, variant.on, float(np.mean(changed)), robustness(base, flags))


def _families(
    variants: Sequence[Variant], base: Mapping[str, Flags], flags: Sequence[Flags], lines: Sequence[Line]
) -> list[Line]:
    """The worst case over all versions of each family."""
    found = []
    for family in dict.fromkeys(variant.family for variant in variants):
        places = [place for place, variant in enumerate(variants) if variant.family == family]
        on = variants[places[0]].on
        worst = robustness(base[on], worst_of([flags[place] for place in places]))
        changed = float(np.mean([lines[place].changed for place in places]))
        found.append(Line(family, family, on, changed, worst))
    return found
