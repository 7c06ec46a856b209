"""Fresh names and comments, from the same pool of words as the embedded corpus, so that they reveal nothing."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from lilliput.data.corpus.naming import VERBS
from lilliput.data.corpus.trees import WORDS
from lilliput.data.rewrites.source import Source

_COMMENTS = (
    "{verb} the {noun}",
    "{verb} {noun} and {other}",
    "{noun} before {other}",
    "the {noun} of this {other}",
    "{verb} what the {noun} needs",
    "here the {other} has its {noun}",
)


def fresh_names(source: Source, rng: Random) -> Iterator[str]:
    """Endless distinct names, one to three words long, that the text mentions nowhere."""
    taken = set(source.words | source.language.keywords)
    while True:
        words = rng.choices(WORDS, k=rng.choice((1, 1, 2, 3)))
        name = words[0] + "".join(word.capitalize() for word in words[1:])
        if not source.language.camel:
            name = "_".join(words)
        if name not in taken:
            taken.add(name)
            yield name


def comment(source: Source, rng: Random) -> str:
    """A comment without a line break."""
    words = rng.choice(_COMMENTS).format(verb=rng.choice(VERBS), noun=rng.choice(WORDS), other=rng.choice(WORDS))
    return rng.choice(source.language.comment_forms).format(words)
