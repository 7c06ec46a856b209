"""A generator's outcomes on prompts and their perturbed versions: one verdict per completion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.data.problems import Problem
from lilliput.progress import Progress
from lilliput.runtime.settings import Settings
from lilliput.verbs.completers import Asked, Completer, GeneratorSource, open_completer
from lilliput.verbs.evaluate.generator import attempts_of, completions
from lilliput.verbs.kept import Kept, key_of
from lilliput.verbs.programs import Programs

ON = ("prompt", "partial")
"""What is perturbed: plain prompts, or prompts that include the first half of the solution."""

FAILED, PASSED, NO_VERDICT = 0, 1, 2

Versions = Mapping[int, Sequence[Problem]]
Verdicts = NDArray[np.int64]


@dataclass(frozen=True)
class Variant:
    """A perturbation of all problems.

    Attributes:
        name: name of the perturbation.
        family: its family.
        on: see :data:`ON`.
        versions: seed -> the problems, in the order of the nominal ones.
    """

    name: str
    family: str
    on: str
    versions: Versions


@dataclass(frozen=True)
class Prompts:
    """The prompts for the models.

    Attributes:
        nominal: what is perturbed -> the unperturbed problems.
        variants: the perturbations.
    """

    nominal: Mapping[str, Sequence[Problem]]
    variants: Sequence[Variant]

    @property
    def task_ids(self) -> list[str]:
        """Names of the problems."""
        return [problem.task_id for problem in self.nominal[ON[0]]]

    @property
    def lists(self) -> dict[str, list[Sequence[Problem]]]:
        """Name of what is perturbed, or of a perturbation -> its versions; nominal prompts have one."""
        used = [on for on in ON if any(variant.on == on for variant in self.variants)]
        versions = {variant.name: list(variant.versions.values()) for variant in self.variants}
        return {**{on: [self.nominal[on]] for on in used}, **versions}

    @property
    def hashes(self) -> dict[str, str]:
        """A hash of the prompts in each list."""
        return {
            name: key_of("prompts", [[[one.task_id, one.prompt] for one in version] for version in versions])
            for name, versions in self.lists.items()
        }


@dataclass(frozen=True)
class Outcomes:
    """A model's verdicts on all prompts.

    Attributes:
        name: name of the model.
        model: facts about it.
        task_ids: names of the problems.
        verdicts: as :attr:`Prompts.lists`, ``[versions, problems, n]`` of :data:`FAILED`, :data:`PASSED` or
            :data:`NO_VERDICT`.
        hashes: hashes of the prompts.
    """

    name: str
    model: Mapping[str, Any]
    task_ids: Sequence[str]
    verdicts: Mapping[str, Verdicts]
    hashes: Mapping[str, str]

    def judged(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Mask ``[problems]`` of those with a verdict in all versions of these lists."""
        known = [(self.verdicts[name] != NO_VERDICT).all(axis=(0, 2)) for name in names]
        return np.asarray(np.all(known, axis=0), np.bool_)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values. Each version is a list of strings, one per sample, with one digit per problem."""
        return {
            "task_ids": list(self.task_ids),
            "digits": {"failed": FAILED, "passed": PASSED, "no verdict": NO_VERDICT},
            "verdicts": {
                name: [["".join(map(str, sample)) for sample in version.T.tolist()] for version in table]
                for name, table in self.verdicts.items()
            },
            "prompts_sha256": dict(self.hashes),
        }


class _Within(Progress):
    """Counts steps of a part as steps of the whole, because two progress bars would fight for the terminal."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance, self.done = advance, 0

    @contextmanager
    def track(self, what: str, total: int) -> Iterator[Callable[..., None]]:
        """Advance the whole."""

        def advance(steps: int = 1, note: str = "") -> None:
            self.done += steps
            self._advance(steps)

        yield advance


@dataclass(frozen=True)
class Runner:
    """Completes and judges, reusing kept results.

    Attributes:
        settings: settings of the completions.
        kept: kept results.
        programs: how programs are run.
        threads, precision: for the models.
        progress: shown while working.
    """

    settings: Settings
    kept: Kept
    programs: Programs
    threads: int | None
    precision: str
    progress: Progress

    def outcomes(self, model: str, prompts: Prompts) -> Outcomes:
        """The outcomes of ``model`` on ``prompts``.

        Raises:
            UserError: it cannot be opened, or nothing can be completed.
        """
        completer = open_completer(GeneratorSource(model, self.threads, self.precision), self.progress.note)
        lists = prompts.lists
        total = sum(len(version) for versions in lists.values() for version in versions)
        verdicts = {}
        with self.progress.track(f"{completer.name}: prompts and their versions", total) as advance:
            for name, versions in lists.items():
                verdicts[name] = np.stack([self._judged(completer, version, advance) for version in versions])
        return Outcomes(completer.name, dict(completer.facts), prompts.task_ids, verdicts, prompts.hashes)

    def _judged(self, completer: Completer, problems: Sequence[Problem], advance: Callable[[int], None]) -> Verdicts:
        """Verdicts ``[problems, n]``."""
        asked = [Asked(problem, problem.prompt) for problem in problems]
        within = _Within(advance)
        made = completions(completer, asked, self.settings, self.kept, within)
        tried = attempts_of(problems, made, False, self.programs, self.kept, Progress())
        advance(len(problems) - within.done)  # those kept from before
        verdicts = [[one.judgement.verdict for one in tried[problem.task_id]] for problem in problems]
        return np.array([[NO_VERDICT if one is None else int(one) for one in row] for row in verdicts])
