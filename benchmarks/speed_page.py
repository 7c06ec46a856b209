"""Make the tables and the plot of docs/speed.md from what ``generators.py`` measured.

Run: python benchmarks/speed_page.py

The table of ``results/NAME.json`` goes between ``<!-- table: NAME -->`` and ``<!-- end of table -->``; ``overview``
has a row for each results file. ``results/speed.svg`` shows Qwen2.5-Coder-0.5B on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.files import read_json, write_text
from lilliput.report.drawing import INK, MARKERS, MUTED, SERIES, as_file, drawing, log_axis, new_figure

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "speed.md"
PLOT = ROOT / "benchmarks" / "results" / "speed.svg"

BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)", re.DOTALL)

INT8, INT4, ALL_INT4 = "lilliput int8", "lilliput int4", "lilliput int4 with int4 head"
SHOWN = {ALL_INT4: "lilliput int4 with `--head int4`"}
"""Name in the results -> name in a table, where they differ."""

SHORT = "resident_mb_after_short_prompt"
"""Key of a row that results before 2026-12-01 lack."""

EIGHT_BITS = ("llama.cpp Q8_0", "CTranslate2 int8", "optimum-intel int8", "torch bf16", "torch fp32")
FOUR_BITS = ("llama.cpp Q4_0", "optimum-intel int4")
"""Engines that int8 and int4 are compared with in the overview: those that read at least as many bits per weight."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """One run of ``generators.py``.

    Attributes:
        name: its file in ``results/``, without '.json'.
        model: the model that ran.
        machine: the machine it ran on.
    """

    name: str
    model: str
    machine: str

    def rows(self) -> dict[str, Row]:
        """Map engine and precision to the measurements."""
        found = read_json(ROOT / "benchmarks" / "results" / f"{self.name}.json")
        return {row["name"]: row for row in found["rows"]}


QWEN, QWEN15, CODEGEN, CODET5 = "Qwen 0.5 B", "Qwen 1.5 B", "CodeGen 350 M", "CodeT5 base"
AMX, XEON, EPYC = "Xeon, AMX", "Xeon, AVX-512 VNNI", "EPYC, AVX-512 VNNI"
AVX2, OLD_AVX2 = "EPYC, AVX2", "EPYC, AVX2 in halves"

RUNS = (
    Measured("generators-qwen", QWEN, AMX),
    Measured("generators-qwen-xeon", QWEN, XEON),
    Measured("generators-qwen-vnni", QWEN, EPYC),
    Measured("generators-qwen-avx2-full", QWEN, AVX2),
    Measured("generators-qwen-avx2", QWEN, OLD_AVX2),
    Measured("generators-qwen15", QWEN15, AMX),
    Measured("generators-qwen15-xeon", QWEN15, XEON),
    Measured("generators-qwen15-vnni", QWEN15, EPYC),
    Measured("generators-codegen", CODEGEN, AMX),
    Measured("generators-codegen-xeon", CODEGEN, XEON),
    Measured("generators-codegen-vnni", CODEGEN, EPYC),
    Measured("generators-codegen-avx2-full", CODEGEN, AVX2),
    Measured("generators-codegen-avx2", CODEGEN, OLD_AVX2),
    Measured("generators-codet5-xeon", CODET5, XEON),
    Measured("generators-codet5-vnni", CODET5, EPYC),
)


def grid(head: Sequence[str], aligned: str, lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; ``aligned`` has '<' or '>' for each column."""
    marks = {"<": "---", ">": "---:"}
    rows = [list(head), [marks[side] for side in aligned], *map(list, lines)]
    bars = [f"| {' | '.join(row)} |" for row in rows]
    bars[1] = f"|{'|'.join(rows[1])}|"
    return "\n".join(bars) + "\n"


def times(row: Row, what: str, ours: str) -> str:
    """Return the time as a multiple of ``ours``, with its interval."""
    value, (low, high) = row[f"{what}, times {ours}'s time"]
    return "1" if row["name"] == ours else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def table(run: Measured) -> str:
    """Return the table of every engine on one machine, beside lilliput's int8."""
    lines = []
    for name, row in run.rows().items():
        limit = f" ({row['of_bandwidth']:.0%} of the limit)".replace("%", " %") if "of_bandwidth" in row else ""
        lines.append(
            (
                SHOWN.get(name, name),
                f"{row['bytes'] / 1e6:,.0f}",
                f"{row['tokens_per_second']:.1f}{limit}",
                times(row, "decode", INT8),
                f"{row['prefill_seconds']:.2f}",
                times(row, "prefill", INT8),
                f"{row['resident_mb']:,.0f}",
                *([f"{row[SHORT]:,.0f}"] if SHORT in row else []),
            )
        )
    head = ["", "MB", "tokens/s", "time per token (int8 = 1)", "prompt, s", "prompt time (int8 = 1)", "resident MB"]
    if len(lines[0]) > len(head):
        head.append("after a short prompt")
    return grid(head, "<>><><>>"[: len(head)], lines)


def nearest(rows: Mapping[str, Row], what: str, ours: str, others: Sequence[str]) -> str:
    """Name the fastest engine of ``others``, and its time as a multiple of ``ours``."""
    asked = [rows[name] for name in others if name in rows]
    if not asked:
        return ""
    best = min(asked, key=lambda row: row[f"{what}, times {ours}'s time"][0])
    return f"{times(best, what, ours)} {best['name'].split()[0]}"


def overview() -> str:
    """Return a table with one row per run: lilliput, and how many times as long the fastest other engine takes."""
    lines = []
    for run in RUNS:
        rows = run.rows()
        eight, four = rows[INT8], rows[ALL_INT4]
        lines.append(
            (
                run.model,
                run.machine,
                f"{eight['tokens_per_second']:.0f}",
                nearest(rows, "decode", INT8, EIGHT_BITS),
                f"{four['tokens_per_second']:.0f}",
                nearest(rows, "decode", ALL_INT4, FOUR_BITS),
                f"{eight['prefill_seconds']:.2f}",
                nearest(rows, "prefill", INT8, EIGHT_BITS),
                f"{four['prefill_seconds']:.2f}",
                nearest(rows, "prefill", ALL_INT4, FOUR_BITS),
            )
        )
    other = "best other"
    head = ("model", "machine", "int8, tokens/s", other, "int4", other, "int8, prompt, s", other, "int4", other)
    return grid(head, "<<><><><><", lines)


def with_tables(page: str) -> str:
    """Return ``page`` with each table between its marks.

    Raises:
        KeyError: a mark names an unknown run.
    """
    made = {"overview": overview} | {run.name: (lambda run=run: table(run)) for run in RUNS}
    return BLOCK.sub(lambda block: f"{block[1]}{made[block[2]]()}{block[3]}", page)


ENGINES = {
    "lilliput int8": ("lilliput int8", SERIES[0], MARKERS[0]),
    ALL_INT4: ("lilliput int4", SERIES[2], MARKERS[1]),
    "llama.cpp Q8_0": ("llama.cpp Q8_0", SERIES[1], MARKERS[2]),
    "llama.cpp Q4_0": ("llama.cpp Q4_0", SERIES[4], MARKERS[3]),
    "CTranslate2 int8": ("CTranslate2 int8", SERIES[3], MARKERS[4]),
    "optimum-intel int4": ("optimum-intel int4", SERIES[5], MARKERS[5]),
}
"""Name in the results -> name in the plot, color, marker."""


def draw() -> None:
    """Plot tokens per second and seconds per prompt of Qwen2.5-Coder-0.5B: a line per machine, a mark per engine."""
    runs = [run for run in RUNS if run.model == QWEN]
    panels = (
        ("tokens_per_second", "tokens per second, log scale", (8, 150)),
        ("prefill_seconds", "seconds for a prompt of 512 tokens, log scale", (0.3, 14.5)),
    )
    with drawing():
        figure, axes = new_figure(0.9 + 0.62 * len(runs), 10.5, columns=len(panels))
        figure.set_facecolor("#ffffff")
        for panel, (key, label, (low, high)) in zip(axes, panels, strict=True):
            log_axis(panel, low, high, lambda value: f"{value:g}")
            for line, run in enumerate(runs):
                panel.axhline(line, color=MUTED, lw=0.4, zorder=0)
                for name, row in run.rows().items():
                    if name in ENGINES:
                        title, color, marker = ENGINES[name]
                        again = None if line else title
                        panel.plot(row[key], line, marker, color=color, ms=7.5, alpha=0.9, label=again)
            panel.set(xlabel=label, yticks=range(len(runs)), yticklabels=[run.machine for run in runs])
            panel.set_ylim(len(runs) - 0.5, -0.5)
            panel.tick_params(axis="y", labelcolor=INK)
        axes[0].set_title("right is better", loc="left", fontsize=10, color=INK)
        axes[1].set_title("left is better", loc="left", fontsize=10, color=INK)
        axes[1].set_yticklabels([])
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=len(ENGINES), borderpad=0)
        write_text(PLOT, as_file(figure))


def main() -> None:
    """Rewrite the page and the plot."""
    write_text(PAGE, with_tables(PAGE.read_text(encoding="utf-8")))
    draw()


if __name__ == "__main__":
    main()
