"""Near-twins: similar functions with different labels, so that only what differs can tell the label.

They are found exactly, without comparing all pairs, by prefix filtering (Chaudhuri et al., "A Primitive Operator for
Similarity Joins in Data Cleaning", ICDE 2006) with longer prefixes (Wang et al., "Can We Beat the Prefix Filtering?",
SIGMOD 2012): sort the members of all sets in one order. If two sets of n and m members share at least t n and t m, then
the first n - t n + k of one and the first m - t m + k of the other share at least k. With the rarest members first, few
other pairs do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_DEEPER = 8
"""k is the number of members that must be shared divided by this: a larger k means more look-ups, but fewer
comparisons."""


_ROUNDING = 1e-9
"""Rounding error allowed in a fraction of a member count that should be a whole number."""


def near_twins(
    sets: Sequence[Ints], labels: Ints, least: float, advance: Callable[[int], None] = lambda steps: None
) -> Ints:
    """Find all pairs of ``sets`` with a similarity of at least ``least`` whose labels are known and differ.

    Args:
        sets: non-empty arrays of distinct non-negative integers.
        labels: of each set; ``-1`` if unknown.
        least: Jaccard index (size of the intersection over size of the union), above 0, at most 1.
        advance: called with the number of sets just compared.

    Returns:
        ``[pairs, 2]`` indices into ``sets``, each pair once, the smaller label first, in order.
    """
    begun = _prefixes(sets, least)
    found: list[tuple[int, int]] = []
    held = np.zeros(1 + max((int(members.max()) for members in sets), default=0), dtype=bool)
    for place, members in enumerate(sets):
        advance(1)
        if labels[place] < 0:
            continue
        near = np.flatnonzero(begun.sharing(place) & (labels > labels[place]))
        held[members] = True
        for other in near.tolist():
            both = np.count_nonzero(held[sets[other]])
            if both >= least * (len(members) + len(sets[other]) - both) - _ROUNDING:
                found.append((place, other))
        held[members] = False
    return np.array(found, dtype=np.int64).reshape(-1, 2)


@dataclass(frozen=True)
class _Prefixes:
    """The prefixes of the sets: their rarest members.

    Attributes:
        members: each set's prefix.
        depth: each set's k.
        holders: member -> the sets whose prefix contains it.
    """

    members: list[list[int]]
    depth: Ints
    holders: dict[int, Ints]

    def sharing(self, place: int) -> NDArray[np.bool_]:
        """Which sets' prefixes share enough with that of set ``place`` for the sets to be similar."""
        others = np.concatenate([self.holders[member] for member in self.members[place]])
        enough: NDArray[np.bool_] = np.bincount(others, minlength=len(self.depth)) >= np.minimum(
            self.depth, self.depth[place]
        )
        return enough


def _prefixes(sets: Sequence[Ints], least: float) -> _Prefixes:
    spread = np.bincount(np.concatenate([np.zeros(0, np.int64), *sets]))
    rank = np.empty(len(spread), dtype=np.int64)
    rank[np.argsort(spread, kind="stable")] = np.arange(len(spread))
    lengths = np.array([len(members) for members in sets], dtype=np.int64)
    shared = np.ceil(least * lengths - _ROUNDING).astype(np.int64)
    depth = np.maximum(shared // _DEEPER, 1)
    ends = (lengths - shared + depth).tolist()
    ranked = [np.sort(rank[members])[:end] for members, end in zip(sets, ends, strict=True)]
    flat, owner = np.concatenate([np.zeros(0, np.int64), *ranked]), np.repeat(np.arange(len(sets)), ends)
    order = np.argsort(flat, kind="stable")
    distinct, starts = np.unique(flat[order], return_index=True)
    holders = dict(zip(distinct.tolist(), np.split(owner[order], starts[1:]), strict=True)) if len(flat) else {}
    return _Prefixes([members.tolist() for members in ranked], depth, holders)
