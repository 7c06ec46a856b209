"""Plot what perturbed prompts cost compressed generators and the original, from results of ``lilliput robustness``.

Run: python benchmarks/robustness_plot.py ORIGINAL.json OTHER.json... --out plot.svg

Each OTHER must have been made with ``--against ORIGINAL.json``. Left: problems solved under the worst version of each
perturbation, with score intervals. Right: the paired difference from the original, with intervals of the difference.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.files import read_json, write_text
from lilliput.report import clean
from lilliput.report.drawing import INK, MARKERS, SERIES, as_file, drawing, new_figure

FORMS = {"prompt": "prompts as they are", "partial": "with half a solution"}
"""What is perturbed -> label of its unperturbed row."""

APART = 0.2
"""Offset between the models of a row, in rows."""

Row = tuple[str, Mapping[str, float]]


def rates(result: Mapping[str, Any]) -> list[Row]:
    """Return (name, rate) rows: pass@1 unperturbed, then robust pass."""
    nominal = [(FORMS[on], rate) for on, rate in result["nominal"].items()]
    return nominal + [(line["name"].replace("_", " "), line["robust_pass"]) for line in result["perturbations"]]


def differences(result: Mapping[str, Any]) -> list[Row]:
    """Return (name, difference from the original) rows; the last two are of all versions together."""
    against = result["against"]
    rows = [(FORMS[on], found["difference"]) for on, found in against["nominal"].items()]
    rows += [
        (line["name"].replace("_", " "), line["difference"]["robust_pass"]["difference"])
        for line in against["perturbations"]
    ]
    every = against["all"]
    return [
        *rows,
        ("worst of all", every["difference"]["robust_pass"]["difference"]),
        ("mean of all", every["mean_pass"]["difference"]),
    ]


def draw(axes: Any, tables: Sequence[tuple[str, int, list[Row]]], label: str) -> None:
    """Draw points with error bars in percent, one row per name, with the models of a row below each other."""
    names = [name for name, _ in tables[0][2]]
    for place, (model, series, rows) in enumerate(tables):
        shift = APART * (place - (len(tables) - 1) / 2)
        for line, (_, found) in enumerate(rows):
            value, low, high = (100 * found[end] for end in ("value", "low", "high"))
            look = {"color": SERIES[series], "marker": MARKERS[series], "ms": 5.5}
            reach = [[max(value - low, 0)], [max(high - value, 0)]]
            name = model if line == 0 else None
            axes.errorbar(value, line + shift, xerr=reach, ls="", lw=1.4, capsize=2, label=name, **look)
    axes.set(xlabel=label, yticks=range(len(names)), yticklabels=names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", labelcolor=INK)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("original", type=Path)
    parser.add_argument("others", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    original, *others = (read_json(path) for path in (given.original, *given.others))
    models = [original, *others]
    with drawing():
        figure, (left, right) = new_figure(0.9 + 0.55 * len(differences(others[0])), 10.5, columns=2)
        figure.set_facecolor("#ffffff")
        draw(left, [(clean(one["name"]), place, rates(one)) for place, one in enumerate(models)], "problems solved, %")
        against = f"points more than {clean(original['name'])}"
        draw(right, [(clean(one["name"]), place, differences(one)) for place, one in enumerate(others, 1)], against)
        right.axvline(0, color=INK, lw=1.0, ls="--", zorder=1)
        left.set_title(f"{original['n']} problems, 95 % intervals", loc="left", fontsize=10, color=INK)
        right.set_title("paired differences", loc="left", fontsize=10, color=INK)
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower left", ncols=len(models), borderpad=0)
        write_text(given.out, as_file(figure))


if __name__ == "__main__":
    main()
