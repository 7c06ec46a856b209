"""``evaluate`` on a user's repository: how well a generator predicts its tokens and completes its lines."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lilliput.artifact import TOKENIZER, Artifact
from lilliput.data.code_pieces import SHORTEST, Piece, code_pieces
from lilliput.data.code_texts import whole_reader
from lilliput.data.repository import Source, read_sources
from lilliput.errors import DataError, UserError, require_whole
from lilliput.evaluate import resources
from lilliput.evaluate.line_completion import LineScores, Place, left_context, line_scores, places
from lilliput.evaluate.next_token import (
    NextTokenScores,
    PieceCounts,
    copied_ranks,
    counted,
    next_token_scores,
    read_piece,
)
from lilliput.evaluate.perplexity import reader
from lilliput.files import write_json
from lilliput.generator_manifest import DECODER
from lilliput.progress import Progress
from lilliput.runtime.generator import Generator
from lilliput.runtime.settings import Options, Settings
from lilliput.runtime.tokens import read_tokenizer
from lilliput.verbs.evaluate.tasks import REPOSITORY, artifact_of
from lilliput.verbs.kept import KeptRows, artifact_key, beside

RESULT = "repository.json"


@dataclass(frozen=True)
class RepositorySettings:
    """How to measure on a repository.

    Attributes:
        pieces: maximum number of pieces of files whose tokens are predicted.
        length: maximum tokens per piece.
        places: maximum number of lines to complete.
        context: maximum tokens that the model sees before the cursor.
        max_new_tokens: maximum tokens for the rest of a line.
        seed: random seed of the sample.
        languages: names in :data:`~lilliput.data.languages.LANGUAGES`; ``None``: all.
        batch: lines completed per batch.

    Raises:
        UserError: a value is invalid.
    """

    pieces: int = 64
    length: int = 512
    places: int = 100
    context: int = 512
    max_new_tokens: int = 64
    seed: int = 0
    languages: tuple[str, ...] | None = None
    batch: int = 8

    def __post_init__(self) -> None:
        least = {"pieces": 1, "length": SHORTEST, "places": 1, "context": 1}
        for name, minimum in least.items():
            require_whole(getattr(self, name), minimum, name)
        Settings(max_new_tokens=self.max_new_tokens, batch=self.batch, seed=self.seed)


@dataclass(frozen=True)
class RepositoryEvaluation:
    """The result; :meth:`as_dict` is its JSON contract.

    Attributes:
        name: name of the artifact's folder.
        next_token: next-token scores; ``None`` for an encoder-decoder, which does not predict its input.
        lines: scores of line completion.
        settings: settings used, within the model's positions.
        data: files used, how they were listed, how many there were, and what was left out.
        command: the command that measured it.
        machine: facts about the machine.
    """

    name: str
    next_token: NextTokenScores | None
    lines: LineScores
    settings: Mapping[str, Any]
    data: Mapping[str, Any]
    command: str = ""
    machine: Mapping[str, object] = field(default_factory=resources.machine)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "name": self.name,
            "task": REPOSITORY,
            "next_token": None if self.next_token is None else self.next_token.as_dict(),
            "lines": self.lines.as_dict(),
            "settings": dict(self.settings),
            "data": dict(self.data),
            "machine": dict(self.machine),
            "command": self.command,
        }


def evaluate_repository(
    model_path: str | Path,
    repo: str | Path,
    *,
    settings: RepositorySettings | None = None,
    threads: int | None = None,
    out: str | Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> RepositoryEvaluation:
    """Measure a generator on a folder's source files: perplexity, next-token accuracy, line completion (greedy).

    Args:
        model_path: a generator's artifact.
        repo: the folder; see :func:`~lilliput.data.repository.read_sources` for the files used.
        settings: how to measure.
        threads: processor threads; ``None`` leaves the choice to the engine.
        out: ``.json`` file or folder to write the result to; an interrupted run resumes from what is kept beside it.
        command: recorded in the result.
        progress: shown while working.

    Raises:
        UserError: bad input, not a generator's artifact, or no source files.
    """
    settings, progress = settings or RepositorySettings(), progress or Progress()
    target, kept = beside(None if out is None else Path(out), RESULT, [model_path])
    artifact = artifact_of(model_path, REPOSITORY)
    length, context = _fitting(artifact, settings)
    sources = read_sources(repo, max(settings.pieces, settings.places), settings.seed, settings.languages)
    tokenizer = whole_reader(read_tokenizer(artifact.file(TOKENIZER)))
    found = places(sources.files, settings.places, settings.seed)
    pieces = code_pieces(sources.files, tokenizer, settings.pieces, length, settings.seed)
    if not found or not pieces:
        raise DataError(
            f"its files are too small: there is no piece of {SHORTEST} tokens, or no line to complete.",
            where=Path(repo),
            remedy="Give a folder with more source code.",
        )
    recorded = {**asdict(settings), "length": length, "context": context}
    recorded["languages"] = None if settings.languages is None else list(settings.languages)
    digest = _digest(sources.files)
    rows = KeptRows(kept, {"artifact": artifact_key(artifact), "settings": recorded, "sha256": digest})
    next_token = None
    if artifact.generator.family == DECODER:
        next_token = _next_token(artifact, pieces, threads, rows, progress)
    written = _written(artifact, found, settings, context, threads, rows, progress)
    data = {
        "files": len(sources.files),
        "eligible": sources.eligible,
        "listed_by": sources.listed_by,
        "skipped": dict(sources.skipped),
        "languages": dict(Counter(source.language.name for source in sources.files).most_common()),
        "sha256": digest,
    }
    scores = line_scores(found, written)
    result = RepositoryEvaluation(artifact.path.name, next_token, scores, recorded, data, command)
    if target is not None:
        write_json(target, result.as_dict())
    return result


def _fitting(artifact: Artifact, settings: RepositorySettings) -> tuple[int, int]:
    """Length of pieces and of the context that fit the model's positions."""
    positions = artifact.generator.positions
    if positions is None:
        return settings.length, settings.context
    own = settings.max_new_tokens if artifact.generator.family == DECODER else 0
    room = positions - own - _FRAME
    if room < 1:
        raise UserError(
            f"the model has {positions:,} positions: too few for {settings.max_new_tokens} new tokens.",
            where="max_new_tokens",
            remedy="Ask for fewer.",
        )
    return min(settings.length, positions), min(settings.context, room)


_FRAME = 4
"""Spare tokens: those that frame a text, and those that cutting it elsewhere may add."""


def _next_token(
    artifact: Artifact, pieces: Sequence[Piece], threads: int | None, rows: KeptRows, progress: Progress
) -> NextTokenScores:
    names = [f"piece {place}" for place in range(len(pieces))]
    engine = reader(artifact, threads) if any(name not in rows for name in names) else None
    with progress.track("predicting tokens, in pieces", len(pieces)) as advance:
        for name, piece in zip(names, pieces, strict=True):
            if name not in rows:
                assert engine is not None  # opened above in this case
                costs, ranks = read_piece(engine, piece.ids)
                rows.add(name, asdict(counted(piece, ranks, costs)))
            advance()
    copied = [counted(piece, copied_ranks(piece.ids.tolist())) for piece in pieces]
    return next_token_scores([PieceCounts(**rows[name]) for name in names], copied)


def _written(
    artifact: Artifact,
    found: Sequence[Place],
    settings: RepositorySettings,
    context: int,
    threads: int | None,
    rows: KeptRows,
    progress: Progress,
) -> list[str]:
    """The model's completion at each place."""
    names = [f"place {number}" for number in range(len(found))]
    left = [number for number, name in enumerate(names) if name not in rows]
    generator = Generator.open(artifact, threads) if left else None
    with progress.track("completing lines", len(found)) as advance:
        advance(len(found) - len(left))
        for begin in range(0, len(left), settings.batch):
            assert generator is not None  # opened above in this case
            part = left[begin : begin + settings.batch]
            generator.tokenizer.encode_special_tokens = True
            prompts = [left_context(found[number].before, generator.tokenizer, context) for number in part]
            how: Options = {"max_new_tokens": settings.max_new_tokens, "stop": "\n", "batch": settings.batch}
            for number, (line,) in zip(part, generator.generate(prompts, **how), strict=True):
                place = found[number]
                rows.add(names[number], {"file": place.name, "line": place.line, "rest": place.rest, "text": line.text})
            advance(len(part))
    return [rows[name]["text"] for name in names]


def _digest(files: Sequence[Source]) -> str:
    """Hex SHA-256 of names and contents, in order."""
    digest = hashlib.sha256()
    for file in files:
        for text in (file.name, file.text):
            digest.update(hashlib.sha256(text.encode(errors="surrogateescape")).digest())
    return digest.hexdigest()
