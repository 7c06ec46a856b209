"""Token ids to text as they come: never half a character, never a piece of a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer

_HALF = "\N{REPLACEMENT CHARACTER}"


@dataclass
class TextStream:
    """One sequence's new text.

    Attributes:
        tokenizer: of the model.
        stops: strings at which the text ends; they are not part of it.
        stopped: whether one was met.
        context: tokens that stand before it, no part of it, where there are any: some tokenizers drop the space before
            what they take for the start of a text.
    """

    tokenizer: Tokenizer
    stops: Sequence[str] = ()
    stopped: bool = False
    context: Sequence[int] = ()
    _ids: list[int] = field(default_factory=list)
    _start: int = 0  # the first id of the tail that is decoded again at each step
    _fresh: int = 0  # how many of them came since text was last certain
    _known: str = ""  # what of the tail's text is already in ``_text``
    _text: str = ""
    _given: int = 0

    def __post_init__(self) -> None:
        self._ids = list(self.context)
        self._known = self.tokenizer.decode(self._ids, skip_special_tokens=True)

    def push(self, token: int) -> str:
        """Add a token; the text that is now certain, perhaps none."""
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
        """No token comes any more: the rest of the text."""
        if not self.stopped:
            tail = self.tokenizer.decode(self._ids[self._start :], skip_special_tokens=True)
            self._text += tail[len(self._known) :]
            self._cut()
        rest, self._given = self._text[self._given :], len(self._text)
        return rest

    @property
    def text(self) -> str:
        """All of it so far."""
        return self._text

    def _certain(self) -> str:
        self._cut()
        end = len(self._text) if self.stopped else len(self._text) - self._pending()
        fresh, self._given = self._text[self._given : end], max(end, self._given)
        return fresh

    def _cut(self) -> None:
        """End the text before the stop string that was complete first, whatever tokens it came in."""
        places = [(start + len(stop), start) for stop in self.stops if stop and (start := self._text.find(stop)) >= 0]
        if places:
            self._text, self.stopped = self._text[: min(places)[1]], True

    def _pending(self) -> int:
        """Length of the longest end of the text that may be the start of a stop string."""
        longest = max((len(stop) for stop in self.stops), default=1) - 1
        for length in range(min(longest, len(self._text)), 0, -1):
            if any(stop.startswith(self._text[-length:]) for stop in self.stops):
                return length
        return 0


def whole_end(tokenizer: Tokenizer, ids: Sequence[int]) -> Sequence[int]:
    """The last ids, as few as are whole characters; none where there are no such.

    They stay in front of what is decoded next: a tokenizer may drop a space at the start of what it decodes, and a part
    of a character would swallow what follows it.
    """
    for count in range(1, min(_LONGEST_CHARACTER, len(ids)) + 1):
        if _HALF not in tokenizer.decode(ids[-count:], skip_special_tokens=True):
            return ids[-count:]
    return () if tokenizer.decode(ids[-1:], skip_special_tokens=True).endswith(_HALF) else ids[-1:]


_LONGEST_CHARACTER = 4
"""Tokens that a character's bytes may come in, at most: more, and the bytes are no character."""
