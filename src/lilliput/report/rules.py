"""Rules that JSON fields must obey: a path, and what its value must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.data.lines import shown
from lilliput.errors import DataError


@dataclass(frozen=True)
class Rule:
    """What a field must be.

    Attributes:
        path: of the field, parts joined by dots; ``*`` stands for every item of a list or every value of an object.
        fine: whether a value is valid.
        wanted: the requirement in words.
        required: whether the field must be present; otherwise it may be missing or null.
        within: path of an object; where that is missing, the rule does not apply. Empty: it always applies.
    """

    path: str
    fine: Callable[[Any], bool]
    wanted: str
    required: bool = True
    within: str = ""


def is_number(value: Any) -> bool:
    """A finite number, not a Boolean."""
    return type(value) in (int, float) and abs(value) < 1e300


def is_count(value: Any) -> bool:
    """A whole number, 0 or more."""
    return type(value) is int and 0 <= value < 2**53


def is_positive(value: Any) -> bool:
    """A finite number above 0."""
    return is_number(value) and value > 0


def is_share(value: Any) -> bool:
    """A number from 0 to 1."""
    return is_number(value) and 0 <= value <= 1


def is_correlation(value: Any) -> bool:
    """A number from -1 to 1."""
    return is_number(value) and -1 <= value <= 1


def is_text(value: Any) -> bool:
    """Text, which may be empty."""
    return isinstance(value, str)


def is_name(value: Any) -> bool:
    """Text that is not blank."""
    return isinstance(value, str) and value.strip() != ""


def is_object(value: Any) -> bool:
    """An object."""
    return isinstance(value, Mapping)


def is_list(value: Any) -> bool:
    """A list."""
    return isinstance(value, list)


def is_estimate(value: Any) -> bool:
    """A value and the ends of its interval."""
    if not isinstance(value, Mapping) or not all(is_number(value.get(name)) for name in ("low", "value", "high")):
        return False
    return bool(value["low"] <= value["high"])


def is_ratio(value: Any) -> bool:
    """A ratio above 0 with its interval or none, or one that was refused, with the reason."""
    if isinstance(value, Mapping) and value.get("value", value) is None:
        return isinstance(value.get("reason"), str)
    if isinstance(value, Mapping) and value.get("low", value) is value.get("high", value) is None:
        return is_positive(value.get("value"))
    return is_estimate(value) and value["low"] > 0


def is_interval(value: Any) -> bool:
    """Two numbers, the lower one first."""
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) and value[0] <= value[1]


ESTIMATE = "an object of numbers 'value', 'low' and 'high', low not above high"
SHARE = "a share, from 0 to 1"
RATIO = "a ratio above 0, its interval or null for both ends, or null with a 'reason'"


def estimates(prefix: str, *names: str, required: bool = True) -> tuple[Rule, ...]:
    """Rules for estimates under ``prefix``."""
    return tuple(Rule(f"{prefix}.{name}", is_estimate, ESTIMATE, required) for name in names)


def under(prefix: str, rules: Sequence[Rule], required: bool = True) -> tuple[Rule, ...]:
    """The same rules for fields under ``prefix``; unless ``required``, ``prefix`` itself may be missing or null."""
    within = "" if required else prefix
    return tuple(Rule(f"{prefix}.{r.path}".rstrip("."), r.fine, r.wanted, r.required, within) for r in rules)


_MISSING = object()


def obey(rule: Rule, fields: Mapping[str, Any], path: Path, remedy: str) -> None:
    """Check a rule.

    Raises:
        DataError: a field is missing or wrong; the message names it.
    """
    if rule.within and all(value in (None, _MISSING) for _, value in _found(fields, rule.within.split("."), "")):
        return
    for place, value in _found(fields, rule.path.split("."), ""):
        if value is _MISSING or (value is None and not rule.required):
            if rule.required:
                raise DataError(f"has no field '{place}', which must be {rule.wanted}.", where=path, remedy=remedy)
        elif not rule.fine(value):
            said = shown(value)
            raise DataError(f"field '{place}' is {said} and must be {rule.wanted}.", where=path, remedy=remedy)


def _found(value: Any, parts: Sequence[str], place: str) -> Iterator[tuple[str, Any]]:
    """Every value at a path, with the path as messages show it; a gap is yielded once, at its first missing part."""
    if not parts:
        yield place, value
        return
    part, *rest = parts
    if part == "*":
        items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield from _found(item, rest, f"{place}[{key}]" if isinstance(key, int) else _joined(place, key))
    elif isinstance(value, Mapping) and part in value:
        yield from _found(value[part], rest, _joined(place, part))
    else:
        yield _joined(place, part), _MISSING


def _joined(place: str, part: object) -> str:
    text = shown(part).strip("'") if isinstance(part, str) else str(part)
    return f"{place}.{text}" if place else text
