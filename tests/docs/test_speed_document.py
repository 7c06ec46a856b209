"""The tables of docs/speed.md are those that their script makes from the committed measurements."""

import json

import pytest

from benchmarks import speed_page


def test_tables_match_the_committed_results():
    page = speed_page.PAGE.read_text()
    assert page == speed_page.with_tables(page), "run: python benchmarks/speed_page.py"


def test_every_run_has_its_table():
    named = {name for _, name, _ in speed_page.BLOCK.findall(speed_page.PAGE.read_text())}
    assert named == {"overview", *(run.name for run in speed_page.RUNS)}


def test_table_shows_the_measured_figures():
    run = speed_page.RUNS[0]
    results = json.loads((speed_page.ROOT / f"benchmarks/results/{run.name}.json").read_text())["rows"]
    lines = speed_page.table(run).splitlines()[2:]
    for line, row in zip(lines, results, strict=True):
        _, name, megabytes, tokens, *_ = (cell.strip() for cell in line.split("|"))
        assert name.split()[0] == row["name"].split()[0]
        assert float(megabytes.replace(",", "")) == pytest.approx(row["bytes"] / 1e6, abs=0.5)
        assert float(tokens.split()[0]) == pytest.approx(row["tokens_per_second"], abs=0.05)


def test_nearest_engine_is_the_fastest_other_one():
    rows = speed_page.RUNS[0].rows()
    asked = {name: rows[name]["decode, times lilliput int8's time"][0] for name in speed_page.EIGHT_BITS}
    best = min(asked, key=asked.get)
    cell = speed_page.nearest(rows, "decode", speed_page.INT8, speed_page.EIGHT_BITS)
    assert cell.endswith(best.split()[0])
    assert float(cell.split()[0]) == pytest.approx(asked[best], abs=0.005)


def test_unknown_table_is_rejected():
    with pytest.raises(KeyError, match="other"):
        speed_page.with_tables("<!-- table: other -->\n<!-- end of table -->")
