"""A study of a tiny real model end to end: what it writes, resuming after a kill, and agreement of executors."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import pytest

from lilliput import api
from lilliput.artifact import open_artifact
from lilliput.errors import UserError
from lilliput.evaluate.perplexity import held_out_ids, perplexity
from lilliput.files import work_folder
from lilliput.study.choice import Rule
from lilliput.study.executors import DaskCluster
from lilliput.study.grid import grid_of
from lilliput.study.recipe import read_recipe
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.verbs.study.small import GRID, TIMED, TIMES, InThisProcess, study


def facts(result):
    """Figures that must be equal between runs."""
    points = [
        {name: value for name, value in one.items() if name not in (*TIMES, "on_front", "bytes")}
        for one in result.as_dict()["points"]
    ]
    return points, result.as_dict()["chosen"]


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """An uninterrupted study, run in processes."""
    out = tmp_path_factory.mktemp("whole") / "study"
    return api.study(model, out, grid=grid_of(GRID, "mine", "a test"), measures=TIMED, rule=Rule(tolerance=0.9))


def test_writes_plan_results_plot_and_recipe_and_nothing_else(whole):
    names = {path.name for path in whole.path.iterdir()}
    assert names == {"plan.json", "results.jsonl", "study.json", "front.svg", "recipe.json"}
    assert json.loads((whole.path / "study.json").read_text()) == json.loads(json.dumps(whole.as_dict()))
    ElementTree.parse(whole.path / "front.svg")


def test_figures_match_the_artifact(whole, model, tmp_path):
    point = whole.plan.jobs[1].point
    quantize(model, tmp_path / "small", settings=QuantizeSettings.of_point(point))
    found = whole.choice.rated[1].result
    sizes = open_artifact(tmp_path / "small").bytes()
    assert found.bytes["weights"] == sizes.weights
    assert found.size == pytest.approx(sizes.total, abs=300)  # card and manifest contain names and commands
    assert found.bits_per_weight == 8 * sizes.weights / found.parameters
    measured = perplexity(tmp_path / "small", held_out_ids(tmp_path / "small", 3, 48), threads=1)
    assert found.perplexity["value"] == pytest.approx(measured.perplexity, rel=1e-6)
    assert found.perplexity["pieces"] == pytest.approx(measured.pieces, rel=1e-6)
    assert (found.perplexity["low"], found.perplexity["high"]) == pytest.approx(measured.interval, rel=1e-6)


def test_speed_is_reported_with_its_conditions(whole):
    speed = whole.choice.rated[0].result.speed
    assert (speed["concurrent"], speed["threads"]) == (1, 1)
    assert speed["decode_tokens_per_s"]["n"] == 6
    assert speed["decode_tokens_per_s"]["value"] > 0
    assert speed["prefill_tokens_per_s"]["value"] > 0
    assert "a prompt of 128 tokens" in speed["method"]
    assert whole.choice.objectives == ("bytes", "perplexity", "decode tokens/s")


def test_recipe_records_how_and_why_it_was_chosen(whole, model):
    recipe = read_recipe(whole.recipe)
    chosen = min(whole.choice.rated, key=lambda one: one.result.size)
    assert recipe.point == chosen.result.point == whole.plan.jobs[1].point
    assert recipe.why["rule"].startswith("the fewest bytes")
    assert recipe.figures["chosen"]["perplexity"] == chosen.result.perplexity
    assert recipe.figures["reference"]["label"] == "fp32.none"
    assert recipe.model["name"] == "code-llama"
    assert recipe.study["points"] == 2
    assert {"lilliput", "openvino", "python"} <= recipe.versions.keys()
    assert str(model.parent) not in whole.recipe.read_text()


def test_same_study_again_runs_nothing(whole, model, tmp_path):
    executor = InThisProcess(jobs=0)
    again = study(
        model,
        shutil.copytree(whole.path, tmp_path / "study"),
        executor=executor,
        measures=TIMED,
        rule=Rule(tolerance=0.9),
    )
    assert again.as_dict()["points"] == json.loads(json.dumps(whole.as_dict()["points"]))


def test_another_grid_in_the_same_folder_runs_only_what_is_missing(whole, model, tmp_path):
    executor = InThisProcess()
    axes = {**GRID, "weights": ["int4", "int8"]}
    out = shutil.copytree(whole.path, tmp_path / "study")
    found = study(model, out, axes, executor=executor, measures=TIMED, rule=Rule(tolerance=0.9))
    assert executor.labels_run == ["int8-row-sym.none"]
    assert [one.result.point.weights for one in found.choice.rated] == ["int4", "int8"]


def test_cluster_gives_the_same_result(whole, model, tmp_path):
    pytest.importorskip("distributed", reason="needs lilliput[cluster]")
    with contextlib.closing(DaskCluster(workers=2)) as cluster:
        found = study(model, tmp_path / "study", executor=cluster, measures=TIMED, rule=Rule(tolerance=0.9))
    assert facts(found) == facts(whole)
    assert {one.result.speed["concurrent"] for one in found.choice.rated} == {2}
    assert found.choice.objectives == ("bytes", "perplexity")  # speeds of concurrent jobs are ignored


def test_resumes_after_an_interrupt(whole, model, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        study(model, tmp_path / "study", executor=InThisProcess(jobs=1), rule=Rule(tolerance=0.9))
    assert not (tmp_path / "study" / "study.json").exists()
    executor = InThisProcess()
    found = study(model, tmp_path / "study", executor=executor, rule=Rule(tolerance=0.9))
    assert executor.labels_run == ["int4-g128-asym.none"]
    assert facts(found) == facts(whole)
    results = tmp_path / "study" / "results.jsonl"
    results.write_text(results.read_text()[:-30])  # a line cut short by a kill
    again = study(model, tmp_path / "study", executor=executor, rule=Rule(tolerance=0.9))
    assert executor.labels_run == ["int4-g128-asym.none"] * 2
    assert facts(again) == facts(whole)


def test_resumes_after_a_kill_in_the_middle_of_a_job(whole, model, tmp_path):
    (tmp_path / "mine.toml").write_text('weights = ["fp32", "int4"]\nactivations = ["none"]\n')
    out = tmp_path / "study"
    command = [sys.executable, "-m", "lilliput", "study", str(model), "--out", str(out), "--threads", "1"]
    command += ["--grid", str(tmp_path / "mine.toml"), "--perplexity-pieces", "3", "--piece-tokens", "48"]
    command += ["--speed-rounds", "0", "--tolerance", "0.9", "--json"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and not list(out.glob("work/*/artifact/manifest.json")):
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL, "it finished before it could be killed"
    assert not (out / "study.json").exists()
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    shown = json.loads(done.stdout)
    assert shown == json.loads((out / "study.json").read_text())
    kept = ("label", "point", "perplexity", "parameters", "bits_per_weight", "loss")
    expected = json.loads(json.dumps(whole.as_dict()["points"]))
    assert [{name: one[name] for name in kept} for one in shown["points"]] == [
        {name: one[name] for name in kept} for one in expected
    ]
    assert shown["chosen"] == "int4-g128-asym.none"


def test_artifact_of_a_killed_run_is_reused(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("lilliput.verbs.study.job.measured_perplexity", interrupt)
        with pytest.raises(KeyboardInterrupt):
            study(model, tmp_path / "study")
    assert list(tmp_path.glob("study/work/*/artifact/manifest.json"))
    found = study(model, tmp_path / "study")
    assert [one.result.quantize_s is None for one in found.choice.rated] == [True, False]


def interrupt(*_):
    raise KeyboardInterrupt


def test_failed_job_is_recorded_stops_no_other_and_is_retried(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("lilliput.verbs.study.job.quantize", only_float)
        found = study(model, tmp_path / "study")
    assert found.as_dict()["failed"][0]["problem"] == "cannot write: the disk is full."
    assert [one.result.point.weights for one in found.choice.rated] == ["fp32"]
    assert not list((tmp_path / "study").glob("work/*"))
    record = json.loads((tmp_path / "study" / "results.jsonl").read_text().splitlines()[1])
    assert record["found"] == {"label": "int4-g128-asym.none", "failed": "cannot write: the disk is full."}
    executor = InThisProcess()
    again = study(model, tmp_path / "study", executor=executor)
    assert executor.labels_run == ["int4-g128-asym.none"]
    assert not again.failed


def only_float(model, out, *, settings, **how):
    if settings.policy.linear.format == "int4":
        work_folder(out).mkdir(parents=True)
        raise UserError("cannot write: the disk is full.")
    return quantize(model, out, settings=settings, **how)


def test_artifacts_are_kept_on_request(model, tmp_path):
    found = study(model, tmp_path / "study", {"weights": ["int4"], "activations": ["none"]}, keep=True)
    (folder,) = (tmp_path / "study" / "artifacts").iterdir()
    assert folder.name.startswith("int4-g128-asym.none-")
    assert open_artifact(folder).bytes().as_dict() == found.choice.rated[0].result.bytes
