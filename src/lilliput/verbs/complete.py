"""``complete``: continue a prompt with a generator, or fill the gap between two texts."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from lilliput.artifact import open_artifact
from lilliput.data.lines import UTF8_BOM, Place, decode
from lilliput.data.sources import STANDARD_INPUT
from lilliput.errors import UserError, refuse_unused
from lilliput.progress import Progress
from lilliput.runtime.generator import Completion, Generator
from lilliput.runtime.sessions import Advance, Ids, Logits, Session
from lilliput.runtime.settings import Options, Settings

LONGEST_PROMPT = 16 * 2**20
"""Maximum bytes read from standard input: more than any model takes, and little enough for any machine's memory."""

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}
"""Character after a backslash on the command line -> its meaning."""


@dataclass
class TimedSession:
    """A session that records where its time goes.

    Attributes:
        session: the session that runs the model.
        begun: when the completion was requested, by :func:`time.perf_counter`.
        prompt_tokens: tokens of the longest prompt.
        prefill: seconds spent reading prompts.
        first: when the first token could be chosen; ``None``: not yet.
        decoded: tokens decoded one by one: all but the first of each completion.
        decode: seconds spent decoding them.
    """

    session: Session
    begun: float = field(default_factory=time.perf_counter)
    prompt_tokens: int = 0
    prefill: float = 0.0
    first: float | None = None
    decoded: int = 0
    decode: float = 0.0

    @property
    def starts(self) -> int:
        """See :class:`~lilliput.runtime.sessions.Session`."""
        return self.session.starts

    def start(self, rows: Sequence[Ids], advance: Advance | None = None) -> Logits:
        """See :class:`~lilliput.runtime.sessions.Session`."""
        begun = time.perf_counter()
        logits = self.session.start(rows, advance)
        now = time.perf_counter()
        self.prefill += now - begun
        self.first = self.first or now
        self.prompt_tokens = max(self.prompt_tokens, *map(len, rows))
        return logits

    def step(self, tokens: NDArray[np.integer], parents: NDArray[np.integer]) -> Logits:
        """See :class:`~lilliput.runtime.sessions.Session`."""
        begun = time.perf_counter()
        logits = self.session.step(tokens, parents)
        self.decode += time.perf_counter() - begun
        self.decoded += len(tokens)
        return logits


@dataclass(frozen=True)
class CompleteResult:
    """What was written, and how fast.

    Attributes:
        completions: as many as were requested.
        prompt_tokens: tokens that the model read, including those that frame the prompt.
        prefill_seconds: time spent reading them.
        first_token_ms: milliseconds from the request to the first token, with the model already loaded.
        decode_tokens_per_second: tokens after the first, of all completions together, per second of the model's time;
            ``None`` if there are none. A beam search counts the tokens of all its beams.
    """

    completions: tuple[Completion, ...]
    prompt_tokens: int
    prefill_seconds: float
    first_token_ms: float
    decode_tokens_per_second: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "completions": [
                {"text": item.text, "tokens": item.tokens, "finish": item.finish} for item in self.completions
            ],
            "prompt_tokens": self.prompt_tokens,
            "prefill_seconds": self.prefill_seconds,
            "first_token_ms": self.first_token_ms,
            "decode_tokens_per_second": self.decode_tokens_per_second,
        }


def complete(
    path: str | Path,
    prompt: str,
    suffix: str | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    **options: Unpack[Options],
) -> CompleteResult:
    """Complete a prompt, or fill the gap between it and a suffix.

    Args:
        path: a generator's artifact.
        prompt: the text to continue; see :meth:`~lilliput.runtime.generator.Generator.generate`.
        suffix: text after the gap; ``None``: there is no gap.
        threads: processor threads; ``None`` leaves the choice to the engine.
        progress: shown while working.
        options: see :class:`~lilliput.runtime.settings.Settings`.

    Raises:
        UserError: not a generator's artifact, a prompt too long for the model, or an invalid option.
    """
    generator, timed = _opened(path, threads, options)
    if suffix is None:
        (found,) = generator.generate(prompt, progress=progress, **options)
    else:
        found = generator.fill(prompt, suffix, progress=progress, **options)
    return _result(found, timed)


def complete_aloud(
    path: str | Path,
    prompt: str,
    write: Callable[[str], object],
    suffix: str | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    **options: Unpack[Options],
) -> None:
    """Like :func:`complete`, but stream the single completion to ``write``, each piece as soon as it is final."""
    generator, _ = _opened(path, threads, options)
    for piece in generator.stream(prompt, suffix, progress=progress, **options):
        write(piece)


def require_draws(settings: Settings, where: str = "--n") -> None:
    """Refuse several completions of a prompt that would all be the same.

    Args:
        settings: of the completions.
        where: the option that gives their number.

    Raises:
        UserError: they would all be the same.
    """
    if settings.n > 1 and settings.temperature == 0 and settings.beams == 1:
        raise UserError(
            f"{settings.n} completions at temperature 0 would be the same.",
            where=where,
            remedy="Give a --temperature, such as 0.2, or 0.8 for more variety.",
        )


def refuse_undrawn(settings: Settings) -> None:
    """Refuse sampling options on the command line if nothing is sampled: in greedy decoding or beam search.

    Raises:
        UserError: such an option was given; the message names it.
    """
    given = {name: getattr(settings, name) != getattr(Settings, name) for name in ("top_p", "top_k", "seed")}
    words = "goes with a --temperature above 0: otherwise nothing is sampled"
    refuse_unused(
        {f"--{name.replace('_', '-')}": (said and not settings.temperature, words) for name, said in given.items()}
    )


def _opened(path: str | Path, threads: int | None, options: Options) -> tuple[Generator, TimedSession]:
    require_draws(Settings(**options), "n")  # fail before loading gigabytes
    generator = Generator.open(open_artifact(path), threads)
    generator.session = timed = TimedSession(generator.session)
    return generator, timed


def _result(completions: Sequence[Completion], timed: TimedSession) -> CompleteResult:
    assert timed.first is not None  # there is a completion
    return CompleteResult(
        completions=tuple(completions),
        prompt_tokens=timed.prompt_tokens,
        prefill_seconds=timed.prefill,
        first_token_ms=1000 * (timed.first - timed.begun),
        decode_tokens_per_second=timed.decoded / timed.decode if timed.decoded else None,
    )


def read_prompt(given: str | None) -> str:
    """The prompt of the command line: ``given``, or standard input if it is ``-`` or left out.

    Raises:
        UserError: nothing is given and standard input is a terminal; or it is not UTF-8 text, or too long.
    """
    if given not in (None, STANDARD_INPUT):
        return str(given)
    if sys.stdin is None:
        raise UserError("is missing, and standard input is closed.", where="PROMPT", remedy="Give a text.")
    if given is None and sys.stdin.isatty():
        raise UserError("is missing.", where="PROMPT", remedy="Give a text, or '-' to type one, ended by Ctrl-D.")
    place = Place(Path("<stdin>"))
    content = sys.stdin.buffer.read(LONGEST_PROMPT + 1)
    if len(content) > LONGEST_PROMPT:
        raise place.error(
            f"is longer than {LONGEST_PROMPT:,} bytes.", "Give only the text that the model is to continue."
        )
    return decode(content.removeprefix(UTF8_BOM), place)


def unescaped(text: str) -> str:
    """``text`` with ``\\n``, ``\\t``, ``\\r`` and ``\\\\`` as C has them; other backslashes stay."""
    return re.sub(r"\\([ntr\\])", lambda match: ESCAPES[match[1]], text)
