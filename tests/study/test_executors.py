"""Executors: every result comes with its job's index, whatever happens to the others, and no process stays behind."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lilliput.errors import MissingExtra, UserError
from lilliput.study.executors import DaskCluster, Failed, LocalProcesses, RayCluster, open_executor
from tests.study import tasks

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster():
    """A local Dask cluster of two workers."""
    pytest.importorskip("distributed", reason="needs lilliput[cluster]")
    found = DaskCluster(workers=2)
    yield found
    found.close()


@pytest.fixture(scope="module")
def rays():
    """A local Ray cluster of two workers."""
    pytest.importorskip("ray", reason="Ray is not installed; no extra of lilliput brings it: pip install ray")
    found = RayCluster(workers=2)
    yield found
    found.close()


@pytest.fixture(params=["local", "cluster", "rays"])
def executor(request):
    return LocalProcesses(2) if request.param == "local" else request.getfixturevalue(request.param)


def test_results_come_with_their_indices(executor):
    assert executor.concurrent == 2
    assert dict(executor.map(tasks.square, [3, 1, 2])) == {0: 9, 1: 1, 2: 4}
    assert list(executor.map(tasks.square, [])) == []


def test_failure_is_reported_and_does_not_stop_other_jobs(executor):
    found = dict(executor.map(tasks.fail_at_two, [1, 2, 3, 4]))
    assert (found[0], found[3]) == (1, 4)
    assert found[1] == Failed("two is too many. Choose another.")
    assert found[2] == Failed("ValueError: three, too")


def test_killed_process_is_one_failed_job():
    found = dict(LocalProcesses(1).map(tasks.die_at_two, [1, 2, 3]))
    assert (found[0], found[2]) == (1, 3)
    assert found[1] == Failed("its process was ended by signal 9 (out of memory, perhaps)")


def test_output_of_a_job_does_not_disturb_its_result(capfd):
    assert dict(LocalProcesses().map(tasks.chatter, [7])) == {0: 7}
    assert capfd.readouterr().out == ""


def test_every_job_has_its_own_process():
    found = dict(LocalProcesses().map(tasks.environment, [0, 1]))
    assert len({found[0][0], found[1][0], os.getpid()}) == 3


def alive(process):
    """Whether the process runs; a zombie that nobody has waited for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def settled(condition):
    for _ in range(300):
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_workers_end_with_a_killed_parent(tmp_path):
    script = f"""
        from lilliput.study.executors import LocalProcesses
        from tests.study import tasks
        list(LocalProcesses().map(tasks.wait, [{str(tmp_path)!r}]))
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT)
    assert settled(lambda: any(tmp_path.iterdir()))
    (worker,) = (int(path.name) for path in tmp_path.iterdir())
    assert alive(worker)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert settled(lambda: not alive(worker))


def test_killed_ray_worker_is_one_failed_job(rays):
    found = dict(rays.map(tasks.die_at_two, [1, 2, 3]))
    assert (found[0], found[2]) == (1, 3)
    assert found[1].problem.startswith("WorkerCrashedError")


def test_ray_worker_ends_with_its_job(rays):
    found = dict(rays.map(tasks.environment, [0, 1, 2]))
    assert len({found[place][0] for place in found} | {os.getpid()}) == 4


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_ray_jobs_end_when_results_are_no_longer_wanted(rays, tmp_path):
    coming = rays.map(tasks.wait_or_not, ["", *[str(tmp_path)] * 3])
    assert next(coming) == (0, "")
    assert settled(lambda: len(list(tmp_path.iterdir())) == 2)
    coming.close()
    assert settled(lambda: not any(alive(int(path.name)) for path in tmp_path.iterdir()))
    assert dict(rays.map(tasks.square, [3])) == {0: 9}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_workers_end_when_results_are_no_longer_wanted(tmp_path):
    executor = LocalProcesses(2)
    jobs = [str(tmp_path)] * 3
    with contextlib.closing(executor.map(tasks.wait, jobs)) as coming:
        import threading

        reader = threading.Thread(target=lambda: list(coming))
        reader.start()
        assert settled(lambda: len(list(tmp_path.iterdir())) == 2)
        executor.close()
        reader.join(60)
        assert not reader.is_alive()
    assert not any(alive(int(path.name)) for path in tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("slurm",), "--executor: unknown value 'slurm'"),
        (("local", 0), "--workers: must be 1 or more"),
        (("local", 1, "tcp://host:1"), "--address: is only for a cluster"),
        (("dask", 2, "tcp://host:1"), "--workers: has no effect on a cluster that is already running"),
    ],
)
def test_rejects_what_cannot_be_opened(arguments, words):
    with pytest.raises(UserError, match=words):
        open_executor(*arguments)


def test_missing_scheduler_is_reported(monkeypatch):
    pytest.importorskip("distributed", reason="needs lilliput[cluster]")
    monkeypatch.setattr("lilliput.study.executors.CONNECT_S", 1)
    with pytest.raises(UserError, match="--address: no scheduler answers"):
        open_executor("dask", 1, "tcp://127.0.0.1:9")


def test_missing_dask_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"lilliput\[cluster\]"):
        open_executor("dask")


def test_missing_ray_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match="pip install ray"):
        open_executor("ray")


def test_missing_ray_cluster_is_reported():
    """Run in a process of its own: this one may already be connected to a cluster."""
    pytest.importorskip("ray", reason="Ray is not installed; no extra of lilliput brings it: pip install ray")
    script = "from lilliput.study.executors import RayCluster\nRayCluster('127.0.0.1:9')"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "lilliput.errors.UserError: --address: no cluster answers" in run.stderr
