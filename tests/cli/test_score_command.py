"""``lilliput score`` and ``lilliput evaluate`` of generators on the command line."""

import json

import pytest
from typer.testing import CliRunner

from lilliput.cli.app import app
from lilliput.cli.evaluate import MEASURES, NEEDS, TAKES
from lilliput.errors import UserError
from lilliput.evaluate.judging import Judgement
from lilliput.verbs import programs as verb
from lilliput.verbs.evaluate.tasks import KINDS, kind_of_task
from lilliput.verbs.robustness.tasks import KINDS as ROBUSTNESS
from tests.data.test_problems import HUMANEVAL, write
from tests.verbs.test_score import RIGHT, UNSAFE
from tests.verbs.tiny_servers import completion, served

WALLS = ("--unsafe",) if UNSAFE else ()


def invoked(*arguments, code=0):
    result = CliRunner().invoke(app, [*map(str, arguments), *WALLS], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def files(tmp_path):
    problems = write(tmp_path / "p.jsonl", HUMANEVAL)
    made = write(tmp_path / "c.jsonl", *[{"task_id": "Test/0", "completion": RIGHT}] * 2)
    return "--problems", problems, "--completions", made


def test_score_prints_one_json_object(files):
    found = json.loads(invoked("score", *files, "--k", "1,2", "--json").stdout)
    assert (found["pass@1"], found["pass@2"], found["n"], found["k"]) == (1.0, 1.0, 1, [1, 2])
    assert found["command"].startswith("lilliput")


def test_score_prints_a_table(files, tmp_path):
    out = invoked("score", *files, "--out", tmp_path / "r.json", "--seconds", 5).stdout
    assert out.startswith("n = 1 problems")
    assert "100.0 %" in out
    assert "failures" in out
    assert json.loads((tmp_path / "r.json").read_text())["settings"]["programs"]["seconds"] == 5


def test_untrustworthy_result_has_a_warning(files, monkeypatch):
    def lost(sources, limits, workers, progress, each):
        for place in range(len(sources)):
            each(place, Judgement("runner", "no room"))

    monkeypatch.setattr(verb, "judge_many", lost)
    assert invoked("score", *files, code=1).stdout.startswith("warning: 1 of 1 problems failed because of the runner")
    result = invoked("score", *files, "--json", code=1)
    assert next(iter(json.loads(result.stdout))) == "warning"
    assert "warning: 1 of 1" in result.stderr


def test_pass_at_k_over_fewer_problems_shows_their_number(tmp_path, monkeypatch):
    def losing_one(sources, limits, workers, progress, each):
        for place in range(len(sources)):
            each(place, Judgement("passed" if place else "runner"))

    monkeypatch.setattr(verb, "judge_many", losing_one)
    problems = write(tmp_path / "p.jsonl", HUMANEVAL, {**HUMANEVAL, "task_id": "Test/1"})
    made = [{"task_id": f"Test/{row}", "completion": f"    return {row, n}"} for row in range(2) for n in range(2)]
    completions = write(tmp_path / "c.jsonl", *made)
    lines = invoked("score", "--problems", problems, "--completions", completions, "--k", "1,2", code=1).stdout
    assert "pass@2, n = 1 " in lines
    assert "pass@1, n" not in lines


def test_evaluates_a_server(files, tmp_path):
    with served(lambda path, body, number: completion(RIGHT)) as server:
        how = ("--task", "humaneval", "--data", files[1], "--max-new-tokens", 7, "--served", "mine")
        out = invoked("evaluate", server.url, *how, "--out", tmp_path / "o").stdout
        found = json.loads((tmp_path / "o/evaluation.json").read_text())
        again = json.loads(invoked("evaluate", server.url, *how, "--out", tmp_path / "o", "--json").stdout)
    changing = ("machine", "throughput_method")
    assert {**again, **{name: found[name] for name in changing}} == found
    assert len(server.asked) == 1
    assert {name: server.asked[0][1][name] for name in ("model", "max_tokens")} == {"model": "mine", "max_tokens": 7}
    assert "n = 1 problems" in out
    assert "peak memory" in out
    assert found["pass@1"] == 1.0


def test_rejects_options_of_the_other_kind(files):
    with pytest.raises(UserError, match="--tokens: does not apply to task 'humaneval'"):
        invoked("evaluate", "model", "--task", "humaneval", "--data", files[1], "--tokens", 50)
    with pytest.raises(UserError, match="--max-new-tokens: does not apply to task 'clone'"):
        CliRunner().invoke(
            app,
            ["evaluate", "model", "--task", "clone", "--data", "x", "--max-new-tokens", "5"],
            catch_exceptions=False,
        )
    with pytest.raises(UserError, match="unknown task 'spelling'") as caught:
        invoked("evaluate", "model", "--task", "spelling", "--data", files[1])
    assert all(name in caught.value.remedy for name in KINDS)
    with pytest.raises(UserError, match="takes one file of problems"):
        invoked("evaluate", "model", "--task", "humaneval", "--data", files[1], "--data", files[1])


@pytest.mark.parametrize("option", ["--top-p=0.9", "--seed=1"])
def test_rejects_sampling_options_without_sampling(option, files):
    how = ("evaluate", "http://127.0.0.1:9/v1", "--task", "humaneval", "--data", files[1], option)
    with pytest.raises(UserError, match=f"^{option.partition('=')[0]}: goes with a --temperature above 0"):
        invoked(*how)
    with pytest.raises(UserError, match=r"^--threads: goes with"):  # this is checked later
        invoked(*how, "--temperature", 0.5, "--threads", 1)


def test_every_option_of_one_kind_exists():
    import inspect

    from lilliput.cli.evaluate import evaluate

    assert frozenset().union(*TAKES.values()) < set(inspect.signature(evaluate).parameters)
    assert {kind_of_task(task) for task in KINDS} == set(TAKES) == set(NEEDS) == set(MEASURES)
    assert all(NEEDS[kind] in TAKES[kind] for kind in TAKES)
    assert kind_of_task("mbpp") == "generator"
    assert kind_of_task("humaneval", ROBUSTNESS) == "generator"
    with pytest.raises(UserError, match="unknown task 'mbpp'"):
        kind_of_task("mbpp", ROBUSTNESS)
