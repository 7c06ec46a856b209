"""A generator's robustness compared with another's on the same prompts, from the same run or an earlier one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.data.lines import listed, shown
from lilliput.errors import DataError
from lilliput.evaluate.passk import Tries
from lilliput.evaluate.problem_pairs import paired_difference
from lilliput.evaluate.robustness import robustness
from lilliput.evaluate.robustness_pairs import Passes, robustness_difference, tries_of
from lilliput.files import read_json
from lilliput.verbs.robustness.outcomes import NO_VERDICT, PASSED, Outcomes, Prompts, Variant

ALIKE = ("max_new_tokens", "temperature", "top_k", "top_p", "repetition_penalty", "seed", "n", "stop")
"""Settings that decide completions, which two runs must share to be comparable."""

LIMITS = ("seconds", "memory_mb")
"""Limits of programs that decide verdicts."""

EVERYTHING = "all"
"""Name of all perturbations taken together."""

REMEDY = "Measure both with the same options (--data, --limit, --perturbations, --seeds ...), or give the model."


def read_outcomes(path: Path, prompts: Prompts, facts: Mapping[str, Any]) -> Outcomes:
    """Read the outcomes of an earlier run with the same prompts and settings.

    Args:
        path: a result of ``lilliput robustness`` for a generator.
        prompts: prompts of the present run.
        facts: ``settings`` and ``data`` of the present run, as in its result.

    Raises:
        DataError: it is not such a result, or has other prompts or settings; the message names the first difference.
    """
    try:
        values = read_json(path)
        found = _outcomes(values)
        theirs = _decisive(values["settings"])
        data = values["data"]["sha256"]
    except FileNotFoundError as error:
        raise DataError("there is no such file.", where=path, remedy="Check --against.") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"is not a result of a generator's robustness ({type(error).__name__}: {shown(str(error))}).",
            where=path,
            remedy="Give a result of 'lilliput robustness --task humaneval --out', or a model.",
        ) from error
    for name, value in _decisive(facts["settings"]).items():
        if theirs[name] != value:
            raise DataError(f"has {name} {shown(theirs[name])}, not {shown(value)}.", where=path, remedy=REMEDY)
    if data != facts["data"]["sha256"]:
        raise DataError("was measured on another file of problems.", where=path, remedy=REMEDY)
    for name, sha256 in prompts.hashes.items():
        if name not in found.hashes:
            raise DataError(
                f"has no verdicts for {shown(name)}; it has {listed(found.hashes)}.", where=path, remedy=REMEDY
            )
        if found.hashes[name] != sha256:
            raise DataError(f"was measured on other prompts for {shown(name)}.", where=path, remedy=REMEDY)
    return found


def _decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    programs = settings["programs"]
    return {name: settings[name] for name in ALIKE} | {name: programs[name] for name in LIMITS}


def _outcomes(values: Any) -> Outcomes:
    """The inverse of :meth:`Outcomes.as_dict`."""
    told = values["outcomes"]
    problems = len(told["task_ids"])
    verdicts = {}
    for name, versions in told["verdicts"].items():
        table = np.array([[[int(digit) for digit in sample] for sample in version] for version in versions], np.int64)
        if table.ndim != 3 or table.shape[2] != problems or not set(np.unique(table)) <= {*range(NO_VERDICT + 1)}:
            raise ValueError(f"verdicts of {name}")
        verdicts[str(name)] = table.transpose(0, 2, 1)
    hashes = {name: str(told["prompts_sha256"][name]) for name in verdicts}
    return Outcomes(str(values["name"]), dict(values["model"]), list(told["task_ids"]), verdicts, hashes)


def against(ours: Outcomes, theirs: Outcomes, variants: Sequence[Variant]) -> dict[str, Any]:
    """Figures of the reference ``theirs`` and how ``ours`` differs from it; plain JSON values, fractions.

    ``difference`` is that of robust pass and robust drop, ours minus theirs; ``reference`` has the reference's own
    figures on the problems that both have a verdict on. ``all`` combines all perturbations: robust pass in every
    version of all, relative to passing every unperturbed form; and, as ``mean_pass``, the share of versions passed,
    which is more informative than the worst case if there are few problems.

    Raises:
        DataError: no problem has a verdict for both models.
    """
    used = list(dict.fromkeys([*(variant.on for variant in variants), *(variant.name for variant in variants)]))
    judged = ours.judged(used) & theirs.judged(used)
    if not judged.any():
        raise DataError("no problem has a verdict for both models.", remedy="Find out why the sandbox gives none.")
    both = _Both(ours, theirs, judged)
    rows = [
        {"name": one.name, "family": one.family, "on": one.on, **both.line([one.on], [one.name])} for one in variants
    ]
    families = [
        {"name": family, "family": family, **both.line(*_members(variants, family))}
        for family in dict.fromkeys(variant.family for variant in variants)
    ]
    names = [variant.name for variant in variants]
    bases = list(dict.fromkeys(variant.on for variant in variants))
    return {
        "name": theirs.name,
        "model": dict(theirs.model),
        "n": int(judged.sum()),
        "lost": int((~judged).sum()),
        "nominal": {on: both.nominal(on) for on in bases},
        "perturbations": rows,
        "families": families,
        "all": {"name": EVERYTHING, **both.line(bases, names), "mean_pass": both.mean(names)},
    }


def _members(variants: Sequence[Variant], family: str) -> tuple[list[str], list[str]]:
    members = [variant for variant in variants if variant.family == family]
    return list(dict.fromkeys(variant.on for variant in members)), [variant.name for variant in members]


class _Both:
    """Outcomes of both models on the problems that both have a verdict on."""

    def __init__(self, ours: Outcomes, theirs: Outcomes, judged: NDArray[np.bool_]) -> None:
        self.pair = (theirs, ours)  # reference first, as in all comparisons
        self.judged = judged

    def line(self, bases: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
        """Worst case over these perturbations, relative to passing all of these unperturbed forms."""
        first, second = (Passes(np.all(self._flags(one, bases), axis=0), self._flags(one, names)) for one in self.pair)
        reference = robustness(first.nominal, first.perturbed)
        return {"difference": robustness_difference(first, second).as_dict(), "reference": asdict(reference)}

    def nominal(self, on: str) -> dict[str, Any]:
        """Difference of pass@1 on the unperturbed prompts."""
        first, second = (tries_of(self._flags(one, [on])[0]) for one in self.pair)
        return asdict(paired_difference(first, second))

    def mean(self, names: Sequence[str]) -> dict[str, Any]:
        """Difference of the share of versions passed."""
        first, second = (
            [Tries(flags[:, place].size, int(flags[:, place].sum())) for place in range(flags.shape[1])]
            for flags in (self._flags(one, names) for one in self.pair)
        )
        shares = [sum(tries.passed / tries.n for tries in side) / len(side) for side in (first, second)]
        return {"reference": shares[0], "value": shares[1], **asdict(paired_difference(first, second))}

    def _flags(self, one: Outcomes, names: Sequence[str]) -> NDArray[np.bool_]:
        """Pass flags ``[versions, problems, n]`` of these lists, concatenated."""
        verdicts = np.concatenate([one.verdicts[name] for name in names])[:, self.judged]
        return np.asarray(verdicts == PASSED, np.bool_)
