"""The generation loop: read the prompts once, then write one token per sequence and step until all have ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lilliput.errors import UserError
from lilliput.runtime.prompts import Prompt
from lilliput.runtime.sampling import Sampling, next_tokens, seen_tokens
from lilliput.runtime.sessions import Advance, Session
from lilliput.runtime.streaming import TextStream

Finish = Literal["stop", "end", "length"]


@dataclass
class Draft:
    """A completion while it is written.

    Attributes:
        prompt: the prompt that it continues.
        room: most tokens that it may have, at least 1.
        stream: its text.
        random: its own random generator, so that its draws do not depend on the rest of the batch.
        tokens: number of its tokens.
        finish: why it ended; ``None``: it has not ended.
    """

    prompt: Prompt
    room: int
    stream: TextStream
    random: np.random.Generator
    tokens: int = 0
    finish: Finish | None = None

    def take(self, token: int, ends: frozenset[int]) -> str:
        """Add a token; returns the text that is now final."""
        self.tokens += 1
        piece = ""
        if token in ends:
            self.finish = "end"
        else:
            piece = self.stream.push(token)
            if self.tokens == self.room:
                self.finish = "length"
        if self.finish is not None:
            piece += self.stream.finish()
        if self.stream.stopped:
            self.finish = "stop"
        return piece


Group = Sequence[Sequence[Draft]]
"""Drafts written in one batch, by prompt."""

Step = list[tuple[Draft, str]]
"""The drafts that got a token, with their text that is now final."""


def groups(rows: Sequence[Sequence[Draft]], batch: int, beams: int = 1) -> Iterator[Group]:
    """Group drafts, at most ``batch`` together, by similar prompt length; longest first, to allocate memory early.

    Args:
        rows: the drafts of each prompt.
        batch: a prompt with more drafts is split into parts and read again for each part.
        beams: if above 1, a prompt's drafts stay together as the best of a search that takes ``beams`` places.
    """
    parts = [part for row in rows for part in (_parts(row, batch) if beams == 1 else [row])]
    group: list[Sequence[Draft]] = []
    for part in sorted(parts, key=lambda part: -len(part[0].prompt.ids)):
        full = sum(max(len(part), beams) for part in [*group, part]) > batch
        # Padding to the longest wastes work, but up to this point less than reading all weights for another group.
        if group and (full or 2 * len(part[0].prompt.ids) < len(group[0][0].prompt.ids)):
            yield group
            group = []
        group.append(part)
    if group:
        yield group


def _parts(row: Sequence[Draft], batch: int) -> list[Sequence[Draft]]:
    """``row`` in as few parts as possible, of similar size."""
    count = -(-len(row) // batch)
    return [row[len(row) * i // count : len(row) * (i + 1) // count] for i in range(count)]


def write(
    session: Session,
    group: Group,
    sampling: Sampling,
    ends: frozenset[int],
    read: Advance | None = None,
    written: Advance | None = None,
) -> Iterator[Step]:
    """Write a group's drafts to their ends; yields, at each step, the drafts that got a token and their final text.

    Args:
        session: runs the model; each prompt is read once.
        group: the drafts.
        sampling: how tokens are chosen.
        ends: ids that end a draft.
        read: called with the number of prompt tokens read.
        written: called with the number of tokens written, or no longer needed.

    Raises:
        UserError: another call was started on the same session between two steps.
    """
    logits = session.start([part[0].prompt.ids for part in group], read)
    started = session.starts
    drafts = [draft for part in group for draft in part]
    parents = np.array([row for row, part in enumerate(group) for _ in part])
    logits = logits[parents]
    seen = seen_tokens([draft.prompt.seen for draft in drafts], logits.shape[1], sampling.repetition_penalty)
    while True:
        tokens = next_tokens(logits, seen, sampling, [draft.random for draft in drafts])
        if seen.size:
            seen[np.arange(len(drafts)), tokens] = True
        yield [(draft, draft.take(int(token), ends)) for draft, token in zip(drafts, tokens, strict=True)]
        if written is not None:
            written(sum(1 if draft.finish is None else 1 + draft.room - draft.tokens for draft in drafts))
        live = np.flatnonzero([draft.finish is None for draft in drafts])
        if not live.size:
            return
        if session.starts != started:
            raise UserError(
                "another completion was started before this one ended.",
                where="generator",
                remedy="Read one stream to its end before the next, or load the model a second time.",
            )
        logits = session.step(tokens[live], parents[live])
        drafts, seen, parents = [drafts[row] for row in live], seen[live], np.arange(len(live))
