"""Make pairs of harvested functions: clones made by rewriting, and look-alikes that do something else.

A clone pair is ``(f, f')`` or ``(f', f'')``, where a prime is a rewrite. For each there is a pair of the other class
with the same left half, and on the right a rewrite of one of ``f``'s nearest neighbors: so neither style nor length nor
the presence of a function reveals the label, and common vocabulary reveals little.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import numpy as np

from lilliput.data.clones import CLONE_LABELS
from lilliput.data.corpus.harvest import Harvested
from lilliput.data.corpus.lexing import tokens
from lilliput.data.corpus.neighbors import nearest, overlap
from lilliput.data.corpus.rewrites import rewrite
from lilliput.data.dataset import Dataset
from lilliput.errors import UserError

DIFFERENT, CLONE = range(2)
"""Indices into :data:`~lilliput.data.clones.CLONE_LABELS`."""
NEIGHBORS = 8
"""A function's look-alike is among this many of its nearest neighbours."""
MOST_GIVEN = 3
"""How often a function is used as a look-alike while there is another choice."""
TOO_CLOSE = 0.7
"""Functions whose bags of tokens overlap this much may well be clones, and are not used as look-alikes."""
BOTH_REWRITTEN = 0.15
"""Share of the clone pairs with a rewrite on both sides."""
STRENGTH = (0.7, 1.0)
"""A rewrite's strength is drawn from this range."""
PASSES = 4
"""Most clone pairs made of one function."""


def split_by_file(functions: Sequence[Harvested], shares: Sequence[float], rng: Random) -> list[list[Harvested]]:
    """Split ``functions`` so that those of one file stay together, and each part but the first has its share of them.

    Args:
        functions: functions to split.
        shares: of each part; the first takes what the others leave.
        rng: decides which files go where.
    """
    files = sorted({function.file for function in functions})
    rng.shuffle(files)
    sizes = Counter(function.file for function in functions)
    part_of: dict[str, int] = {}
    for part, share in reversed(list(enumerate(shares))):
        wanted = share * len(functions) if part else len(functions)
        while files and wanted > 0:
            file = files.pop()
            part_of[file] = part
            wanted -= sizes[file]
    return [[function for function in functions if part_of[function.file] == part] for part in range(len(shares))]


class _Variants:
    """Distinct rewrites of functions, made on demand."""

    def __init__(self, functions: Sequence[Harvested], rng: Random) -> None:
        self.functions, self.rng = functions, rng
        self.made: dict[int, list[str]] = {}

    def new(self, index: int) -> str | None:
        """A rewrite of function ``index`` that was not made before; ``None`` if this attempt gave none."""
        text = rewrite(self.functions[index].text, self.rng, self.rng.uniform(*STRENGTH))
        known = self.made.setdefault(index, [])
        if text is None or text in known or text == self.functions[index].text:
            return None
        known.append(text)
        return text


def make_pairs(
    functions: Sequence[Harvested], count: int, rng: Random, advance: Callable[..., None] = lambda: None
) -> Dataset:
    """``count`` pairs of ``functions``, half of them clones (one more if ``count`` is odd), shuffled.

    Args:
        functions: distinct functions.
        count: pairs wanted.
        rng: determines everything.
        advance: called once for every pair.

    Raises:
        UserError: ``functions`` are too few for ``count`` pairs.
    """
    variants = _Variants(functions, rng)
    wanted = (count + 1) // 2
    clones: list[tuple[int, str, str]] = []
    for index in (index for _ in range(PASSES) for index in rng.sample(range(len(functions)), len(functions))):
        if len(clones) == wanted:
            break
        right = variants.new(index)
        if right is not None:
            left = variants.new(index) if rng.random() < BOTH_REWRITTEN else None
            clones.append((index, left or functions[index].text, right))
            advance()
    used = sorted({index for index, _, _ in clones})
    if len(clones) < wanted or len(used) < 2:
        raise UserError(
            f"{count:,} pairs were asked for, and {len(functions):,} functions give {2 * len(clones):,} at most.",
            remedy="Ask for fewer pairs.",
        )
    alike = _LookAlikes({index: functions[index].text for index in used}, rng)
    examples = [(left, right, CLONE) for _, left, right in clones]
    for index, left, _ in clones[: count - wanted]:
        examples.append((left, rng.choice(variants.made[alike.of(index)]), DIFFERENT))
        advance()
    return _dataset(examples, sorted({functions[index].file for index in used}), rng)


class _LookAlikes:
    """Functions similar to a given one but not it; none is used so often that it reveals the label."""

    def __init__(self, texts: dict[int, str], rng: Random) -> None:
        self.rng = rng
        self.bags = {index: Counter(tokens(text)) for index, text in texts.items()}
        self.indices = list(texts)
        rows = nearest(list(map(list, self.bags.values())), NEIGHBORS).tolist()
        self.neighbors: dict[int, list[int]] = {
            index: [self.indices[place] for place in row] for index, row in zip(self.indices, rows, strict=True)
        }
        self.given: Counter[int] = Counter()

    def of(self, index: int) -> int:
        """The nearest neighbour of function ``index`` that is not too close and was not used too often.

        If all those not too close were used too often, the nearest of them; if all are too close, any other function.
        """
        near = [other for other in self.neighbors[index] if self._apart(index, other)]
        seldom = [other for other in near if self.given[other] < MOST_GIVEN]
        chosen = (seldom or near or [self.rng.choice([other for other in self.indices if other != index])])[0]
        self.given[chosen] += 1
        return chosen

    def _apart(self, index: int, other: int) -> bool:
        return overlap(self.bags[index], self.bags[other]) < TOO_CLOSE


def _dataset(examples: list[tuple[str, str, int]], files: Sequence[str], rng: Random) -> Dataset:
    """The examples in random order, each with its two functions in random order."""
    rng.shuffle(examples)
    index: dict[str, int] = {}
    members = np.empty((len(examples), 2), dtype=np.int64)
    for row, (left, right, _) in enumerate(examples):
        pair = (left, right) if rng.random() < 0.5 else (right, left)
        members[row] = [index.setdefault(text, len(index)) for text in pair]
    labels = np.array([label for _, _, label in examples], dtype=np.int64)
    digest = hashlib.sha256()
    for text in index:
        digest.update(text.encode("utf-8") + b"\0")
    digest.update(members.astype("<i8").tobytes())
    digest.update(labels.astype("<i8").tobytes())
    return Dataset(tuple(index), members, labels, CLONE_LABELS, tuple(files), digest.hexdigest())
