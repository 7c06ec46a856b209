"""``compare``: the costs of an original and its compressed models on this machine, taking turns in rounds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.artifact import CLASSIFIER, GENERATOR, is_artifact
from lilliput.data.dataset import Dataset
from lilliput.data.tables import Columns
from lilliput.errors import UserError, refuse_absurd, refuse_unused, require_whole
from lilliput.evaluate import carbon, money, resources
from lilliput.files import write_json
from lilliput.progress import Progress
from lilliput.tasks import task_named
from lilliput.verbs.compare.process import MeasuredProcess, start
from lilliput.verbs.compare.result import Comparison, Measured, Reference, Turn
from lilliput.verbs.compare.subjects import Compared, identified, task_of
from lilliput.verbs.completers import refuse_precision
from lilliput.verbs.kept import refuse_inputs, refuse_unwritable

STARTS = 3
"""Cold starts of each model; the last process stays and is measured."""

CALLS = 20
"""Functions, and examples, per classifier and turn."""

EXAMPLES = 256
"""Maximum number of distinct examples, drawn from the data."""

FEWEST_ROUNDS, SHORTEST = 6, 3
"""See :data:`lilliput.evaluate.paired.FEWEST`; tokens of the shortest input: one, plus the two that frame it."""

TOKENS: Mapping[str, int] = {GENERATOR: 256, CLASSIFIER: 400}
"""Kind -> default length of a prompt or an input."""


@dataclass(frozen=True)
class CompareSettings:
    """How models are compared.

    Attributes:
        rounds: number of rounds; every model has one turn in each.
        tokens: length of a generator's prompt, or of a classifier's input; ``None``: :data:`TOKENS`.
        new_tokens: tokens that a generator writes in each round.
        threads: processor threads per model; ``None``: 1 for classifiers, all usable cores for generators.
        precision: precision for running generators' checkpoints: ``fp32`` or ``bf16``.
    """

    rounds: int = 10
    tokens: int | None = None
    new_tokens: int = 32
    threads: int | None = None
    precision: str = "fp32"

    def __post_init__(self) -> None:
        refuse_absurd(vars(self))
        for name, least in (("rounds", FEWEST_ROUNDS), ("tokens", SHORTEST), ("new_tokens", 1), ("threads", 1)):
            value = getattr(self, name)
            if value is not None:
                require_whole(value, least, f"--{name.replace('_', '-')}")


def compare(
    models: Sequence[str | Path],
    *,
    task: str | None = None,
    data: str | Path | Sequence[str | Path] = (),
    tokenizer: str | Path | None = None,
    columns: Columns | None = None,
    settings: CompareSettings | None = None,
    intensity: carbon.Intensity = carbon.DEFAULT,
    price_per_hour: float | None = None,
    out: str | Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Comparison:
    """Measure models of one kind side by side; the first is the original.

    Each runs in its own process. All are loaded first and then take turns, so that slow moments of the machine affect
    all alike; they are in memory at the same time.

    Args:
        models: artifacts and checkpoints: folders, files or hub ids; classifiers or generators.
        task: task of classifiers that do not state it (artifacts do).
        data: files of examples to also time classifiers on, at their natural length; labels are not needed.
        tokenizer: tokenizer for classifiers' checkpoints without their own.
        columns: names of the columns of tables.
        settings: how to compare.
        intensity: grams of CO2 equivalent per kilowatt-hour.
        price_per_hour: US dollars per hour of a machine with that many threads; ``None``: an assumed price.
        out: ``.json`` file to write the result to.
        command: recorded in the result.
        progress: shown while working.

    Raises:
        UserError: bad input, models of different kinds, or a model that cannot be run; the message names it.
        MissingExtra: a checkpoint's extra is not installed.
    """
    settings, progress = settings or CompareSettings(), progress or Progress()
    if out is not None:  # fail before the work, not after
        refuse_inputs(Path(out), [*models, data, tokenizer])
        refuse_unwritable(Path(out))
    compared = identified(models)
    kind = compared[0].kind
    threads = settings.threads or (1 if kind == CLASSIFIER else resources.usable_cores())
    there = os.cpu_count()
    if there is not None and threads > there:
        raise UserError(f"{threads:,} is more than this machine's {there} processors.", where="--threads")
    columns = columns or Columns()
    goes_with = {
        "--task": (bool(task), CLASSIFIER),
        "--data": (bool(data), CLASSIFIER),
        "--tokenizer": (bool(tokenizer), CLASSIFIER),
        "--code-column": (bool(columns.code), CLASSIFIER),
        "--second-column": (bool(columns.second), CLASSIFIER),
        "--new-tokens": (settings.new_tokens != CompareSettings.new_tokens, GENERATOR),
        "--precision": (settings.precision != CompareSettings.precision, GENERATOR),
    }
    refuse_unused(
        {
            option: (given and other != kind, f"goes with {other}s, and these are {kind}s")
            for option, (given, other) in goes_with.items()
        }
    )
    refuse_unused(
        {
            "--tokenizer": (
                bool(tokenizer) and all(is_artifact(one.path) for one in compared),
                "goes with checkpoints, and these are artifacts",
            ),
            "--code-column": (bool(columns.code) and not data, "goes with --data"),
            "--second-column": (bool(columns.second) and not data, "goes with --data"),
        }
    )
    price = money.price_of(threads, price_per_hour)
    request: dict[str, Any] = {"kind": kind, "threads": threads}
    dataset = None
    if kind == CLASSIFIER:
        task = task_of(compared, task)
        request |= {"task": task, "tokenizer": None if tokenizer is None else str(tokenizer)}
        dataset = task_named(task).read(data, columns, None, False) if data else None
    else:
        refuse_precision(settings.precision, [str(one.path) for one in compared])
        request["precision"] = settings.precision
    notes: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lilliput-compare-")))
        starts, running = _started(compared, request, folder, stack, progress)
        reference = start(stack, "reference", {"kind": "reference", "threads": threads}, threads, folder)
        reference.answer()
        tokens = _tokens(settings, kind, running, notes)
        how = _prepared(kind, tokens, settings, [process for process, _ in running], dataset)
        rounds = _Rounds(reference, {process.name: process for process, _ in running}, how)
        rounds.run(settings.rounds, progress)
        memory = {process.name: process.ask("memory") for process, _ in running}
        peaks = {process.name: process.end() for process, _ in running}
    for note in notes:
        progress.note(note)
    measured = [
        Measured(p.name, facts, starts[p.name], rounds.turns[p.name], memory[p.name], peaks[p.name])
        for p, facts in running
    ]
    result = Comparison(
        kind=kind,
        models=measured,
        reference=Reference(**rounds.reference_times),
        settings={**asdict(settings), "tokens": tokens, "threads": threads, "starts": STARTS, "calls": CALLS}
        | ({"task": task} if kind == CLASSIFIER else {}),
        price=price,
        intensity=intensity,
        machine=resources.machine(),
        data=None if dataset is None else {"sources": list(dataset.sources), "sha256": dataset.sha256},
        notes=notes,
        command=command,
    )
    if out is not None:
        write_json(Path(out), result.as_dict())
    return result


def _started(
    compared: Sequence[Compared], request: Mapping[str, Any], folder: Path, stack: ExitStack, progress: Progress
) -> tuple[dict[str, list[float]], list[tuple[MeasuredProcess, Mapping[str, Any]]]]:
    """Seconds of each model's cold starts, and the last process of each with the facts it reported."""
    starts: dict[str, list[float]] = {one.name: [] for one in compared}
    running = []
    with progress.track("cold starts", STARTS * len(compared)) as advance:
        for turn in range(STARTS):
            for one in compared:
                with ExitStack() as own:
                    is_last = turn == STARTS - 1
                    holder, asked = stack if is_last else own, {**request, "model": str(one.path)}
                    process = start(holder, one.name, asked, request["threads"], folder)
                    seconds, facts = process.first_answer()
                    starts[one.name].append(seconds)
                    if is_last:
                        running.append((process, facts))
                    else:
                        process.end()
                advance(note=one.name)
    return starts, running


def _tokens(
    settings: CompareSettings,
    kind: str,
    running: Sequence[tuple[MeasuredProcess, Mapping[str, Any]]],
    notes: list[str],
) -> int:
    """The length to measure all models at: the requested one, or the longest that all of them take."""
    wanted = settings.tokens or TOKENS[kind]
    more = settings.new_tokens if kind == GENERATOR else 0
    for process, facts in running:
        longest = facts["longest"]
        if longest is None or wanted + more <= longest:
            continue
        wanted = longest - more
        notes.append(f"{process.name} takes {longest} tokens at most: all are measured at {wanted}")
        if wanted < SHORTEST:
            raise UserError(
                f"{more} new tokens leave no room: {process.name} takes {longest} tokens.",
                where="--new-tokens",
                remedy="Give fewer.",
            )
    return wanted


def _prepared(
    kind: str, tokens: int, settings: CompareSettings, running: Sequence[MeasuredProcess], dataset: Dataset | None
) -> dict[str, Any]:
    """Let models choose their inputs; return question -> details, in the order of a turn."""
    if kind == GENERATOR:
        for process in running:
            process.ask("prepare", tokens=tokens)
        return {"prefill": {}, "decode": {"tokens": settings.new_tokens}}
    part = None
    if dataset is not None:
        part = dataset.subset(np.random.default_rng(0).permutation(len(dataset))[:EXAMPLES])
    texts, members = ((), []) if part is None else (part.texts, part.members.tolist())
    for process in running:
        process.ask("prepare", tokens=tokens, texts=texts, members=members)
    return {name: {"calls": CALLS} for name in ("fixed", *(["natural"] if part else []))}


class _Rounds:
    """Turns of all models, and of the reference.

    Args:
        reference: does the fixed work.
        running: name -> process of the model.
        questions: questions of a turn, with their details.
    """

    def __init__(
        self, reference: MeasuredProcess, running: Mapping[str, MeasuredProcess], questions: Mapping[str, Any]
    ) -> None:
        self.reference, self.running, self.questions = reference, running, questions
        self.reference_times: dict[str, list[float]] = {"product": [], "read": [], "bytes_per_second": []}
        self.turns: dict[str, dict[str, list[Turn]]] = {name: {what: [] for what in questions} for name in running}

    def run(self, rounds: int, progress: Progress) -> None:
        """Run one warm-up round, then the rounds that count."""
        with progress.track("rounds", (rounds + 1) * len(self.running)) as advance:
            for number in range(rounds + 1):
                times = self.reference.ask("measure")
                for name, process in self.running.items():
                    for what, details in self.questions.items():
                        place = {"first": number * CALLS} if "calls" in details else {}
                        answer = process.ask(what, **details, **place)
                        if number:
                            self.turns[name][what].append(Turn(**answer))
                    advance(note=name)
                for key, value in times.items():
                    if number:
                        self.reference_times[key].append(value)
