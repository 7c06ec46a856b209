"""``evaluate`` for summarization: compare a generator's summaries of functions with human-written ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from lilliput.data.summarization import Summarized, SummaryData, read_summaries
from lilliput.errors import UserError, require_whole
from lilliput.evaluate import resources
from lilliput.evaluate.summaries import SummaryComparison, score_summaries
from lilliput.files import write_json
from lilliput.progress import Progress
from lilliput.runtime.generator import Generator
from lilliput.runtime.settings import Options, Settings
from lilliput.tasks.summarization import CUTS, FORM_OF_FAMILY, FORMS
from lilliput.verbs.evaluate.tasks import SUMMARIZATION, artifact_of
from lilliput.verbs.kept import KeptRows, artifact_key, beside

RESULT = "summarization.json"


@dataclass(frozen=True)
class SummarizationSettings:
    """How to generate summaries.

    Attributes:
        form: name in :data:`~lilliput.tasks.summarization.FORMS`; ``None``: the family's.
        cut: name in :data:`~lilliput.tasks.summarization.CUTS`: the part of the answer that counts; ``None``: the
            form's.
        language: language of the functions, if the data do not state it.
        examples: number of examples to sample; ``None``: all.
        seed: random seed of the sample.
        code_tokens: maximum tokens of a function; the rest is cut off.
        max_new_tokens: maximum tokens of a summary.
        beams: beam width; 1: greedy decoding.
        batch: sequences per batch.

    Raises:
        UserError: a value is invalid.
    """

    form: str | None = None
    cut: str | None = None
    language: str | None = None
    examples: int | None = None
    seed: int = 0
    code_tokens: int = 512
    max_new_tokens: int = 64
    beams: int = 1
    batch: int = 8

    def __post_init__(self) -> None:
        for where, name, table in (("form", self.form, FORMS), ("cut", self.cut, CUTS)):
            if name is not None and name not in table:
                raise UserError(f"there is no '{name}'.", where=where, remedy=f"Choose one of: {', '.join(table)}.")
        for name, value in (("examples", self.examples), ("code_tokens", self.code_tokens)):
            if value is not None:
                require_whole(value, 1, name)
        Settings(max_new_tokens=self.max_new_tokens, beams=self.beams, batch=self.batch, seed=self.seed)


@dataclass(frozen=True)
class SummarizationEvaluation:
    """The result; :meth:`as_dict` is its JSON contract.

    Attributes:
        name: name of the artifact's folder.
        scores: the model's scores and the baselines'.
        summaries: the model's summaries, one per example.
        truncated: number of functions that were cut.
        settings: settings used, with the form's name and content.
        data: files, their hash, columns, examples skipped.
        command: the command that measured it.
        machine: facts about the machine.
    """

    name: str
    scores: SummaryComparison
    summaries: tuple[str, ...]
    truncated: int
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    command: str = ""
    machine: Mapping[str, object] = field(default_factory=resources.machine)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "task": SUMMARIZATION,
            **self.scores.as_dict(),
            "truncated": self.truncated,
            "settings": dict(self.settings),
            "data": dict(self.data),
            "machine": dict(self.machine),
            "command": self.command,
        }


def evaluate_summarization(
    model_path: str | Path,
    data: str | Path | Sequence[str | Path],
    *,
    columns: tuple[str, str] | None = None,
    settings: SummarizationSettings | None = None,
    threads: int | None = None,
    out: str | Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> SummarizationEvaluation:
    """Measure a generator's summaries of functions, by beam search or greedy decoding.

    Args:
        model_path: a generator's artifact.
        data: one or more files with code and summaries (:func:`~lilliput.data.summarization.read_summaries`).
        columns: names of the code and summary columns; by default those usual for the kind of file.
        settings: how to generate summaries.
        threads: processor threads; ``None`` leaves the choice to the engine.
        out: ``.json`` file or folder to write the result to; an interrupted run resumes from what is kept beside it.
        command: recorded in the result.
        progress: shown while working.

    Raises:
        UserError: bad input, or not a generator's artifact.
    """
    settings, progress = settings or SummarizationSettings(), progress or Progress()
    target, kept = beside(None if out is None else Path(out), RESULT, [model_path, data])
    artifact = artifact_of(model_path, SUMMARIZATION)
    form = FORMS[settings.form or FORM_OF_FAMILY[artifact.generator.family]]
    found = read_summaries(data, columns)
    examples = _drawn(found, settings)
    prompted = form.template.find("{comment}") >= 0
    if settings.language is not None and not prompted:  # not an error: the same command measures models of both kinds
        progress.note(
            f"--language has no effect on {artifact.path.name}: its prompts ('{form.name}') do not name a language"
        )
    languages = [_language(example, settings, prompted) for example in examples]
    cut = settings.cut or form.cut
    recorded = {**asdict(settings), "form": form.name, "template": form.template, "stop": list(form.stop), "cut": cut}
    recorded["language"] = sorted(set(languages)) if prompted else None
    source = {"sources": list(found.sources), "sha256": found.sha256, "columns": list(found.columns)}
    key = {"artifact": artifact_key(artifact), "settings": recorded, **source}
    rows = KeptRows(kept, key)
    generator = Generator.open(artifact, threads)
    generator.tokenizer.encode_special_tokens = True  # a "<mask>" in source code is six characters, not a control token
    room = _room(generator, form.prompt("", languages[0]), settings)
    codes = [_cut(example.code, generator, room) for example in examples]
    prompts = [form.prompt(code, language) for code, language in zip(codes, languages, strict=True)]
    left = [place for place in range(len(prompts)) if str(place) not in rows]
    how = Options(max_new_tokens=settings.max_new_tokens, stop=form.stop, beams=settings.beams, batch=settings.batch)
    with progress.track("summarizing", len(prompts)) as advance:
        advance(len(prompts) - len(left))
        for begin in range(0, len(left), settings.batch):
            part = left[begin : begin + settings.batch]
            for place, (answer,) in zip(part, generator.generate([prompts[i] for i in part], **how), strict=True):
                rows.add(str(place), {"answer": answer.text, "finish": answer.finish})
            advance(len(part))
    summaries = [CUTS[cut](rows[str(place)]["answer"]) for place in range(len(prompts))]
    scores = score_summaries([each.summary for each in examples], summaries, [each.code for each in examples])
    truncated = sum(code != example.code for code, example in zip(codes, examples, strict=True))
    result = SummarizationEvaluation(
        name=artifact.path.name,
        scores=scores,
        summaries=tuple(summaries),
        truncated=truncated,
        settings=recorded,
        data={**source, "skipped": found.skipped, "examples": len(found.examples)},
        command=command,
    )
    if target is not None:
        write_json(target, result.as_dict())
    return result


def _drawn(found: SummaryData, settings: SummarizationSettings) -> list[Summarized]:
    examples = list(found.examples)
    if settings.examples is None or settings.examples >= len(examples):
        return examples
    return Random(f"summaries {settings.seed}").sample(examples, settings.examples)


def _language(example: Summarized, settings: SummarizationSettings, needed: bool) -> str:
    """Language of a function for the prompt; arbitrary if the prompt does not name one."""
    language = settings.language or example.language
    if language is None and needed:
        raise UserError(
            "is needed: the prompt ends in a comment, and the data do not state the language.",
            where="--language",
            remedy="Name the language of the functions, such as python or java.",
        )
    return (language or "python").lower()


def _room(generator: Generator, around: str, settings: SummarizationSettings) -> int:
    """Tokens of a function that fit the model besides the rest of the prompt and the summary."""
    positions = generator.manifest.positions
    if positions is None:
        return settings.code_tokens
    own = 0 if generator.manifest.start is not None else settings.max_new_tokens
    room = positions - own - len(generator.tokenizer.encode(around).ids) - _SEAM
    if room < 1:
        raise UserError(
            f"the model has {positions:,} positions: too few for a function and {settings.max_new_tokens} new tokens.",
            where="max_new_tokens",
            remedy="Ask for fewer.",
        )
    return min(settings.code_tokens, room)


_SEAM = 2
"""Extra tokens that a text may take when it is put between others."""


def _cut(code: str, generator: Generator, room: int) -> str:
    """The beginning of ``code``, at most ``room`` tokens."""
    offsets = generator.tokenizer.encode(code, add_special_tokens=False).offsets
    return code if len(offsets) <= room else code[: offsets[room - 1][1]]
