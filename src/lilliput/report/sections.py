"""The parts of a page: sections with sentences, tables and plots. The template knows only these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

ABSENT, UNRECORDED = "not measured", "not recorded"


@dataclass(frozen=True)
class Cell:
    """A table cell: its text, and a smaller second line."""

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
    """A row of a table: its name, a smaller second line, and its cells."""

    name: str
    cells: Sequence[Cell]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table: its caption, its column heads (the first is for the rows' names), and its rows."""

    caption: str
    heads: Sequence[str]
    lines: Sequence[Line]
    legend: str = ""


@dataclass(frozen=True)
class Fold:
    """A collapsible item: its title, sentences, and pieces of code, each with a caption.

    ``code`` is a model's own text: it is shown literally and never interpreted.
    """

    title: str
    said: Sequence[str] = ()
    code: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Group:
    """Folds under one heading."""

    title: str
    folds: Sequence[Fold]
    legend: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the page; an empty one is left out.

    Attributes:
        title: its heading.
        said: sentences, one per paragraph.
        tables, plots, groups: shown below them, in this order.
    """

    title: str
    said: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    groups: Sequence[Group] = field(default=())

    def __bool__(self) -> bool:
        return bool(self.said or self.tables or self.plots or self.groups)
