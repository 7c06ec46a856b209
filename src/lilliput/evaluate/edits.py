"""Edit similarity of two texts, from their Levenshtein distance.

Source of the distance: Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", 1966.
"""

from __future__ import annotations


def edit_distance(one: str, other: str) -> int:
    """The least number of characters to insert, delete or replace to turn one text into the other."""
    row = list(range(len(other) + 1))
    for first, character in enumerate(one, start=1):
        diagonal, row[0] = row[0], first
        for place, candidate in enumerate(other, start=1):
            replaced = diagonal + (character != candidate)
            diagonal = row[place]
            row[place] = min(replaced, diagonal + 1, row[place - 1] + 1)
    return row[-1]


def edit_similarity(one: str, other: str) -> float:
    """``1 - distance / length of the longer text``, 0 to 1; 1 for two empty texts."""
    return 1 - edit_distance(one, other) / max(1, len(one), len(other))
