"""``compare`` on the command line: its output, what it rejects, and that an interrupt leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lilliput.cli.app import app
from lilliput.cli.compare_table import as_fast, less, rounded, times, verdict
from lilliput.verbs.compare import verb as compare
from lilliput.verbs.compare.process import MODULE

NOISY = {"value": None, "low": None, "high": None, "n": None, "reason": "too noisy: reference varied by 31 %"}


def ratio(value, low, high):
    return {"value": value, "low": low, "high": high, "n": 10, "reason": None}


def test_verdict_is_one_sentence():
    found = {"name": "int8", "bytes": 3.07, "peak_memory": 4.01, "decode": {"speed": ratio(6.9, 6.1, 7.7)}}
    assert (
        verdict("generator", found) == "int8 is 3.1x smaller, decodes 6.9x [6.1, 7.7] as fast and uses 4.0x less memory"
    )
    worse = {"name": "fp32", "bytes": 0.5, "peak_memory": 0.8, "fixed": {"speed": ratio(0.9, 0.85, 0.97)}}
    expected = "fp32 is 2.0x larger, is 0.90x [0.85, 0.97] as fast and uses 1.25x more memory"
    assert verdict("classifier", worse) == expected
    noisy = verdict("generator", {**found, "decode": {"speed": NOISY}})
    assert noisy.endswith("its speed could not be compared (too noisy: reference varied by 31 %)")
    assert "6.9" not in noisy


def test_ratios_are_formatted_in_words():
    assert times(1.04, "smaller", "larger") == "1.04x smaller"
    assert times(0.25, "less", "more") == "4.0x more"
    assert as_fast(NOISY) == less(NOISY) == NOISY["reason"]
    assert less(ratio(0.5, 0.4, 0.8)) == "2.00x [1.25, 2.50] more"
    assert less(ratio(4.0, 3.8, 4.2)) == "4.0x [3.8, 4.2] less"
    assert as_fast(ratio(2.2, None, None)) == "2.2x as fast"
    assert rounded((12.34, 1.96)) == ["12.34", "1.96"]


def test_json_equals_the_file_and_the_table_shows_the_conditions(small, tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "STARTS", 1)
    out = tmp_path / "deep" / "compared.json"
    arguments = ["compare", str(small), str(small), "--rounds", "6", "--tokens", "16", "--carbon-intensity", "FRA"]
    run = CliRunner().invoke(app, [*arguments, "--price-per-hour", "1", "--json", "--out", str(out)])
    assert run.exit_code == 0, run.stderr
    result = json.loads(run.stdout)
    assert json.loads(out.read_text()) == result
    assert (result["price"]["usd_per_hour"], result["intensity"]["grams_per_kwh"]) == (1.0, 44)
    fixed = result["models"][0]["phases"]["fixed"]
    seconds, joules = (fixed["seconds_per_unit"], fixed["energy"]["joules_per_unit"])
    assert fixed["usd_per_million_units"]["value"] == pytest.approx(seconds["value"] * 1e6 / 3600)
    assert fixed["grams_co2e_per_unit"]["value"] == pytest.approx(joules["value"] / 3.6e6 * 44)
    from lilliput.cli.compare_table import facts, rows

    table = {row[0].strip(): row[1:] for row in rows(result)}
    assert table["runs in"] == ["OpenVINO", "OpenVINO", ""]
    assert table["on disk"][2] == "1.00x smaller"
    assert re.fullmatch(r"[\d.]+ / [\d.]+ / [\d.]+", table["ms a function, p50 / p95 / p99"][0])
    told = facts(result)
    assert told["carbon"] == "44 g/kWh (France)"
    assert told["price"] == "1 US dollars an hour of 1 thread(s): the user"
    assert "no ratios above 15 %" in told["noise"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--rounds", "5"), ("--tokens", "2"), ("--new-tokens", "0"), ("--threads", "0"), ("--price-per-hour", "-1")],
)
def test_rejects_options_out_of_bounds(option, value):
    run = CliRunner().invoke(app, ["compare", "a", "b", option, value])
    assert run.exit_code == 2
    assert option in run.stderr


def test_needs_at_least_two_models():
    assert CliRunner().invoke(app, ["compare", "a"]).exit_code == 2


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are found in /proc")
@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_interrupt_leaves_nothing_behind(small, tmp_path, seconds):
    process = subprocess.Popen(
        [sys.executable, "-m", "lilliput", "compare", str(small), str(small), "--rounds", "1000000"],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
        text=True,
    )
    assert any("cold starts: done" in line for line in process.stderr)
    assert len(measured(tmp_path)) >= 2
    time.sleep(seconds)  # at 0 seconds, a process is being started
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130
    assert rest.splitlines()[-1] == "interrupted"
    assert measured(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_unwritable_place_is_rejected_before_the_work(small, tmp_path):
    (tmp_path / "file").write_text("")
    argv = ["compare", str(small), str(small), "--out", str(tmp_path / "file" / "found.json")]
    run = subprocess.run([sys.executable, "-m", "lilliput", *argv], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr.startswith("error: ")  # no cold starts are reported before it
    assert "cannot write" in run.stderr


def measured(folder: Path) -> list[str]:
    """Command lines of the processes whose requests are in a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # the process has ended
            continue
        if str(folder) in line and MODULE in line:
            found.append(line)
    return found
