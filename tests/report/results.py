"""Results as other verbs write them, built by their own dataclasses from given figures; all texts are invented."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.evaluate import carbon, money
from lilliput.evaluate.energy import Energy
from lilliput.evaluate.faithfulness import faithfulness
from lilliput.evaluate.flips import Flips, RewriteFlips
from lilliput.evaluate.intervals import wilson
from lilliput.evaluate.judging import Judgement
from lilliput.evaluate.robustness import robustness
from lilliput.report.given import Given, gathered
from lilliput.report.reading import checked
from lilliput.verbs.compare.result import Comparison, Measured, Reference, Turn
from lilliput.verbs.completers import Speed
from lilliput.verbs.evaluate import GeneratorEvaluation
from lilliput.verbs.robustness import RobustnessResult
from lilliput.verbs.robustness.against import against
from lilliput.verbs.robustness.generator import GeneratorRobustness, Line
from lilliput.verbs.robustness.outcomes import Outcomes, Variant
from lilliput.verbs.tally import Attempt, tally

MACHINE = {"cpu": "a CPU", "cores": 2, "python": "3.11.0", "date": "2026-01-01T00:00:00+00:00"}
SETTINGS: dict[str, Any] = {
    "max_new_tokens": 320,
    "temperature": 0.0,
    "top_p": 1.0,
    "seed": 0,
    "n": 1,
    "stop": ["\ndef "],
    "prompt": "plain",
    "strip": False,
    "threads": 2,
    "programs": {"workers": 2, "seconds": 10.0, "memory_mb": 1024},
}


def passes(solved: int, of: int = 164, flipped: Sequence[int] = ()) -> list[bool]:
    """Outcomes in which the first ``solved`` problems pass, except that those in ``flipped`` are inverted."""
    return [(place < solved) != (place in flipped) for place in range(of)]


def evaluation(
    name: str,
    solved: Sequence[bool | Sequence[str]],
    *,
    task: str = "humaneval",
    total: int | None = 2_000_000_000,
    speed: float | None = 10.0,
    settings: Mapping[str, Any] | None = None,
    texts: Mapping[int, str] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The result of ``lilliput evaluate``. ``solved``: for each problem, whether it passed, or its outcomes."""
    attempts = {}
    for place, item in enumerate(solved):
        outcomes = ["passed" if item else "wrong"] if isinstance(item, bool) else item
        text = (texts or {}).get(place, f"    return {place}\n")
        attempts[f"Task/{place}"] = [
            Attempt(f"Task/{place}", Judgement(one, "" if one == "passed" else "AssertionError"), {"text": text})
            for one in outcomes
        ]
    energy = Energy(512.0, 1.0, 2.0, "estimated", "processor seconds x 15 W")
    found = GeneratorEvaluation(
        name=name,
        task=task,
        tally=tally(attempts, None),
        bytes=None if total is None else {"total": total, "weights": total - 7, "tokenizer": 7},
        speed=None if speed is None else Speed(100.0, speed, 256, energy, "a timing of its own"),
        peak_memory_mb=900.0,
        intensity=carbon.DEFAULT,
        facts={
            "model": {"kind": "artifact"},
            "settings": {**SETTINGS, **(settings or {})},
            "postprocessing": ["nothing is cut"],
            "prompts": "the file's",
            "program": "prompt + completion, then test",
            "data": {"source": "problems.jsonl", "sha256": "ab" * 32, "problems": len(solved)},
            "sandbox": {"network": True, "files": True, "refused": "", "unsafe": False},
            "machine": MACHINE,
            "command": f"lilliput evaluate {name}",
        },
    )
    return {**json.loads(json.dumps(found.as_dict())), **changes}


def comparison(
    original: str = "original",
    other: str = "small",
    *,
    noisy: bool = False,
    faster: float = 7.0,
    kind: str = "generator",
) -> dict[str, Any]:
    """The result of ``lilliput compare`` for two models; ``noisy``: on a machine too noisy for ratios."""
    rounds = np.random.default_rng(0).normal(1.0, 0.02, (4, 12)).tolist()
    phases = {"generator": ("prefill", "decode"), "classifier": ("fixed", "natural")}[kind]

    def measured(name: str, row: int, seconds: float, size: int) -> Measured:
        turns = [
            Turn(4, [seconds * drift] * 4, seconds * 4 * drift, 1.0, "estimated", "not measured, because of tests", 0.1)
            for drift in rounds[row]
        ]
        facts = {"runs_in": "OpenVINO", "bytes": {"total": size}, "weight_bytes_per_token": None}
        memory = {"resident_mb": size / 1e6, "private_mb": size / 2e6, "idle_cores": 0.0}
        return Measured(name, facts, [1.0, 1.1, 1.05], dict.fromkeys(phases, turns), memory, size / 1e6)

    reference = [value * (1 + 0.5 * noisy * (place % 2)) for place, value in enumerate(rounds[2])]
    found = Comparison(
        kind=kind,
        models=[measured(original, 0, 0.07, 2_000_000_000), measured(other, 1, 0.07 / faster, 500_000_000)],
        reference=Reference(reference, rounds[3], rounds[3]),
        settings={"rounds": 12, "threads": 2},
        price=money.price_of(2, None),
        intensity=carbon.DEFAULT,
        machine=MACHINE,
        data=None,
        notes=[],
        command="lilliput compare original small",
    )
    values: dict[str, Any] = json.loads(json.dumps(found.as_dict()))
    return values


def flips(name: str = "student", teacher: str | None = "teacher") -> dict[str, Any]:
    """The result of ``lilliput robustness`` for a classifier."""

    def lines(count: int) -> Flips:
        def line(rewrite: str, flipped: int) -> RewriteFlips:
            share = wilson(flipped, 100)
            return RewriteFlips(rewrite, 100, 120, 3, share, share, 4, 2, wilson(70, 120), wilson(60, 120))

        rows = (line("rename_variables", count), line("dead_code", 0))
        return Flips("c", (0,), 120, wilson(75, 120), rows, line("any", count))

    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(120, 2)), random.integers(0, 2, 120)
    faithful = None if teacher is None else faithfulness(logits, logits + 0.3, labels)
    found = RobustnessResult(
        name, "vulnerability", 120, lines(12), None, teacher, faithful, None if teacher is None else lines(5),
        ("test.jsonl",), "ef" * 32, "lilliput robustness student",
    )  # fmt: skip
    values: dict[str, Any] = json.loads(json.dumps(found.as_dict()))
    return values


def recode(name: str = "small", original: str | None = None) -> dict[str, Any]:
    """The result of ``lilliput robustness`` for a generator, perhaps against one that loses one problem fewer."""
    before = np.array(passes(20, 40))[:, None]
    lines, verdicts = [], []
    for perturbation, lost in (("typos", 2), ("camel_case", 10)):
        after = np.array([passes(20 - lost, 40), passes(20, 40)])[..., None]
        verdicts.append(after)
        lines.append(Line(perturbation, "docstring", "prompt", 1.0, robustness(before, after)))
    nominal = {"prompt": lines[0].scores.nominal_pass}
    facts = {"data": {"sha256": "ab" * 32}, "command": "made up"}
    names = {"prompt": before[None], "typos": verdicts[0], "camel_case": verdicts[1]}
    ids, hashes = [f"Task/{place}" for place in range(40)], dict.fromkeys(names, "00")
    ours = Outcomes(name, {}, ids, {key: table.astype(np.int64) for key, table in names.items()}, hashes)
    compared = None
    if original is not None:
        other = {key: np.where(np.arange(40)[:, None] == 19, 1, table) for key, table in ours.verdicts.items()}
        variants = [Variant(line.name, line.family, line.on, {}) for line in lines]
        compared = against(ours, Outcomes(original, {}, ids, other, hashes), variants)
    found = GeneratorRobustness(name, 40, 0, nominal, lines, lines[1:], facts, compared, ours)
    values: dict[str, Any] = json.loads(json.dumps(found.as_dict()))
    return values


def repository(name: str = "small") -> dict[str, Any]:
    """The result of ``evaluate_repository``."""
    share = dataclasses.asdict(wilson(30, 60))
    score = {"exact": share, "similarity": share}
    tokens = {"perplexity": {"value": 5.5, "low": 5.0, "high": 6.0, "n": 9}, "every": {"top1": share}, "code": None}
    lines = {"model": score, "baselines": {"copied line": score}, "places": 60}
    return {"name": name, "task": "repository", "next_token": tokens, "lines": lines, "data": {"sha256": "12" * 32}}


def summaries(name: str = "small") -> dict[str, Any]:
    """The result of ``evaluate_summarization``."""
    scores = {key: {"value": 12.3, "low": 11.0, "high": 13.5, "n": 50} for key in ("bleu4", "rouge_l", "chrf")}
    return {"name": name, "task": "summarization", "n": 50, **scores, "baselines": {"name": scores}}


def given_of(*values: Mapping[str, Any], reference: str | None = None) -> Given:
    """All of these results, as files ``0.json`` and so on."""
    results = [checked(value, Path(f"{place}.json")) for place, value in enumerate(values)]
    return gathered(results, reference=reference)
