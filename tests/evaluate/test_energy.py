"""Energy from a fake powercap tree, and estimated without one."""

import time

import pytest

from lilliput.evaluate.energy import PowerModel, measure, measure_calls

WRAP = 262_143_328_850  # microjoules: the range of a real counter


def add_zone(root, folder, name, energy, wrap=WRAP):
    zone = root / folder
    zone.mkdir()
    (zone / "name").write_text(f"{name}\n")
    (zone / "energy_uj").write_text(f"{energy}\n")
    (zone / "max_energy_range_uj").write_text(f"{wrap}\n")
    return zone / "energy_uj"


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))


def test_package_counters_are_summed_without_their_parts(tmp_path):
    first = add_zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    core = add_zone(tmp_path, "intel-rapl:0:0", "core", 500_000)
    second = add_zone(tmp_path, "intel-rapl:1", "package-1", 7)
    platform = add_zone(tmp_path, "intel-rapl:2", "psys", 0)
    again = add_zone(tmp_path, "intel-rapl-mmio:0", "package-0", 1_000_000)

    def run():
        first.write_text("3500000\n")
        second.write_text("1000007\n")
        for other in (core, platform, again):
            other.write_text("9000000\n")

    energy = measure(run, powercap=tmp_path)
    assert energy.kind == "measured"
    assert energy.joules == pytest.approx(2.5 + 1.0, abs=1e-12)
    assert "intel-rapl:0, intel-rapl:1:" in energy.method
    assert "other programs included" in energy.method


def test_counter_may_wrap_once(tmp_path):
    counter = add_zone(tmp_path, "intel-rapl:0", "package-0", WRAP - 2_000_000)
    energy = measure(lambda: counter.write_text("1000000\n"), powercap=tmp_path)
    assert (energy.kind, energy.joules) == ("measured", pytest.approx(3.0, abs=1e-12))


def test_energy_is_estimated_if_the_counter_may_have_wrapped_twice(tmp_path):
    counter = add_zone(tmp_path, "intel-rapl:0", "package-0", 0, wrap=20_000_000)

    def run():
        counter.write_text("5000000\n")
        time.sleep(0.03)  # a package of 1 kW would use 30 J, more than the range of 20 J

    energy = measure(run, powercap=tmp_path)
    assert energy.kind == "estimated"
    assert "may have wrapped more than once" in energy.method


def test_energy_is_estimated_if_counters_stand_still(tmp_path):
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    energy = measure(lambda: burn(0.01), powercap=tmp_path)
    assert energy.kind == "estimated"
    assert energy.joules > 0
    assert "the energy counters stood still" in energy.method


def test_energy_is_estimated_if_a_package_is_unreadable(tmp_path):
    add_zone(tmp_path, "intel-rapl:0", "package-0", 0)
    counter = add_zone(tmp_path, "intel-rapl:1", "package-1", 0)
    counter.unlink()
    counter.mkdir()  # unreadable even for root, who bypasses permissions
    energy = measure(lambda: burn(0.01), powercap=tmp_path)
    assert energy.kind == "estimated"
    assert "the energy counters cannot be read" in energy.method


def test_estimate_is_cpu_time_times_the_stated_power(tmp_path):
    model = PowerModel(7.5, "a source")
    energy = measure(lambda: burn(0.1), model, powercap=tmp_path / "absent")
    assert energy.kind == "estimated"
    assert energy.cpu_seconds == pytest.approx(0.1, abs=0.05)
    assert energy.joules == pytest.approx(7.5 * energy.cpu_seconds, rel=1e-12)
    assert energy.seconds >= energy.cpu_seconds * 0.9
    assert "7.5 W per busy core (a source)" in energy.method
    assert "because this machine shows no energy counters" in energy.method


def test_calls_are_repeated_in_whole_rounds_for_the_given_time(tmp_path):
    called = []

    def run(example):
        called.append(example)
        time.sleep(0.01)

    energy, calls = measure_calls(run, 3, seconds=0.1, powercap=tmp_path)
    assert called == [0, 1, 2] * (calls // 3)
    assert calls >= 6
    assert 0.1 <= energy.seconds < 1
    assert measure_calls(run, 3, seconds=0, powercap=tmp_path)[1] == 3
    with pytest.raises(ValueError, match="nothing to measure"):
        measure_calls(run, 0, powercap=tmp_path)


def test_sleeping_takes_time_but_no_cpu(tmp_path):
    energy = measure(lambda: time.sleep(0.05), powercap=tmp_path)
    assert energy.seconds >= 0.05
    assert energy.cpu_seconds < 0.03


def test_exceptions_of_the_work_propagate(tmp_path):
    def run():
        raise RuntimeError("broken work")

    with pytest.raises(RuntimeError, match="broken work"):
        measure(run, powercap=tmp_path)
