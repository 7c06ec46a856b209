"""Decode token ids to text as they arrive, never emitting a partial character or part of a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer

_HALF = "\N{REPLACEMENT CHARACTER}"


@dataclass
class TextStream:
    """The new text of one sequence.

    Attributes:
        tokenizer: the model's.
        stops: strings at which the text ends; not part of it.
        stopped: whether a stop string was met.
        context: tokens before the text, not part of it; needed because some tokenizers drop the space at the start of
            what they decode.
    """

    tokenizer: Tokenizer
    stops: Sequence[str] = ()
    stopped: bool = False
    context: Sequence[int] = ()
    _ids: list[int] = field(default_factory=list)
    _start: int = 0  # index of the first id of the tail, which is decoded again at each step
    _fresh: int = 0  # number of ids since the text was last final
    _known: str = ""  # the part of the tail's text that is already in ``_text``
    _text: str = ""
    _given: int = 0

    def __post_init__(self) -> None:
        self._ids = list(self.context)
        self._known = self.tokenizer.decode(self._ids, skip_special_tokens=True)

    def push(self, token: int) -> str:
        """Add a token; returns the text that is now final, possibly empty."""
        if self.stopped:
            return ""
        self._ids.append(token)
        tail = self.tokenizer.decode(self._ids[self._start :], skip_special_tokens=True)
        self._fresh += 1
        if tail.endswith(_HALF) and self._fresh < _LONGEST_CHARACTER:
            return ""
        self._text += tail[len(self._known) :]
        front = whole_end(self.tokenizer, self._ids)
        self._start, self._fresh = len(self._ids) - len(front), 0
        self._known = self.tokenizer.decode(front, skip_special_tokens=True)
        return self._certain()

    def finish(self) -> str:
        """End the sequence; returns the rest of the text."""
        if not self.stopped:
            tail = self.tokenizer.decode(self._ids[self._start :], skip_special_tokens=True)
            self._text += tail[len(self._known) :]
            self._cut()
        rest, self._given = self._text[self._given :], len(self._text)
        return rest

    @property
    def text(self) -> str:
        """The text so far."""
        return self._text

    def _certain(self) -> str:
        self._cut()
        end = len(self._text) if self.stopped else len(self._text) - self._pending()
        fresh, self._given = self._text[self._given : end], max(end, self._given)
        return fresh

    def _cut(self) -> None:
        """End the text before the stop string that was complete first, however it is split into tokens."""
        places = [(start + len(stop), start) for stop in self.stops if stop and (start := self._text.find(stop)) >= 0]
        if places:
            self._text, self.stopped = self._text[: min(places)[1]], True

    def _pending(self) -> int:
        """Length of the longest suffix of the text that may be the start of a stop string."""
        longest = max((len(stop) for stop in self.stops), default=1) - 1
        for length in range(min(longest, len(self._text)), 0, -1):
            if any(stop.startswith(self._text[-length:]) for stop in self.stops):
                return length
        return 0


def whole_end(tokenizer: Tokenizer, ids: Sequence[int]) -> Sequence[int]:
    """The fewest last ids that decode to whole characters, or none if there are no such ids.

    They are kept in front of the next ids to decode, because a tokenizer may drop a space at the start of what it
    decodes, and a partial character would swallow what follows it.
    """
    for count in range(1, min(_LONGEST_CHARACTER, len(ids)) + 1):
        if _HALF not in tokenizer.decode(ids[-count:], skip_special_tokens=True):
            return ids[-count:]
    return () if tokenizer.decode(ids[-1:], skip_special_tokens=True).endswith(_HALF) else ids[-1:]


_LONGEST_CHARACTER = 4
"""Most tokens that a character's bytes can be split into; more are not a valid character."""
