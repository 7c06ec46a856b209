"""Measurements of a study: speed, perplexity, pass@1, robust pass. Estimates are dicts with 95 % intervals."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.artifact import TOKENIZER, Artifact
from lilliput.data.code_texts import HELD_OUT, code_files, read_texts, windows
from lilliput.data.problem import Problem
from lilliput.data.problems import BENCHMARKS, read_problems
from lilliput.errors import UserError
from lilliput.evaluate.intervals import Estimate, wilson
from lilliput.evaluate.judging import require_walls
from lilliput.evaluate.paired import FEWEST, median
from lilliput.evaluate.perplexity import perplexity
from lilliput.evaluate.perturb import named, nominal, perturbed
from lilliput.evaluate.resources import usable_cores
from lilliput.evaluate.robustness import robustness
from lilliput.progress import Progress
from lilliput.runtime.generator import Generator
from lilliput.runtime.settings import Settings
from lilliput.runtime.tokens import read_tokenizer
from lilliput.study.jobs import Measures
from lilliput.verbs.complete import TimedSession
from lilliput.verbs.completers import Asked, Completer, GeneratorSource, open_completer
from lilliput.verbs.evaluate.generator import attempts_of, completions
from lilliput.verbs.kept import Kept
from lilliput.verbs.programs import allowed

PROMPT_TOKENS, TIMED_TOKENS = 128, 64
"""Tokens read, and written, in a timing round."""

WORST = "worst"
"""Name of all perturbations taken together."""

Flags = dict[str, bool | None]
"""Problem -> whether it is solved; ``None``: unknown, because of the runner."""


def measured_speed(
    artifact: Artifact, measures: Measures, concurrent: int, progress: Progress
) -> dict[str, Any] | None:
    """Tokens read and written per second, one sequence at a time; ``None``: not measured.

    Figures are medians over rounds. Concurrent jobs affect them, so their number is recorded.
    """
    if not measures.speed_rounds:
        return None
    generator = Generator.open(artifact, measures.threads)
    positions = artifact.generator.positions
    reads = PROMPT_TOKENS if positions is None else min(PROMPT_TOKENS, positions // 2)
    ids = _held_out(artifact, 1, reads)[0]
    prompt = generator.tokenizer.decode(ids.tolist(), skip_special_tokens=False)
    session, rounds = generator.session, []
    with progress.track("timing", 1 + measures.speed_rounds) as advance:
        for _ in range(1 + measures.speed_rounds):  # the first warms up
            generator.session = timed = TimedSession(session)
            generator.generate(prompt, max_new_tokens=TIMED_TOKENS)
            rounds.append(timed)
            advance()
    rates = {
        "prefill": [one.prompt_tokens / one.prefill for one in rounds[1:]],
        "decode": [one.decoded / one.decode for one in rounds[1:] if one.decoded],
    }
    if len(rates["decode"]) < FEWEST:
        return None  # every text ends at its first token
    return {
        **{f"{name}_tokens_per_s": asdict(median(values)) for name, values in rates.items()},
        "concurrent": concurrent,
        "threads": measures.threads,
        "method": f"median of {measures.speed_rounds} rounds after one that warms up: a prompt of {reads} tokens of "
        f"held-out code, then {TIMED_TOKENS} tokens at most, greedily, one sequence; the model's own time",
    }


def measured_perplexity(artifact: Artifact, measures: Measures, progress: Progress) -> dict[str, Any] | None:
    """Perplexity on held-out code; ``None``: not measured."""
    if not measures.perplexity_pieces:
        return None
    length = min(measures.piece_tokens, artifact.generator.positions or measures.piece_tokens)
    ids = _held_out(artifact, measures.perplexity_pieces, length)
    found = perplexity(artifact.path, ids, measures.threads, progress)
    if found.interval is None:
        reason = "it is the same on all pieces" if len({*found.pieces}) == 1 else f"a token costs {found.nll:.0f} nats"
        raise UserError(f"perplexity has no interval: {reason}.", remedy="Is it a trained model?")
    low, high = found.interval
    return {
        "value": found.perplexity,
        "low": low,
        "high": high,
        "n": len(found.pieces),
        "nll": found.nll,
        "pieces": list(found.pieces),
        "tokens": found.tokens,
    }


def _held_out(artifact: Artifact, pieces: int, length: int) -> Any:
    tokenizer = read_tokenizer(artifact.file(TOKENIZER))
    return windows(read_texts(_files()), tokenizer, pieces, length)


@functools.cache
def _files() -> tuple[Path, ...]:
    """Held-out files, found once per process: the library's folder may hold many others."""
    return tuple(code_files(HELD_OUT))


def read_measured(measures: Measures) -> list[Problem]:
    """The problems to complete.

    Raises:
        UserError: the file is not HumanEval's, model-written programs cannot be run here, or a perturbation is unknown.
        MissingExtra: a perturbation needs a package that is not installed.
    """
    if not measures.humaneval:
        return []
    problems = read_problems(Path(measures.humaneval), "humaneval")[: measures.limit]
    require_walls(measures.unsafe)
    if measures.perturbations:
        perturbed(problems[:1], measures.perturbations, 1)
    return problems


class Solver:
    """Completes problems with one artifact and runs the programs; nothing is done twice, even across runs.

    Args:
        artifact: the generator.
        measures: what to measure.
        kept: file of the completions and verdicts found so far.
        concurrent: number of jobs that may share this machine's cores.
        progress: shown while working.
    """

    def __init__(self, artifact: Artifact, measures: Measures, kept: Path, concurrent: int, progress: Progress) -> None:
        self.measures, self.kept, self.progress = measures, Kept(kept), progress
        self.completer: Completer = open_completer(GeneratorSource(str(artifact.path), measures.threads))
        tokens, batch = measures.max_new_tokens, measures.batch
        self.settings = Settings(max_new_tokens=tokens, batch=batch, stop=BENCHMARKS["humaneval"].stops)
        self.programs = allowed(None, max(1, usable_cores() // concurrent), measures.unsafe)

    def solved(self, problems: Sequence[Problem]) -> Flags:
        """Which problems the greedy completion solves."""
        if self.measures.strip:
            problems = [replace(problem, prompt=problem.prompt.rstrip()) for problem in problems]
        asked = [Asked(problem, problem.prompt) for problem in problems]
        made = completions(self.completer, asked, self.settings, self.kept, self.progress)
        tried = attempts_of(problems, made, False, self.programs, self.kept, self.progress)
        return {name: one.judgement.verdict for name, (one,) in tried.items()}


def measured_passes(solver: Solver, problems: Sequence[Problem]) -> dict[str, Any]:
    """pass@1 with one greedy completion per problem."""
    return _share(solver.solved(problems))


def measured_robustness(solver: Solver, problems: Sequence[Problem]) -> dict[str, Any]:
    """Robust pass and drop of each requested perturbation, and robust pass of all together."""
    measures = solver.measures
    if not measures.perturbations:
        return {}
    found: dict[str, Any] = {}
    every: list[Flags] = []
    versions = perturbed(problems, measures.perturbations, measures.perturbation_seeds)
    for perturbation in named(measures.perturbations):
        before = solver.solved(nominal(problems, perturbation))
        after = [solver.solved(changed) for changed in versions[perturbation.name].values()]
        every += after
        known = [name for name in before if None not in (before[name], *(flags[name] for flags in after))]
        if not known:
            raise UserError(f"no program of '{perturbation.name}' got a verdict.", remedy="Run fewer jobs in parallel.")
        rated = robustness(
            np.array([[before[name]] for name in known], np.bool_),
            np.array([[[flags[name]] for name in known] for flags in after], np.bool_),
        )
        drop = rated.robust_drop
        found[perturbation.name] = {
            "nominal_pass": asdict(rated.nominal_pass),
            "robust_pass": asdict(rated.robust_pass),
            "robust_drop": None if drop is None else asdict(drop),
            "versions": len(after),
            "lost": len(before) - len(known),
        }
    worst: Flags = {problem.task_id: _all([flags[problem.task_id] for flags in every]) for problem in problems}
    share = _share(worst)
    found[WORST] = {
        "robust_pass": {name: share[name] for name in Estimate.__dataclass_fields__},
        "outcomes": share["outcomes"],
        "versions": len(every),
        "lost": share["lost"],
    }
    return found


def _all(flags: Sequence[bool | None]) -> bool | None:
    """False if any is false; otherwise unknown if any is unknown; otherwise true."""
    return False if False in flags else None if None in flags else True


def _share(flags: Mapping[str, bool | None]) -> dict[str, Any]:
    """The share of problems solved among those with a verdict."""
    known = {name: flag for name, flag in flags.items() if flag is not None}
    if not known:
        raise UserError("no program got a verdict.", remedy="Run fewer jobs in parallel.")
    rate = wilson(sum(known.values()), len(known))
    return {**asdict(rate), "outcomes": known, "lost": len(flags) - len(known)}
