"""The input of a page: results by kind, models with distinct names, and the reference model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lilliput.errors import UserError
from lilliput.evaluate.passk import Tries
from lilliput.report import Evidence, as_number, clean, look_up
from lilliput.report.kinds import COMPARISON, FLIPS, GENERATOR, RECODE, REPOSITORY, SUMMARIES
from lilliput.report.reading import NO_VERDICT, Result

BENCHMARKS: Mapping[str, str] = {"humaneval": "HumanEval", "mbpp": "MBPP"}
"""Task in a result -> its usual name."""


@dataclass(frozen=True)
class Attempted:
    """A model's attempts at one problem.

    Attributes:
        task_id: name of the problem.
        tries: completions with a verdict, and how many passed; ``None``: there are none.
        completions: as in the result.
    """

    task_id: str
    tries: Tries | None
    completions: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Run:
    """A generator's result on a benchmark.

    Attributes:
        name: the model's name on the page.
        result: the file.
        problems: by name.
    """

    name: str
    result: Result
    problems: Mapping[str, Attempted]

    @property
    def values(self) -> Mapping[str, Any]:
        """The content of the file."""
        return self.result.values

    @property
    def benchmark(self) -> str:
        """The benchmark's usual name."""
        return BENCHMARKS.get(self.values["task"], clean(self.values["task"]))

    @property
    def data(self) -> str | None:
        """SHA-256 of the problems' file."""
        found = look_up(self.values, "data", "sha256") or look_up(self.values, "data", "problems", "sha256")
        return found if isinstance(found, str) else None

    @property
    def counted(self) -> list[Attempted]:
        """The problems with a verdict."""
        return [one for one in self.problems.values() if one.tries is not None]

    @property
    def is_single(self) -> bool:
        """Whether each problem was tried once."""
        return all(len(one.completions) == 1 for one in self.problems.values())

    @property
    def solved(self) -> int:
        """Number of problems that at least one completion passed."""
        return sum(one.tries is not None and one.tries.passed > 0 for one in self.problems.values())

    def number(self, *keys: str) -> float | None:
        """The finite number at a path of keys, if there is one."""
        return as_number(look_up(self.values, *keys))

    def pass_at(self, k: int) -> tuple[float, float, float] | None:
        """The estimate of pass@k and the ends of its interval."""
        value, ends = self.values.get(f"pass@{k}"), look_up(self.values, "intervals", f"pass@{k}")
        return None if value is None or ends is None else (value, ends[0], ends[1])


@dataclass(frozen=True)
class Given:
    """Everything but classifiers' evaluations, in the order given.

    Attributes:
        runs: generators on benchmarks.
        artifacts: generators' folders.
        comparisons, flips, recode, summaries, repositories: results of these kinds.
        reference: name of the model that the others are compared with; ``None``: there are no runs.
    """

    runs: Sequence[Run] = ()
    artifacts: Sequence[Evidence] = ()
    comparisons: Sequence[Result] = ()
    flips: Sequence[Result] = ()
    recode: Sequence[Result] = ()
    summaries: Sequence[Result] = ()
    repositories: Sequence[Result] = ()
    reference: str | None = field(default=None)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__dataclass_fields__)

    @property
    def names(self) -> list[str]:
        """The distinct names of generators, the reference first."""
        found = dict.fromkeys([*(run.name for run in self.runs), *(one.name for one in self.artifacts)])
        return sorted(found, key=lambda name: name != self.reference)

    def runs_of(self, name: str) -> list[Run]:
        """The runs of a model."""
        return [run for run in self.runs if run.name == name]

    def bytes_of(self, name: str) -> float | None:
        """A model's bytes on disk, from its evaluation, its folder or a comparison."""
        compared = [model for one in self.comparisons for model in one.values["models"] if model["name"] == name]
        sizes = [
            *(run.number("bytes", "total") for run in self.runs_of(name)),
            *(one.total_bytes for one in self.artifacts if one.name == name),
            *(as_number(model["bytes"]["total"]) for model in compared),
        ]
        return next((size for size in sizes if size is not None), None)


_FIELDS = {
    COMPARISON: "comparisons",
    FLIPS: "flips",
    RECODE: "recode",
    SUMMARIES: "summaries",
    REPOSITORY: "repositories",
}
"""Kind of a result -> its field of :class:`Given`."""


def gathered(results: Sequence[Result], artifacts: Sequence[Evidence] = (), reference: str | None = None) -> Given:
    """Sort results by kind.

    Args:
        results: in the order given; classifiers' evaluations are left out.
        artifacts: generators' folders.
        reference: name of the model that the others are compared with; ``None``: the first that was evaluated.

    Raises:
        UserError: no model that was evaluated has the reference's name.
    """
    runs = _named_apart([run_of(result) for result in results if result.kind == GENERATOR])
    names = list(dict.fromkeys(run.name for run in runs))
    if reference is not None and names and reference not in names:
        raise UserError(
            f"no model that was evaluated is called '{clean(reference)}'.",
            where="--reference",
            remedy=f"Use one of: {', '.join(map(clean, names))}.",
        )
    others = {name: [result for result in results if result.kind == kind] for kind, name in _FIELDS.items()}
    first = (reference or names[0]) if names else None
    return Given(runs=runs, artifacts=artifacts, reference=first, **others)


def run_of(result: Result) -> Run:
    """Build a run from a result, counting the completions of each problem."""
    problems = {}
    for problem in result.values["problems"]:
        outcomes = [one["outcome"] for one in problem["completions"] if one["outcome"] != NO_VERDICT]
        tries = Tries(len(outcomes), outcomes.count("passed")) if outcomes else None
        problems[problem["task_id"]] = Attempted(problem["task_id"], tries, problem["completions"])
    return Run(result.name, result, problems)


def _named_apart(runs: Sequence[Run]) -> list[Run]:
    """Results of one name are taken for one model's, unless they share a benchmark or are evidently of two models."""
    seen: dict[str, list[Run]] = {}
    apart = []
    for run in runs:
        name, number = run.name, 1
        while any(not _may_be_one(run, other) for other in seen.get(name, [])):
            number += 1
            name = f"{run.name} ({number})"
        seen.setdefault(name, []).append(run)
        apart.append(replace(run, name=name))
    return apart


_IDENTITY = (("model", "manifest_sha256"), ("model", "kind"), ("model", "precision"), ("bytes", "total"))


def _may_be_one(run: Run, other: Run) -> bool:
    if (run.values["task"], run.data) == (other.values["task"], other.data):
        return False
    pairs = [(look_up(run.values, *keys), look_up(other.values, *keys)) for keys in _IDENTITY]
    return all(one == another or None in (one, another) for one, another in pairs)
