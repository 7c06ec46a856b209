"""The page: models side by side, in one self-contained HTML file.

Every sentence, cell and plot is computed from the evidence. Missing figures are shown as not measured, and figures
measured under different conditions are not compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from lilliput.errors import UserError
from lilliput.extras import require
from lilliput.files import write_text
from lilliput.report import Evidence, clean, distinct_baselines, named_apart
from lilliput.report.classifiers import baseline_row, caution, fact_tables, model_row, plot_groups, sentences
from lilliput.report.costs import alone_section, comparison_section
from lilliput.report.differences import differences_section
from lilliput.report.generators import accuracy_section
from lilliput.report.given import Given
from lilliput.report.pairs import pairs
from lilliput.report.provenance import provenance_tables
from lilliput.report.robust import robustness_section, robustness_sentences
from lilliput.report.sections import Section
from lilliput.report.texts import texts_section
from lilliput.report.verdict import verdicts

TITLE = "Models of code, compared"

TEMPLATES = ("page", "classifiers", "sections", "facts", "cells")
"""Files ``NAME.html.jinja``; the first includes the others."""


def write(
    evidences: Sequence[Evidence],
    path: str | Path,
    title: str = TITLE,
    command: str = "",
    given: Given | None = None,
) -> None:
    """Write the page of :func:`render` to ``path`` atomically."""
    write_text(Path(path), render(evidences, title, command, given))


def render(evidences: Sequence[Evidence], title: str, command: str, given: Given | None = None) -> str:
    """Render the page as HTML.

    Args:
        evidences: classifiers, in the order of the page's rows.
        title: the page's heading.
        command: the command line that made it; empty where there was none.
        given: everything else: generators, comparisons, robustness.

    Raises:
        UserError: there is no evidence.
        MissingExtra: jinja2 or matplotlib is not installed.
    """
    given = given or Given()
    if not evidences and not given:
        raise UserError("there is nothing to report.", remedy="Give at least one result of 'lilliput evaluate --json'.")
    evidences = named_apart(evidences)
    folder = resources.files("lilliput.report")
    jinja2 = require("jinja2")
    sources = {name: (folder / f"{name}.html.jinja").read_text(encoding="utf-8") for name in TEMPLATES}
    loader = jinja2.DictLoader(sources)
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["tied"] = _tied
    found, sections = _sections(given)
    page: str = environment.get_template("page").render(
        title=clean(title),
        command=clean(command),
        style=(folder / "page.css").read_text(encoding="utf-8"),
        sentences=[*found, *(sentences(evidences) if evidences else [])],
        sections=sections,
        models=[model_row(evidence) for evidence in evidences],
        caution=caution(evidences) if evidences else "",
        baselines=[baseline_row(baseline) for baseline in distinct_baselines(evidences)],
        plots=plot_groups(evidences) if evidences else [],
        facts=list(fact_tables(evidences)) if evidences else [],
        provenance=provenance_tables(given),
    )
    return page


def _sections(given: Given) -> tuple[list[str], list[Section]]:
    """The verdict, and all non-empty sections other than that of classifiers' evaluations."""
    compared = pairs(given)
    sections = [
        accuracy_section(given, compared),
        robustness_section(given),
        *(comparison_section(comparison, number) for number, comparison in enumerate(given.comparisons)),
        alone_section(given),
        texts_section(given),
        differences_section(compared),
    ]
    return [*verdicts(given, compared), *robustness_sentences(given)], [section for section in sections if section]


def _tied(text: str) -> str:
    """``text`` with figures and their units kept on one line."""
    return re.sub(
        r"(?<=\d,) (?=[-−+]?\d)|(?<=\d) (?=%|[kMGTmµn]?[BJg]\b|ms\b)|(?<=\bn) (?==)|(?<==) (?=\d)", "\u00a0", text
    )
