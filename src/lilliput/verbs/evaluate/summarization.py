"""Summarization measured: a generator describes functions, and its summaries are compared with what people wrote."""

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
    """How summaries are asked for.

    Attributes:
        form: name in :data:`~lilliput.tasks.summarization.FORMS`; ``None``: the family's.
        cut: name in :data:`~lilliput.tasks.summarization.CUTS`: what of the answer counts; ``None``: the form's.
        language: of the functions, where the data do not say.
        examples: to measure on, drawn by chance; ``None``: all.
        seed: of the draw.
        code_tokens: of a function, at most: what is beyond is cut off.
        max_new_tokens: of a summary.
        beams: texts that a search for the likeliest summary goes on with; 1: the likeliest token each time.
        batch: sequences that run side by side.

    Raises:
        UserError: a value that means nothing.
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
    """What was measured; :meth:`as_dict` is the JSON contract.

    Attributes:
        name: the artifact's folder.
        scores: with the baselines beside them.
        summaries: the model's, one an example.
        truncated: functions that were cut.
        settings: how summaries were asked for, the form named and spelled out.
        data: files, their hash, columns, examples skipped.
        command: that measured it.
        machine: facts about it.
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
    """Measure a generator's summaries of functions: the likeliest, or the likeliest token each time.

    Args:
        model_path: a generator's artifact.
        data: files with code and summaries (:func:`~lilliput.data.summarization.read_summaries`), or one.
        columns: names of code and summary; by default those that the file's kind has.
        settings: how summaries are asked for.
        threads: processor threads; ``None`` leaves the choice to the engine.
        out: where the result is written, a ``.json`` or a folder; a run that was killed goes on from what is kept
            beside it.
        command: recorded in the result.
        progress: shown while working.

    Raises:
        UserError: bad input, or no generator's artifact.
    """
    settings, progress = settings or SummarizationSettings(), progress or Progress()
    target, kept = beside(None if out is None else Path(out), RESULT, [model_path, data])
    artifact = artifact_of(model_path, SUMMARIZATION)
    form = FORMS[settings.form or FORM_OF_FAMILY[artifact.generator.family]]
    found = read_summaries(data, columns)
    examples = _drawn(found, settings)
    prompted = form.template.find("{comment}") >= 0
    if settings.language is not None and not prompted:  # no error: the same command measures models of both kinds
        progress.note(f"--language says nothing to {artifact.path.name}: its prompts ('{form.name}') name none")
    languages = [_language(example, settings, prompted) for example in examples]
    cut = settings.cut or form.cut
    recorded = {**asdict(settings), "form": form.name, "template": form.template, "stop": list(form.stop), "cut": cut}
    recorded["language"] = sorted(set(languages)) if prompted else None
    source = {"sources": list(found.sources), "sha256": found.sha256, "columns": list(found.columns)}
    key = {"artifact": artifact_key(artifact), "settings": recorded, **source}
    rows = KeptRows(kept, key)
    generator = Generator.open(artifact, threads)
    generator.tokenizer.encode_special_tokens = True  # a "<mask>" in source code is six characters, no control token
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
    """What the prompt takes the function to be in; any will do where it does not say."""
    language = settings.language or example.language
    if language is None and needed:
        raise UserError(
            "is needed: the prompt ends in a comment, and the data do not say in which language.",
            where="--language",
            remedy="Name the language of the functions, such as python or java.",
        )
    return (language or "python").lower()


def _room(generator: Generator, around: str, settings: SummarizationSettings) -> int:
    """Tokens of a function that fit the model, beside the rest of the prompt and the summary."""
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
"""Tokens that a text may have more when it stands between others."""


def _cut(code: str, generator: Generator, room: int) -> str:
    """The beginning of ``code``, of at most so many tokens."""
    offsets = generator.tokenizer.encode(code, add_special_tokens=False).offsets
    return code if len(offsets) <= room else code[: offsets[room - 1][1]]
