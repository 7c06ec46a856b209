"""The section on measures that run no program: code summaries, line completion and next-token prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lilliput.report import clean, look_up, percent, plural, significant
from lilliput.report.given import Given
from lilliput.report.reading import Result
from lilliput.report.sections import NOTHING, Cell, Line, Section, Table

SUMMARIES = {"bleu4": "BLEU-4", "rouge_l": "ROUGE-L", "chrf": "chrF"}

LINES = {"exact": "Exact, %", "similarity": "Edit similarity, %"}

TOKENS = {"next token, %": ("every", "top1"), "next token of code, %": ("code", "top1")}


def texts_section(given: Given) -> Section:
    """Each result with its baselines; results on other data or settings get their own tables and are not compared."""
    tables = [
        *map(_summaries, given.summaries),
        *(table for result in given.repositories for table in (_lines(result), _tokens(result)) if table is not None),
    ]
    several = len(given.summaries) > 1 or len(given.repositories) > 1
    said = ["Compare rows of different tables only where data and settings, given below, agree."] if several else []
    return Section("Summaries and repositories", said if tables else [], tables)


def _summaries(result: Result) -> Table:
    values = result.values
    rows = {clean(result.name): values} | {f"baseline: {clean(name)}": row for name, row in values["baselines"].items()}
    lines = [
        Line(name, [_cell(row[measure], significant) for measure in SUMMARIES], plural(values["n"], "example"))
        for name, row in rows.items()
    ]
    legend = "From 0 to 100, means over examples; in brackets: 95 % intervals over examples."
    return Table(f"{clean(result.name)}: summaries of functions", ["", *SUMMARIES.values()], lines, legend)


def _lines(result: Result) -> Table:
    found = result.values["lines"]
    rows = {clean(result.name): found["model"]} | {
        f"baseline: {clean(name)}": row for name, row in found["baselines"].items()
    }
    lines = [Line(name, [_cell(row[measure], percent) for measure in LINES]) for name, row in rows.items()]
    places = found.get("places")
    size = f", {plural(places, 'place')}" if places is not None else ""
    legend = "In brackets: 95 % intervals over files."
    return Table(f"{clean(result.name)}: line completion in a repository{size}", ["", *LINES.values()], lines, legend)


def _tokens(result: Result) -> Table | None:
    found = result.values["next_token"]
    if found is None:
        return None
    alone = found.get("perplexity_value")  # of one piece, without an interval
    cell = NOTHING if alone is None else Cell(significant(alone))
    first = cell if found.get("perplexity") is None else _cell(found["perplexity"], significant)
    lines = [Line("perplexity", [first])]
    lines += [Line(title, [_cell(look_up(found, *keys), percent)]) for title, keys in TOKENS.items()]
    legend = "In brackets: 95 % intervals over files."
    return Table(f"{clean(result.name)}: next tokens in a repository", ["", clean(result.name)], lines, legend)


def _cell(found: Mapping[str, Any] | None, write: Any) -> Cell:
    if found is None:
        return NOTHING
    return Cell(write(found["value"]), f"[{write(found['low'])}, {write(found['high'])}]")
