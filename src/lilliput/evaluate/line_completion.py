"""Line completion: given a file up to a cursor within a line, write the rest of the line.

The measures are those of CodeXGLUE's line-level completion (Lu et al., "CodeXGLUE: A Machine Learning Benchmark Dataset
for Code Understanding and Generation", 2021): exact match, and edit similarity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice, zip_longest
from random import Random
from typing import Any

from tokenizers import Tokenizer

from lilliput.data.code_pieces import code_characters
from lilliput.data.repository import Source
from lilliput.evaluate.clusters import mean_of, share_of
from lilliput.evaluate.edits import edit_similarity
from lilliput.evaluate.intervals import Estimate

SHORTEST_REST = 3
"""Least number of characters to be written: a single closing bracket would be trivial."""

LONGEST_LINE = 200
"""Maximum number of characters of a line."""

_WORD = re.compile(r"\w+|[^\w\s]")

_CHARACTERS = 16
"""Upper bound of the average characters per token, used to cut the context before it is tokenized."""


@dataclass(frozen=True)
class Place:
    """A place where a line is to be completed.

    Attributes:
        name: of the file.
        line: number of the line, from 1.
        before: the file up to the cursor, which follows a word or a punctuation mark.
        rest: the rest of the line, stripped of white space.
    """

    name: str
    line: int
    before: str
    rest: str


@dataclass(frozen=True)
class LineScore:
    """How well lines were completed.

    Attributes:
        exact: share of exact matches, ignoring surrounding white space.
        similarity: mean edit similarity.
    """

    exact: Estimate
    similarity: Estimate


@dataclass(frozen=True)
class LineScores:
    """How well a model and the copying baselines completed lines; intervals are over files.

    Attributes:
        model: the model's score.
        baselines: name (of :data:`BASELINES`) -> score.
        places: number of places.
        files: number of files they are in.
    """

    model: LineScore
    baselines: Mapping[str, LineScore]
    places: int
    files: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; shares, not percent."""
        return asdict(self)


def places(sources: Sequence[Source], count: int, seed: int = 0) -> list[Place]:
    """Draw places at random: one in each file, then a second in each, and so on.

    A line qualifies if it has no comment, is not part of a multi-line string, and has at most :data:`LONGEST_LINE`
    characters. The cursor follows one of its words or punctuation marks, with at least :data:`SHORTEST_REST` characters
    left to write.

    Args:
        sources: the files.
        count: maximum number of places.
        seed: of the draw.
    """
    rounds = zip_longest(*(_places_in(source, seed) for source in sources[:count]))
    return list(islice((place for place in chain.from_iterable(rounds) if place is not None), count))


def _places_in(source: Source, seed: int) -> Iterator[Place]:
    random, code = Random(f"places {seed} {source.name}"), code_characters(source)
    begin, lines = 0, []
    for number, line in enumerate(source.text.split("\n"), start=1):
        written = sum(not character.isspace() for character in line)
        if len(line) <= LONGEST_LINE and written and code[begin : begin + len(line)].sum() == written:
            lines.append((number, begin, line))
        begin += len(line) + 1
    random.shuffle(lines)
    for number, begin, line in lines:
        cursors = [match.end() for match in _WORD.finditer(line)]
        cursors = [cursor for cursor in cursors if len(line[cursor:].strip()) >= SHORTEST_REST]
        if cursors:
            cursor = random.choice(cursors)
            yield Place(source.name, number, source.text[: begin + cursor], line[cursor:].strip())


def left_context(text: str, tokenizer: Tokenizer, tokens: int) -> str:
    """The end of ``text`` of at most ``tokens`` tokens, from the start of a line if it contains one."""
    near = text[-tokens * _CHARACTERS :]
    offsets = tokenizer.encode(near, add_special_tokens=False).offsets
    first = offsets[-tokens][0] if len(offsets) > tokens else 0
    if first == 0 and len(near) == len(text):
        return text
    start = near.find("\n", first) + 1
    return near[start:] if 0 < start < len(near) else near[first:]


def first_line(text: str) -> str:
    """The first line of a completion, stripped of white space."""
    return text.split("\n", 1)[0].strip()


def copied_start(before: str) -> str:
    """The rest of the line above that has the longest common prefix with the line so far; of equals, the nearest.

    Indentation is ignored; the rest begins after the common prefix.
    """
    *above, start = (line.strip() for line in before.split("\n"))
    common, nearest = 0, ""
    for line in above:
        length = next((place for place, (a, b) in enumerate(zip(line, start, strict=False)) if a != b), None)
        length = min(len(line), len(start)) if length is None else length
        if length and length >= common:
            common, nearest = length, line
    return nearest[common:].strip()


def copied_end(before: str) -> str:
    """The text that follows, earlier in the file, the longest suffix of the line so far; of equals, the nearest.

    Prompt lookup decoding drafts in the same way.
    """
    above, _, start = before.rpartition("\n")
    start = start.lstrip()
    for first in range(len(start)):
        end = start[first:]
        if (place := above.rfind(end)) >= 0:
            return first_line(above[place + len(end) :])
    return ""


BASELINES: Mapping[str, Callable[[str], str]] = {
    "copied line with the most alike start": copied_start,
    "copied after the longest matching end": copied_end,
}
"""Baselines without a model: name -> function from the file up to the cursor to the rest of the line."""


def line_scores(found: Sequence[Place], written: Sequence[str]) -> LineScores:
    """Score a model and the baselines.

    Args:
        found: the places.
        written: the model's text at each place, of which the first line counts.

    Raises:
        ValueError: there are no places, or a different number of texts.
    """
    baselines = {name: _score(found, [copy(place.before) for place in found]) for name, copy in BASELINES.items()}
    return LineScores(_score(found, written), baselines, len(found), len({place.name for place in found}))


def _score(found: Sequence[Place], written: Sequence[str]) -> LineScore:
    names = [place.name for place in found]
    pairs = [(place.rest, first_line(text)) for place, text in zip(found, written, strict=True)]
    exact = share_of([rest == text for rest, text in pairs], names)
    return LineScore(exact, mean_of([edit_similarity(rest, text) for rest, text in pairs], names))
