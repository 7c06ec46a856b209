"""Tables of the facts recorded about each model, one column per model."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lilliput.report import as_number, clean, significant
from lilliput.report.sections import ABSENT, UNRECORDED, Cell


@dataclass(frozen=True)
class FactTable:
    """Facts, one column per model; a row whose cells all agree holds a single cell."""

    title: str
    names: list[str]
    rows: list[tuple[str, list[Cell]]]
    numeric: bool = False


def fact_table(title: str, names: list[str], values: Sequence[Any], numeric: bool) -> FactTable:
    """Build a table whose rows follow the order in which keys first appear; a total comes last."""
    columns = [dict(_flat(value)) for value in values]
    labels = sorted(dict.fromkeys(key for column in columns for key in column), key=lambda key: key == "total")
    missing = Cell(ABSENT if numeric else UNRECORDED, absent=True)
    rows = []
    for label in labels:
        cells = [_fact_cell(column[label], numeric) if label in column else missing for column in columns]
        rows.append((label, cells[:1] if len(set(cells)) == 1 and not numeric else cells))
    return FactTable(title, names, rows, numeric)


def _fact_cell(value: Any, numeric: bool) -> Cell:
    number = as_number(value)
    if number is not None and numeric:
        text = f"{number:,.10g}"
    elif number is not None and isinstance(value, float):
        text = significant(number, 4)
    else:
        text = clean(value)
    return Cell(text, code=len(text) >= 32 and all(c in "0123456789abcdef" for c in text))


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Flatten ``{"a": {"b": 1}}`` to ``("a: b", 1)``; lists of plain values are joined, nulls left out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            label = clean(key).replace("_", " ")
            yield from _flat(inner, f"{path}: {label}" if path else label)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if any(isinstance(item, Mapping) for item in value):
            yield from _flat({str(index + 1): item for index, item in enumerate(value)}, path)
        elif value:
            yield path or "value", ", ".join(clean(item) for item in value)
    elif value is not None:
        yield path or "value", value


def as_mapping(value: Any, key: str) -> dict[str, Any]:
    """Return a mapping unchanged, and any other value under ``key``."""
    return dict(value) if isinstance(value, Mapping) else {key: value}


def without(value: Any, keys: Collection[str]) -> Any:
    """Return a mapping without some of its keys, and any other value unchanged."""
    return {k: v for k, v in value.items() if k not in keys} if isinstance(value, Mapping) else value
