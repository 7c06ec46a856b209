"""A study, whole, on a tiny real model: what it writes, that it goes on after a kill, and that executors agree."""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from lilliput import api
from lilliput.artifact import open_artifact
from lilliput.errors import UserError
from lilliput.evaluate.perplexity import held_out_ids, perplexity
from lilliput.files import work_folder
from lilliput.quantize.policy import policy
from lilliput.study.budget import Budget
from lilliput.study.choice import Rule
from lilliput.study.executors import DaskCluster, Failed, problem_of
from lilliput.study.grid import grid_of
from lilliput.study.jobs import Measures
from lilliput.study.recipe import read_recipe
from lilliput.verbs.quantize import QuantizeSettings, expected_weights, quantize
from lilliput.verbs.study import plan as study_plan
from tests.data.test_problems import HUMANEVAL, write
from tests.verbs.test_score import UNSAFE
from tests.verbs.tiny_checkpoints import LLAMA, PLAIN, checkpoint

KIND, OPTIONS = LLAMA
LEAN = Measures(perplexity_pieces=3, piece_tokens=48, speed_rounds=0, threads=1)
TIMED = replace(LEAN, speed_rounds=6)
GRID = {"weights": ["fp32", "int4"], "activations": ["none"]}
TIMES = ("seconds", "quantize_s", "speed", "machine", "key")


class InThisProcess:
    """An executor without any process, as anybody might write one."""

    concurrent = 1

    def __init__(self, jobs=math.inf):
        self.left, self.seen = jobs, []

    def map(self, function, jobs):
        for place, job in enumerate(jobs):
            if self.left <= 0:
                raise KeyboardInterrupt
            self.left -= 1
            self.seen.append(job.point.label)
            try:
                yield place, function(job)
            except Exception as error:
                yield place, Failed(problem_of(error))

    def close(self):
        raise AssertionError("the study was given it, and does not close it")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "code-llama"
    checkpoint(folder, KIND, {**OPTIONS, "max_position_embeddings": 256})
    return folder


def study(model, out, axes=GRID, **how):
    how = {"measures": LEAN, "executor": InThisProcess(), **how}
    return api.study(model, out, grid=grid_of(axes, "mine", "a test"), **how)


def facts(result):
    """What must be equal between runs."""
    points = [
        {name: value for name, value in one.items() if name not in (*TIMES, "on_front", "bytes")}
        for one in result.as_dict()["points"]
    ]
    return points, result.as_dict()["chosen"]


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    """A study that nothing disturbed, by processes."""
    out = tmp_path_factory.mktemp("whole") / "study"
    return api.study(model, out, grid=grid_of(GRID, "mine", "a test"), measures=TIMED, rule=Rule(tolerance=0.9))


def test_it_writes_plan_results_plot_and_recipe_and_nothing_else(whole):
    names = {path.name for path in whole.path.iterdir()}
    assert names == {"plan.json", "results.jsonl", "study.json", "front.svg", "recipe.json"}
    assert json.loads((whole.path / "study.json").read_text()) == json.loads(json.dumps(whole.as_dict()))
    ElementTree.parse(whole.path / "front.svg")


def test_its_figures_are_those_of_the_artifact(whole, model, tmp_path):
    point = whole.plan.jobs[1].point
    quantize(model, tmp_path / "small", settings=QuantizeSettings.of_point(point))
    found = whole.choice.rated[1].result
    sizes = open_artifact(tmp_path / "small").bytes()
    assert found.bytes["weights"] == sizes.weights
    assert found.size == pytest.approx(sizes.total, abs=300)  # names and commands are in card and manifest
    assert found.bits_per_weight == 8 * sizes.weights / found.parameters
    measured = perplexity(tmp_path / "small", held_out_ids(tmp_path / "small", 3, 48), threads=1)
    assert found.perplexity["value"] == pytest.approx(measured.perplexity, rel=1e-6)
    assert found.perplexity["pieces"] == pytest.approx(measured.pieces, rel=1e-6)
    assert (found.perplexity["low"], found.perplexity["high"]) == pytest.approx(measured.interval, rel=1e-6)


def test_speed_is_told_with_what_it_rests_on(whole):
    speed = whole.choice.rated[0].result.speed
    assert (speed["concurrent"], speed["threads"]) == (1, 1)
    assert speed["decode_tokens_per_s"]["n"] == 6
    assert speed["decode_tokens_per_s"]["value"] > 0
    assert speed["prefill_tokens_per_s"]["value"] > 0
    assert "a prompt of 128 tokens" in speed["method"]
    assert whole.choice.objectives == ("bytes", "perplexity", "decode tokens/s")


def test_the_recipe_says_how_why_and_on_what_it_rests(whole, model):
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


def test_the_same_study_again_runs_nothing(whole, model, tmp_path):
    executor = InThisProcess(jobs=0)
    again = study(
        model,
        shutil.copytree(whole.path, tmp_path / "study"),
        executor=executor,
        measures=TIMED,
        rule=Rule(tolerance=0.9),
    )
    assert again.as_dict()["points"] == json.loads(json.dumps(whole.as_dict()["points"]))


def test_another_grid_in_the_folder_does_what_is_missing(whole, model, tmp_path):
    executor = InThisProcess()
    axes = {**GRID, "weights": ["int4", "int8"]}
    out = shutil.copytree(whole.path, tmp_path / "study")
    found = study(model, out, axes, executor=executor, measures=TIMED, rule=Rule(tolerance=0.9))
    assert executor.seen == ["int8-row-sym.none"]
    assert [one.result.point.weights for one in found.choice.rated] == ["int4", "int8"]


def test_a_cluster_finds_the_same(whole, model, tmp_path):
    pytest.importorskip("distributed", reason="needs lilliput[cluster]")
    with contextlib.closing(DaskCluster(workers=2)) as cluster:
        found = study(model, tmp_path / "study", executor=cluster, measures=TIMED, rule=Rule(tolerance=0.9))
    assert facts(found) == facts(whole)
    assert {one.result.speed["concurrent"] for one in found.choice.rated} == {2}
    assert found.choice.objectives == ("bytes", "perplexity")  # speeds side by side are no evidence


def test_interrupted_it_goes_on(whole, model, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        study(model, tmp_path / "study", executor=InThisProcess(jobs=1), rule=Rule(tolerance=0.9))
    assert not (tmp_path / "study" / "study.json").exists()
    executor = InThisProcess()
    found = study(model, tmp_path / "study", executor=executor, rule=Rule(tolerance=0.9))
    assert executor.seen == ["int4-g128-asym.none"]
    assert facts(found) == facts(whole)
    results = tmp_path / "study" / "results.jsonl"
    results.write_text(results.read_text()[:-30])  # a line that a kill cut short
    again = study(model, tmp_path / "study", executor=executor, rule=Rule(tolerance=0.9))
    assert executor.seen == ["int4-g128-asym.none"] * 2
    assert facts(again) == facts(whole)


def test_killed_in_the_middle_of_a_job_it_goes_on(whole, model, tmp_path):
    (tmp_path / "mine.toml").write_text('weights = ["fp32", "int4"]\nactivations = ["none"]\n')
    out = tmp_path / "study"
    command = [sys.executable, "-m", "lilliput", "study", str(model), "--out", str(out), "--threads", "1"]
    command += ["--grid", str(tmp_path / "mine.toml"), "--perplexity-pieces", "3", "--piece-tokens", "48"]
    command += ["--speed-rounds", "0", "--tolerance", "0.9", "--json"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and not list(out.glob("work/*/artifact/manifest.json")):
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL, "it was done before it could be killed"
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


def test_an_artifact_of_a_killed_run_is_not_made_again(model, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("lilliput.verbs.study.job.measured_perplexity", interrupt)
        with pytest.raises(KeyboardInterrupt):
            study(model, tmp_path / "study")
    assert list(tmp_path.glob("study/work/*/artifact/manifest.json"))
    found = study(model, tmp_path / "study")
    assert [one.result.quantize_s is None for one in found.choice.rated] == [True, False]


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_failed_job_is_recorded_stops_no_other_and_is_tried_again(model, tmp_path, monkeypatch):
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
    assert executor.seen == ["int4-g128-asym.none"]
    assert not again.failed


def only_float(model, out, *, settings, **how):
    if settings.policy.linear.format == "int4":
        work_folder(out).mkdir(parents=True)
        raise UserError("cannot write: the disk is full.")
    return quantize(model, out, settings=settings, **how)


def test_artifacts_are_kept_where_that_is_asked_for(model, tmp_path):
    found = study(model, tmp_path / "study", {"weights": ["int4"], "activations": ["none"]}, keep=True)
    (folder,) = (tmp_path / "study" / "artifacts").iterdir()
    assert folder.name.startswith("int4-g128-asym.none-")
    assert open_artifact(folder).bytes().as_dict() == found.choice.rated[0].result.bytes


def test_what_cannot_fit_is_not_tried_and_what_does_not_is_not_chosen(model, tmp_path):
    tight = study(model, tmp_path / "tight", rule=Rule(tolerance=0.9, budget=Budget(400_000)))
    assert [one.result.point.weights for one in tight.choice.rated] == ["int4"]
    assert tight.plan.left_out[-1].label == "point fp32.none"
    assert tight.plan.left_out[-1].reason.startswith("needs ")
    assert tight.exit_code == 0
    size = tight.choice.rated[0].result.size
    none = study(model, tmp_path / "tight", rule=Rule(tolerance=0.9, budget=Budget(size - 1)))  # by its graphs' bytes
    assert (none.recipe, none.exit_code) == (None, 1)
    assert not (tmp_path / "tight" / "recipe.json").exists()
    with pytest.raises(UserError, match="--grid: no point of the grid is left to run"):
        study(model, tmp_path / "none", rule=Rule(budget=Budget(1000)))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])  # the second has its matrices the other way round
@pytest.mark.parametrize(
    "how",
    [
        {"weights": "int8"},
        {"weights": "int4", "group": 32, "symmetric": True},
        {"weights": "int2", "symmetric": True, "group": 16},
        {"weights": "nf4", "head": "int4"},
        {"weights": "fp16", "embedding": "int2"},
    ],
)
def test_arithmetic_never_claims_more_bytes_than_there_will_be(kind, how, tmp_path_factory, checkpoints):
    folder, opened = checkpoints(kind)
    out = tmp_path_factory.mktemp("small") / "small"
    made = quantize(folder, out, settings=QuantizeSettings(policy(**how)))
    least = expected_weights(opened, policy(**how), study_plan._least)
    assert 0.5 * made.bytes.weights < least + 200_000
    assert least <= (out / "model.bin").stat().st_size


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    from lilliput.teachers.generator import open_generator

    known = {}

    def make(kind):
        if kind not in known:
            folder = tmp_path_factory.mktemp("checkpoint")
            checkpoint(folder, *PLAIN[kind])
            known[kind] = folder, open_generator(folder)
        return known[kind]

    return make


def test_what_is_emulated_is_tried_only_where_that_is_asked_for(model, tmp_path):
    axes = {"weights": ["int8"], "activations": ["none", "token"]}
    found = study(model, tmp_path / "study", axes)
    assert "would be emulated" in found.plan.left_out[0].reason
    more = study(model, tmp_path / "study", axes, allow_slow=True)
    assert [one.result.point.activations for one in more.choice.rated] == ["none", "token"]


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("problems")
    return write(folder / "problems.jsonl", *({**HUMANEVAL, "task_id": f"T/{row}"} for row in range(3)))


def test_passes_and_robust_passes_are_measured(model, tmp_path, problems, monkeypatch):
    measures = replace(
        LEAN,
        perplexity_pieces=0,
        humaneval=str(problems),
        limit=2,
        max_new_tokens=4,
        batch=2,
        perturbations=("format",),
        unsafe=UNSAFE,
    )
    from lilliput.verbs.study import measures as study_measures

    real = study_measures.completions

    def solving(completer, asked, *rest):
        """The model writes the solution of whatever is not perturbed, and nothing of use after the rest."""
        made = real(completer, asked, *rest)
        assert rest[0].batch == 2
        for one in asked:
            right = one.text == HUMANEVAL["prompt"] and one.problem.task_id == "T/0"
            made[one.problem.task_id] = [
                replace(made[one.problem.task_id][0], text="    return 2 * n\n" if right else "")
            ]
        return made

    monkeypatch.setattr(study_measures, "completions", solving)
    found = study(model, tmp_path / "study", {"weights": ["int8"]}, measures=measures)
    (rated,) = found.choice.rated
    assert found.choice.rule.quality == "pass@1"
    assert rated.result.passed["outcomes"] == {"T/0": True, "T/1": False}
    assert rated.result.passed["value"] == 0.5
    worst = rated.result.robust["worst"]
    assert worst["outcomes"] == {"T/0": False, "T/1": False}
    assert worst["versions"] == sum(one["versions"] for name, one in rated.result.robust.items() if name != "worst")
    lines = [
        one for name, one in rated.result.robust.items() if name != "worst" and one["nominal_pass"]["value"] == 0.5
    ]
    assert lines
    assert lines[0]["robust_pass"]["value"] == 0.0
    assert lines[0]["robust_drop"]["value"] == 1.0
    again = study(model, tmp_path / "study", {"weights": ["int8"]}, measures=replace(measures, batch=3))
    assert [one.result.seconds for one in again.choice.rated] == [rated.result.seconds]  # known: not run again


def test_an_encoder_decoder_is_measured_by_what_it_solves(tmp_path, problems, checkpoints):
    folder, _ = checkpoints("t5")
    axes = {"weights": ["int8"], "activations": ["static"], "calibration_pieces": [2], "calibration_tokens": [16]}
    with pytest.raises(UserError, match="there is no quality to measure"):
        study(folder, tmp_path / "study", axes)
    assert not (tmp_path / "study").exists()
    measures = replace(LEAN, humaneval=str(problems), limit=1, max_new_tokens=4, unsafe=UNSAFE)
    found = study(folder, tmp_path / "study", axes, measures=measures)
    assert not found.plan.left_out
    (rated,) = found.choice.rated
    assert (rated.result.perplexity, rated.quality.value) == (None, 0.0)


WRONG = {
    "occupied": ({}, "is there already and is no study"),
    "quality": ({"rule": Rule("pass@1")}, "--quality: pass@1 is not going to be measured"),
    "robust": ({"rule": Rule("robust-pass")}, "--quality: robust-pass is not going to be measured"),
    "no rounds": ({"rule": Rule(prefer="fastest"), "measures": LEAN}, "--speed-rounds: is 0"),
    "crowd": (
        {"rule": Rule(budget=Budget(None, 5.0)), "measures": TIMED, "executor": "local", "workers": 2},
        "--workers: speeds of 2 jobs",
    ),
    "executor": ({"executor": "slurm"}, "--executor: there is none"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused(name, model, tmp_path):
    how, words = WRONG[name]
    if name == "occupied":
        (tmp_path / "study").mkdir()
        (tmp_path / "study" / "thesis.tex").touch()
    with pytest.raises(UserError, match=words):
        study(model, tmp_path / "study", **how)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"perplexity_pieces": -1}, "--perplexity-pieces"),
        ({"perplexity_pieces": 0}, "there is no quality to measure"),
        ({"perplexity_pieces": 1}, "--perplexity-pieces: 1 are too few for an interval. Choose 2 or more, or 0"),
        ({"speed_rounds": 5}, "--speed-rounds: 5 are too few for an interval. Choose 6 or more, or 0"),
        ({"perturbations": ("format",)}, "--perturbations: needs problems"),
        ({"threads": 0}, "--threads"),
        ({"piece_tokens": True}, "--piece-tokens"),
    ],
)
def test_measures_that_mean_nothing_are_refused(wrong, words):
    with pytest.raises(UserError, match=words):
        Measures(**wrong)
