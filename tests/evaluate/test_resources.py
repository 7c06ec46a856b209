"""Latency of calls of known duration, and memory of children of known size."""

import json
import os
import platform
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.evaluate.resources import (
    cpu_name,
    latency,
    machine,
    peak_memory,
    summarize,
    tried_peak_memory,
    usable_cores,
)

needs_wait4 = pytest.mark.skipif(not hasattr(os, "wait4"), reason="peak memory is measured with wait4")


def test_percentiles_match_numpy_in_milliseconds():
    times = np.random.default_rng(0).exponential(0.002, 501)
    ours = summarize(times)
    assert (ours.p50, ours.p95, ours.p99) == pytest.approx(tuple(np.percentile(times * 1e3, (50, 95, 99))), rel=1e-12)
    assert ours.n == 501


@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=50))
def test_interval_contains_the_median_and_lies_within_the_times(times):
    ours = summarize(times)
    low, high = ours.p50_interval
    assert min(times) * 1e3 <= low <= ours.p50 <= high <= max(times) * 1e3
    assert ours.p50 <= ours.p95 <= ours.p99


def test_interval_has_its_nominal_coverage_of_the_median():
    random = np.random.default_rng(1)
    samples = random.exponential(1.0, (2000, 60))
    covered = sum(low <= np.log(2) * 1e3 <= high for low, high in (summarize(row).p50_interval for row in samples))
    # The interval is widened to whole order statistics, so it covers 95 % or slightly more.
    assert 0.94 <= covered / 2000 <= 0.99


def test_call_of_known_duration_is_timed_without_the_warm_up():
    seen = []

    def run(example):
        time.sleep(0.05 if len(seen) < 3 else 0.002)
        seen.append(example)

    ours = latency(run, 4, warmup=3, calls=10)
    assert seen == [0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert ours.n == 10
    assert 2.0 <= ours.p50 < 40.0


def test_timing_stops_at_its_limit():
    ours = latency(lambda example: time.sleep(0.01), 1, warmup=0, calls=10_000, seconds=0.05)
    assert 1 <= ours.n <= 6
    assert latency(lambda example: None, 1, warmup=0, seconds=0.0).n == 1


def test_rejects_nothing_to_time():
    with pytest.raises(ValueError, match="nothing to time: 0 examples"):
        latency(lambda example: None, 0)


@needs_wait4
def test_peak_memory_is_that_of_the_child_not_the_parent():
    ballast = np.ones(20_000_000)  # 160 MB, held by this process while the child starts
    small = peak_memory([sys.executable, "-I", "-S", "-c", "pass"])
    large = peak_memory([sys.executable, "-I", "-S", "-c", "x = b'x' * 100_000_000; del x"])
    assert ballast.sum() == 20_000_000
    assert 5 < small < 40
    assert large - small == pytest.approx(100, abs=5)


@needs_wait4
def test_failing_child_is_reported_with_its_error():
    with pytest.raises(UserError, match=r"failed with exit code 1: ValueError: no model.*by itself"):
        peak_memory([sys.executable, "-c", "raise ValueError('no model')"])
    with pytest.raises(UserError, match="failed with exit code -9: it said nothing"):
        peak_memory([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    with pytest.raises(UserError, match="FileNotFoundError"):
        peak_memory(["no-such-program-anywhere"])


@needs_wait4
def test_unmeasurable_memory_is_a_note_and_not_an_error():
    notes = []
    assert tried_peak_memory([sys.executable, "-c", "raise ValueError('no model')"], notes.append) is None
    assert notes == [
        "peak memory was not measured: the program measured for memory failed with exit code 1: ValueError: no model"
    ]
    assert tried_peak_memory([sys.executable, "-I", "-S", "-c", "pass"], notes.append) > 5
    assert len(notes) == 1


def test_machine_is_described_without_its_name():
    record = machine()
    assert record["cpu"] == cpu_name() != ""
    assert record["cores"] == usable_cores() >= 1
    assert record["packages"]["numpy"] == np.__version__
    assert record["date"].endswith("+00:00")
    node = platform.node()
    assert not node or node not in json.dumps(record)
