"""Typing errors: neighbouring keys, exchanged letters, letters in the wrong case.

Rates are close to those measured on ReCode's released prompts: 6 % of letters mistyped, 31 % in the other case, 9 %
moved.
"""

from __future__ import annotations

from random import Random

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_OFFSETS = (0.0, 0.25, 0.75)
"""Horizontal shift of each row of keys from the first, in keys."""

_REACH = 1.3
"""Greatest distance, in keys, to a key that may be hit by mistake."""

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
    """Replace each letter by one on a neighbouring key with probability ``rate``, keeping its case."""
    return "".join(_mistyped(letter, rng) if rng.random() < rate else letter for letter in word)


def _mistyped(letter: str, rng: Random) -> str:
    around = NEIGHBORS.get(letter.lower())
    if around is None:
        return letter
    hit = rng.choice(around)
    return hit.upper() if letter.isupper() else hit


def change_case(word: str, rng: Random, rate: float = CAPITALS) -> str:
    """Switch the case of each letter with probability ``rate``."""
    return "".join(letter.swapcase() if rng.random() < rate else letter for letter in word)


def swap_characters(word: str, rng: Random, rate: float = SWAPPED) -> str:
    """Exchange each two adjacent letters with probability ``rate``, none of them twice."""
    letters = list(word)
    place = 0
    while place + 1 < len(letters):
        if letters[place].isalpha() and letters[place + 1].isalpha() and rng.random() < rate:
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
            place += 1
        place += 1
    return "".join(letters)
