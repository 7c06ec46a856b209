"""``evaluate`` for generators: complete problems, run their tests, and measure what the model costs to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lilliput.constants import NEW_TOKENS
from lilliput.data.completions import form_of, parts_of
from lilliput.data.lines import shown
from lilliput.data.problems import Benchmark, Problem, benchmark_named, read_problems
from lilliput.errors import UserError, refuse_unused, require_whole
from lilliput.evaluate import carbon
from lilliput.evaluate.judging import Judgement, Limits, judged_source
from lilliput.files import sha256_of, write_json
from lilliput.progress import Progress
from lilliput.runtime.settings import Settings
from lilliput.verbs.complete import require_draws
from lilliput.verbs.completers import (
    KINDS,
    Asked,
    Completer,
    GeneratorSource,
    Made,
    Speed,
    kind_of,
    open_completer,
    refuse_precision,
    refuse_threads,
)
from lilliput.verbs.completers.chat import CUT, code_of
from lilliput.verbs.completers.footprint import peak_memory_mb
from lilliput.verbs.kept import Kept, beside, key_of
from lilliput.verbs.programs import Programs, allowed
from lilliput.verbs.tally import Attempt, Tally, checked_ks, tally

RESULT = "evaluation.json"
PROMPTS = ("plain", "chat")


@dataclass(frozen=True)
class GeneratorEvaluation:
    """The result; :meth:`as_dict` is the JSON contract of ``lilliput evaluate`` for generators.

    Attributes:
        name: name of the model.
        task: the benchmark.
        tally: accuracy.
        bytes: bytes on disk by part; ``None``: unknown.
        speed: tokens per second, and energy; ``None``: not measured.
        peak_memory_mb: peak resident memory; ``None``: not measured.
        intensity: carbon intensity of the electricity.
        facts: model, settings, post-processing, data, sandbox, machine, command.
        notes: why something was not measured.
    """

    name: str
    task: str
    tally: Tally
    bytes: Mapping[str, int] | None
    speed: Speed | None
    peak_memory_mb: float | None
    intensity: carbon.Intensity
    facts: Mapping[str, Any]
    notes: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """1 if the figures are not to be trusted."""
        return 1 if self.tally.warning else 0

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values. Fractions, not percent; joules; grams. A warning, if any, comes first."""
        found = self.tally.as_dict()
        found["notes"] += self.notes
        warning = {"warning": found.pop("warning")} if "warning" in found else {}
        return {
            **warning,
            "name": self.name,
            "task": self.task,
            **found,
            "bytes": None if self.bytes is None else dict(self.bytes),
            **_costs(self.speed, self.intensity),
            "peak_memory_mb": self.peak_memory_mb,
            **self.facts,
            "problems": self.tally.records(),
        }


def evaluate_generator(
    model: str | Path,
    task: str,
    data: str | Path,
    *,
    settings: Settings | None = None,
    k: Sequence[int] | None = None,
    prompt: str = "plain",
    strip: bool = False,
    limit: int | None = None,
    challenges: bool = False,
    threads: int | None = None,
    precision: str = "fp32",
    chat_template: str | Path | None = None,
    served: str | None = None,
    workers: int | None = None,
    limits: Limits | None = None,
    unsafe: bool = False,
    costs: bool = True,
    intensity: carbon.Intensity = carbon.DEFAULT,
    out: str | Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> GeneratorEvaluation:
    """Complete a benchmark's problems and run the programs.

    Args:
        model: an artifact's folder, a checkpoint's folder or hub id, or a server's address.
        task: ``humaneval`` or ``mbpp``.
        data: the benchmark's file.
        settings: settings of the completions; by default greedy, at most 320 tokens. If it has no stop strings, plain
            prompts use the benchmark's, and chats none.
        k: values of k for pass@k; those above ``settings.n`` are left out. ``None``: 1, and 10 if there are enough
            completions.
        prompt: ``plain``: the model continues the prompt; ``chat``: it answers the prompt in its chat template.
        strip: strip trailing white space from plain prompts; GPT-2's tokenizers need that, Qwen's do not.
        limit: use only the first ``limit`` problems of the file; ``None``: all.
        challenges: also judge MBPP by ``challenge_test_list``.
        threads: processor threads of the model; ``None`` leaves the choice to the engine.
        precision: precision for a checkpoint, ``fp32`` or ``bf16``.
        chat_template: file with a chat template; ``None``: the model's own.
        served: name of the model on a server.
        workers, limits, unsafe: for the programs, as in :func:`lilliput.verbs.score.score`.
        costs: also measure speed, memory and energy.
        intensity: grams of CO2 equivalent per kilowatt-hour.
        out: ``.json`` file or folder to write the result to; an interrupted run resumes from what is kept beside it.
        command: recorded in the result.
        progress: shown while working.

    Raises:
        UserError: bad input, or nothing can be completed.
        MissingExtra: the model is a checkpoint, and torch or transformers is not installed.
    """
    benchmark, progress = benchmark_named(task), progress or Progress()
    settings = _settled(settings or Settings(max_new_tokens=NEW_TOKENS), prompt, benchmark)
    ks = checked_ks(k)
    if ks is not None and min(ks) > settings.n:
        raise UserError(f"pass@{min(ks)} needs {min(ks)} completions per problem.", where="--k", remedy="Raise --n.")
    if limit is not None:
        require_whole(limit, 1, "--limit")
    chat = prompt == "chat"
    template = None if chat_template is None else str(chat_template)
    source = GeneratorSource(str(model), threads, precision, chat, template, served)
    _refuse_unused(source, benchmark, strip, challenges)
    is_local = KINDS[kind_of(source)].is_local
    words = "goes with --costs and a model that runs here: otherwise no energy is measured"
    refuse_unused({"--carbon-intensity": (intensity != carbon.DEFAULT and not (costs and is_local), words)})
    data = Path(data)
    problems = read_problems(data, benchmark.name, challenges=challenges)[:limit]
    if strip:
        problems = [replace(problem, prompt=problem.prompt.rstrip()) for problem in problems]
    programs = allowed(limits, workers, unsafe)
    target, kept_path = beside(None if out is None else Path(out), RESULT, [model, data, chat_template])
    completer, kept = open_completer(source, progress.note), Kept(kept_path)
    asked = [Asked(problem, benchmark.instruction(problem) if chat else problem.prompt) for problem in problems]
    made = completions(completer, asked, settings, kept, progress)
    attempts = attempts_of(problems, made, chat, programs, kept, progress)
    found = tally(attempts, ks)
    speed = memory = None
    notes = _refusals(made)
    if costs:
        progress.note("timing")
        speed = completer.speed(asked, settings)
        if is_local:
            memory = peak_memory_mb(source, asked, settings.batch, notes.append)
    for note in notes:
        progress.note(note)
    result = GeneratorEvaluation(
        name=completer.name,
        task=benchmark.name,
        tally=found,
        bytes=completer.bytes(),
        speed=speed,
        peak_memory_mb=memory,
        intensity=intensity,
        facts={
            "model": dict(completer.facts),
            "settings": {
                **asdict(settings),
                "stop": list(settings.stops),
                "prompt": prompt,
                "strip": strip,
                "limit": limit,
                "challenges": challenges,
                "threads": threads,
                "programs": programs.settings,
            },
            "postprocessing": _postprocessing(settings, chat),
            "prompts": _prompt_words(benchmark, chat, strip),
            "program": benchmark.program,
            "data": {"source": str(data), "sha256": sha256_of(data), "problems": len(problems)},
            **programs.facts(command),
        },
        notes=notes,
    )
    if target is not None:
        write_json(target, result.as_dict())
    return result


def completions(
    completer: Completer, asked: Sequence[Asked], settings: Settings, kept: Kept, progress: Progress
) -> dict[str, list[Made]]:
    """``settings.n`` completions of each problem; kept ones are reused, except failures of a server."""
    how = {name: value for name, value in asdict(settings).items() if name != "n"}

    def key(one: Asked, sample: int) -> str:
        chat = completer.source.chat
        return key_of("completion", completer.identity, completer.facts["chat_template"], chat, one.text,
                      one.problem.task_id, how, sample)  # fmt: skip

    keys = {one.problem.task_id: [key(one, sample) for sample in range(settings.n)] for one in asked}
    missing = [one for one in asked if not all(key in kept.found for key in keys[one.problem.task_id])]
    missing.sort(key=lambda one: len(one.text))  # similar lengths need little padding
    failed: dict[str, Made] = {}
    stride = max(1, settings.batch // settings.n)
    with progress.track(f"{completer.name}: completing problems", len(missing)) as advance:
        for first in range(0, len(missing), stride):
            part = missing[first : first + stride]
            for one, row in zip(part, completer.complete(part, settings), strict=True):
                for name, made in zip(keys[one.problem.task_id], row, strict=True):
                    if made.failure and not made.is_model_s:
                        failed[name] = made
                    else:
                        kept.add(name, asdict(made))
            advance(len(part))
    return {
        name: [failed[key] if key in failed else Made(**kept.found[key]) for key in row] for name, row in keys.items()
    }


def _refusals(made: Mapping[str, Sequence[Made]]) -> list[str]:
    """A note on how many prompts the model refused, with the first reason."""
    reasons = [row[0].failure for row in made.values() if row[0].failure and row[0].is_model_s]
    return [f"the model refused {len(reasons):,} of {len(made):,} prompts; the first: {reasons[0]}"] if reasons else []


def _settled(settings: Settings, prompt: str, benchmark: Benchmark) -> Settings:
    """The settings with the effective stop strings.

    Raises:
        UserError: invalid or conflicting options.
    """
    if prompt not in PROMPTS:
        raise UserError(
            f"{shown(prompt)} is not a kind of prompt.", where="--prompt", remedy=f"Use {', '.join(PROMPTS)}."
        )
    require_draws(settings)
    stops = settings.stops or (() if prompt == "chat" else benchmark.stops)
    return replace(settings, stop=stops)


def _refuse_unused(source: GeneratorSource, benchmark: Benchmark, strip: bool, challenges: bool) -> None:
    kind = kind_of(source)
    framed = source.chat and KINDS[kind].is_local
    refuse_precision(source.precision, [source.model])
    refuse_unused(
        {
            "--chat-template": (
                source.chat_template is not None and not framed,
                "goes with --prompt chat and a model that runs here",
            ),
            "--served": (source.served is not None and kind != "endpoint", "goes with a server's address"),
            "--strip": (strip and source.chat, "goes with --prompt plain"),
            "--challenges": (challenges and benchmark.name != "mbpp", "goes with --task mbpp"),
        }
    )
    refuse_threads(source.threads, [source.model])


def attempts_of(
    problems: Sequence[Problem],
    made: Mapping[str, Sequence[Made]],
    chat: bool,
    programs: Programs,
    kept: Kept,
    progress: Progress,
) -> dict[str, list[Attempt]]:
    """Judge every completion; failed ones are not run."""
    attempts: dict[str, list[Attempt]] = {problem.task_id: [] for problem in problems}
    rows = [(problem, one, *_program(problem, one, chat)) for problem in problems for one in made[problem.task_id]]
    sources = [source for _, one, source, _ in rows if not one.failure]
    verdicts = iter(programs.judged(sources, kept, progress))
    for problem, one, _, record in rows:
        blame = Judgement("error" if one.is_model_s else "runner", one.failure)
        judgement = blame if one.failure else next(verdicts)
        told = {"text": one.text, "tokens": one.tokens, "finish": one.finish, **record}
        attempts[problem.task_id].append(Attempt(problem.task_id, judgement, told))
    return attempts


def _program(problem: Problem, made: Made, chat: bool) -> tuple[str, dict[str, Any]]:
    """The program to run, and a record of how it was made."""
    code, cut = code_of(made.text, problem) if chat else (made.text, "stops")
    form = form_of(problem, code, "auto") if chat else "completion"
    record = {"cut": cut, "form": form, "empty": not code.strip()}
    return judged_source(parts_of(problem, code, form), problem.tests), record | ({"code": code} if chat else {})


def _postprocessing(settings: Settings, chat: bool) -> list[str]:
    stops = f"a completion ends before the first of these: {', '.join(map(repr, settings.stops))}"
    words = [stops] if settings.stops else []
    if chat:
        whole = "code that defines the function itself is a whole program, and the prompt is run before it; any other "
        return [*words, CUT, whole + "continues the prompt"]
    return [*words, "nothing else is cut; each completion continues the prompt"]


def _prompt_words(benchmark: Benchmark, chat: bool, strip: bool) -> str:
    if chat:
        return "one question, in the model's chat template: what to write, and to answer with one Python code block"
    return benchmark.prompt + (", without trailing white space" if strip else "")


def _costs(speed: Speed | None, intensity: carbon.Intensity) -> dict[str, Any]:
    """Speed, energy and carbon; ``None`` if not measured."""
    rates = {
        "decode_tokens_per_s": None if speed is None else speed.decode_tokens_per_s,
        "prefill_tokens_per_s": None if speed is None else speed.prefill_tokens_per_s,
        "throughput_method": "not measured" if speed is None else speed.method,
    }
    if speed is None or speed.energy is None or not speed.tokens:
        return {**rates, "energy": None, "carbon": None}
    joules = speed.energy.joules / speed.tokens
    return {
        **rates,
        "energy": {
            "joules_per_token": joules,
            "kind": speed.energy.kind,
            "n": speed.tokens,
            "method": f"per generated token, reading the prompts included; {speed.energy.method}",
        },
        "carbon": {
            "grams_co2e_per_token": carbon.grams(joules, intensity),
            "intensity": asdict(intensity),
        },
    }
