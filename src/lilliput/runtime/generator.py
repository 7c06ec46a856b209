"""A generator artifact, loaded and run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import RLock
from typing import Unpack

import numpy as np
from tokenizers import Tokenizer

from lilliput.artifact import TOKENIZER, Artifact
from lilliput.errors import UserError
from lilliput.generator_manifest import GeneratorManifest
from lilliput.progress import Progress
from lilliput.runtime.beams import Beams, search
from lilliput.runtime.engine import require_threads
from lilliput.runtime.graphs import open_session
from lilliput.runtime.prompts import Prompt, PromptReader, checked_texts
from lilliput.runtime.sessions import PASS_TOKENS, Advance, Session
from lilliput.runtime.settings import Options, Settings
from lilliput.runtime.streaming import TextStream
from lilliput.runtime.tokens import read_tokenizer
from lilliput.runtime.writing import Draft, Finish, Group, Step, groups, write


@dataclass(frozen=True)
class Completion:
    """A model's completion of a prompt.

    Attributes:
        text: without the prompt, the end token, and the stop string.
        tokens: number of tokens generated, including those that are not part of ``text``.
        finish: why it ended: ``stop`` (a stop string), ``end`` (an end token), or ``length`` (``max_new_tokens``, or no
            positions left).
    """

    text: str
    tokens: int
    finish: Finish


class Generator:
    """A generator of code.

    Load one with :func:`lilliput.load`. It is safe to use from several threads, but runs one call at a time; the others
    wait. A stream holds the generator only while it computes a piece: if another call starts between two pieces, the
    stream ends with an error.

    Args:
        session: runs the model's graphs.
        tokenizer: the model's tokenizer, which the generator modifies (see
            :class:`~lilliput.runtime.prompts.PromptReader`).
        manifest: the artifact's manifest.
    """

    def __init__(self, session: Session, tokenizer: Tokenizer, manifest: GeneratorManifest) -> None:
        self.session, self.tokenizer, self.manifest = session, tokenizer, manifest
        self._reader = PromptReader(tokenizer, manifest)
        self._turn = RLock()  # reentrant: a progress callback may call the generator

    @classmethod
    def open(cls, artifact: Artifact, threads: int | None = None) -> Generator:
        """Load a generator's artifact.

        Args:
            artifact: opened with :func:`~lilliput.artifact.open_artifact`.
            threads: processor threads; ``None`` leaves the choice to the engine.

        Raises:
            ArtifactError: it is a classifier, or its files do not match each other.
        """
        require_threads(threads)
        manifest = artifact.generator
        with ThreadPoolExecutor(1) as pool:  # in parallel with the graphs: a large vocabulary takes most of a second
            tokenizer = pool.submit(read_tokenizer, artifact.file(TOKENIZER))
            return cls(open_session(artifact, threads), tokenizer.result(), manifest)

    def generate(
        self, prompts: str | Iterable[str], *, progress: Progress | None = None, **options: Unpack[Options]
    ) -> list[list[Completion]]:
        """Complete each prompt; returns a list of ``n`` completions per prompt.

        A prompt is tokenized with the tokenizer's special tokens around it, and control tokens spelled out in it
        (``<|im_start|>``) are control tokens: beware of untrusted text. An empty prompt starts a new text.

        Except for rounding, a completion depends neither on the other prompts nor on ``batch``; with a temperature, it
        does depend on the prompt's index in the list, which is part of its random seed.

        Args:
            prompts: a string, or several.
            progress: reports tokens read and written.
            options: ``max_new_tokens=256``, ``temperature=0`` (greedy), ``top_k=0`` (all), ``top_p=1`` (all),
                ``repetition_penalty=1`` (none), ``seed=0``, ``n=1``, ``beams=1`` (no beam search),
                ``length_penalty=1``, ``stop=()``, ``batch=8``: see :class:`~lilliput.runtime.settings.Settings`.

        Raises:
            DataError: a prompt is not text.
            UserError: a prompt is too long for the model, or an option is invalid.
        """
        settings = Settings(**options)
        read = [self._reader.plain(text, name) for text, name in checked_texts(prompts)]
        return self._completed(read, settings, self._reader.ends(of_gap=False), progress)

    def fill(
        self, prefix: str, suffix: str, *, progress: Progress | None = None, **options: Unpack[Options]
    ) -> list[Completion]:
        """Return ``n`` completions that go between ``prefix`` and ``suffix``.

        Control tokens spelled out in ``prefix`` or ``suffix`` are treated as plain text.

        Args:
            prefix: text before the gap.
            suffix: text after the gap.
            progress, options: see :meth:`generate`.

        Raises:
            UserError: the model was not trained to fill gaps; otherwise as :meth:`generate`.
        """
        settings = Settings(**options)
        return self._completed([self._reader.gap(prefix, suffix)], settings, self._reader.ends(True), progress)[0]

    def stream(
        self,
        prompt: str,
        suffix: str | None = None,
        *,
        progress: Progress | None = None,
        **options: Unpack[Options],
    ) -> Iterator[str]:
        """Stream one completion in pieces of final text: whole characters, and no part of a stop string.

        The pieces add up to the text that :meth:`generate` (or :meth:`fill`) returns for the same options. Starting
        anything else on this generator before the last piece is taken ends the stream with an error.

        Args:
            prompt: see :meth:`generate`; with a ``suffix``, see :meth:`fill`.
            suffix: text after the completion; ``None``: ``prompt`` is an ordinary prompt.
            progress: reports the prompt tokens read, if there are so many that they are read in parts.
            options: see :meth:`generate`; ``n`` must be 1.

        Raises:
            DataError, UserError: as :meth:`generate`, on the call rather than on the first piece.
        """
        settings = Settings(**options)
        for name, value in (("n", settings.n), ("beams", settings.beams)):
            if value != 1:
                raise UserError("must be 1 to stream.", where=name, remedy="Use generate, which gives whole texts.")
        read = self._reader.plain(prompt, "prompt") if suffix is None else self._reader.gap(prompt, suffix)
        return self._pieces(read, settings, self._reader.ends(suffix is not None), progress or Progress())

    def _pieces(self, prompt: Prompt, settings: Settings, ends: frozenset[int], progress: Progress) -> Iterator[str]:
        if len(prompt.ids) <= PASS_TOKENS:
            progress = Progress()
        draft = self._draft(prompt, settings, 0, 0)
        with progress.track("reading the prompt", len(prompt.ids)) as advance:
            steps = write(self.session, [[draft]], settings.sampling, ends, read=advance)
            step = self._next(steps)
        while step is not None:
            yield from (piece for _, piece in step if piece)
            step = self._next(steps)

    def _next(self, steps: Iterator[Step]) -> Step | None:
        with self._turn:
            return next(steps, None)

    def _completed(
        self, prompts: Sequence[Prompt], settings: Settings, ends: frozenset[int], progress: Progress | None
    ) -> list[list[Completion]]:
        rows = [
            [self._draft(prompt, settings, row, i) for i in range(settings.n)] for row, prompt in enumerate(prompts)
        ]
        batches = list(groups(rows, settings.batch, settings.beams))
        written = slice(1 if settings.beams > 1 else None)  # a search counts one text's tokens
        parts = [part for group in batches for part in group]
        work = sum(len(part[0].prompt.ids) + sum(draft.room for draft in part[written]) for part in parts)
        with self._turn, (progress or Progress()).track("completing, in tokens", work) as advance:
            for group in batches:
                if settings.beams > 1:
                    self._search(group, settings, ends, advance)
                    continue
                for _ in write(self.session, group, settings.sampling, ends, read=advance, written=advance):
                    pass
        return [[_completion(draft) for draft in row] for row in rows]

    def _search(self, group: Group, settings: Settings, ends: frozenset[int], advance: Advance) -> None:
        """Write each prompt's drafts from the best texts of its search, in order."""
        beams = Beams(settings.beams, settings.length_penalty, settings.repetition_penalty, ends)
        prompts, rooms = zip(*((part[0].prompt, part[0].room) for part in group), strict=True)
        for part, texts in zip(group, search(self.session, prompts, rooms, beams, advance, advance), strict=True):
            for draft, found in zip(part, texts, strict=False):
                for token in found.ids:
                    if draft.finish is None:  # a stop string may end it earlier
                        draft.take(token, ends)

    def _draft(self, prompt: Prompt, settings: Settings, row: int, sample: int) -> Draft:
        room = settings.max_new_tokens if prompt.room is None else min(settings.max_new_tokens, prompt.room)
        stream = TextStream(self.tokenizer, settings.stops, context=prompt.context)
        return Draft(prompt, room, stream, np.random.default_rng([settings.seed, row, sample]))


def _completion(draft: Draft) -> Completion:
    assert draft.finish is not None  # it was written to its end
    return Completion(draft.stream.text, draft.tokens, draft.finish)
