"""What the page is made of: sections with sentences, tables and plots. The template knows these and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

ABSENT, UNRECORDED = "not measured", "not recorded"


@dataclass(frozen=True)
class Cell:
    """A table's cell: what it says, and a smaller second line."""

    text: str
    note: str = ""
    code: bool = False
    absent: bool = False


NOTHING = Cell(ABSENT, absent=True)


@dataclass(frozen=True)
class Plot:
    """An ``<svg>`` made by :mod:`lilliput.report.plots`, and its caption."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Line:
    """A row of a table: what it is of, a smaller second line, and its cells."""

    name: str
    cells: Sequence[Cell]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table: its caption, the heads of its columns (the first of what the rows are of), and its rows."""

    caption: str
    heads: Sequence[str]
    lines: Sequence[Line]
    legend: str = ""


@dataclass(frozen=True)
class Fold:
    """Something to be unfolded: its line, sentences, and pieces of code, each with what it is.

    ``code`` is a model's own text: it is shown letter by letter, and never anything else.
    """

    title: str
    said: Sequence[str] = ()
    code: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Group:
    """Folds under a heading of their own."""

    title: str
    folds: Sequence[Fold]
    legend: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page; one that holds nothing is left out.

    Attributes:
        title: its heading.
        said: sentences, one a paragraph.
        tables, plots, groups: what stands below them, in this order.
    """

    title: str
    said: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    groups: Sequence[Group] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.said or self.tables or self.plots or self.groups)
