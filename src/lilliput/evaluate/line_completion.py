"""Line completion: the cursor stands somewhere in a line of a file, and the rest of the line is to be written.

The measures are CodeXGLUE's of its line-level completion (Lu et al., "CodeXGLUE: A Machine Learning Benchmark Dataset
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
"""Characters to be written, at least: a closing bracket alone is no completion."""

LONGEST_LINE = 200
"""Characters of a line, at most."""

_WORD = re.compile(r"\w+|[^\w\s]")

_CHARACTERS = 16
"""Characters that a token has, at most, on average, where the context is cut before it is tokenized."""


@dataclass(frozen=True)
class Place:
    """Where a line is to be completed.

    Attributes:
        name: the file's.
        line: its number in the file, from 1.
        before: the file up to the cursor, which stands behind a word or a mark.
        rest: what follows in the line, without white space around it.
    """

    name: str
    line: int
    before: str
    rest: str


@dataclass(frozen=True)
class LineScore:
    """How well lines were completed.

    Attributes:
        exact: share of the rests that were written to the letter, white space around them aside.
        similarity: mean of their edit similarities.
    """

    exact: Estimate
    similarity: Estimate


@dataclass(frozen=True)
class LineScores:
    """How well a model completed lines, with what copying comes to; intervals are over files.

    Attributes:
        model: the model's.
        baselines: name (of :data:`BASELINES`) -> score.
        places: how many.
        files: that they are of.
    """

    model: LineScore
    baselines: Mapping[str, LineScore]
    places: int
    files: int

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; shares, not percent."""
        return asdict(self)


def places(sources: Sequence[Source], count: int, seed: int = 0) -> list[Place]:
    """Places drawn by chance: one in each file, then a second in each, and so on.

    A line qualifies that has no comment and is not part of a string of several lines, of at most :data:`LONGEST_LINE`
    characters; the cursor stands behind one of its words or marks, with :data:`SHORTEST_REST` characters still to be
    written.

    Args:
        sources: the files.
        count: places, at most.
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
    """The end of ``text`` that comes to at most ``tokens`` tokens, from the beginning of a line where it has one."""
    near = text[-tokens * _CHARACTERS :]
    offsets = tokenizer.encode(near, add_special_tokens=False).offsets
    first = offsets[-tokens][0] if len(offsets) > tokens else 0
    if first == 0 and len(near) == len(text):
        return text
    start = near.find("\n", first) + 1
    return near[start:] if 0 < start < len(near) else near[first:]


def first_line(text: str) -> str:
    """What was written of the line, without white space around it."""
    return text.split("\n", 1)[0].strip()


def copied_start(before: str) -> str:
    """The rest of the line above whose beginning is most like what stands before the cursor; the nearest of equals.

    Indentation aside; what is copied follows the part that both lines have.
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
    """What followed, earlier in the file, the longest end of what stands before the cursor in its line.

    As prompt lookup decoding drafts; the nearest of equals.
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
"""What no model at all reaches: name -> of the file up to the cursor, the rest of the line."""


def line_scores(found: Sequence[Place], written: Sequence[str]) -> LineScores:
    """The scores of a model and of the baselines.

    Args:
        found: the places.
        written: what the model wrote at each; of it the first line counts.

    Raises:
        ValueError: there are no places, or not as many texts.
    """
    baselines = {name: _score(found, [copy(place.before) for place in found]) for name, copy in BASELINES.items()}
    return LineScores(_score(found, written), baselines, len(found), len({place.name for place in found}))


def _score(found: Sequence[Place], written: Sequence[str]) -> LineScore:
    names = [place.name for place in found]
    pairs = [(place.rest, first_line(text)) for place, text in zip(found, written, strict=True)]
    exact = share_of([rest == text for rest, text in pairs], names)
    return LineScore(exact, mean_of([edit_similarity(rest, text) for rest, text in pairs], names))
