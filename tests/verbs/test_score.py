"""``lilliput score``: what is counted, what is rejected, and resuming after a kill."""

import dataclasses
import gzip
import json

import pytest

from lilliput import api
from lilliput.errors import DataError, UserError
from lilliput.evaluate import sandbox
from lilliput.evaluate.intervals import wilson
from lilliput.evaluate.judging import Judgement, Limits
from lilliput.files import sha256_of
from lilliput.progress import Progress
from lilliput.verbs import programs as verb
from lilliput.verbs.kept import Kept, beside, key_of
from lilliput.verbs.tally import Attempt, parsed_ks, tally
from tests.conftest import shared_folder
from tests.data.test_problems import HUMANEVAL, MBPP, write
from tests.verbs.evaluate.test_evaluate import Recorded

REAL = shared_folder() / "data" / "humaneval" / "HumanEval.jsonl.gz"
UNSAFE = not sandbox.protections().files  # where the kernel grants no isolation: these programs are known
RIGHT, WRONG, BROKEN = "    return 2 * n\n", "    return n\n", "    return (\n"
FAST = Limits(seconds=3.0)


@pytest.fixture
def problems(tmp_path):
    return write(tmp_path / "problems.jsonl", *({**HUMANEVAL, "task_id": f"T/{row}"} for row in range(4)))


def given(path, *texts):
    """Write a file with these completions, each ``(problem's number, text)``."""
    return write(path, *({"task_id": f"T/{row}", "completion": text} for row, text in texts))


def score(problems, completions, **how):
    return api.score(problems, completions, limits=FAST, unsafe=UNSAFE, **how)


def test_outcomes_are_counted(problems, tmp_path):
    loop = "    while True: pass\n"
    made = given(tmp_path / "c.jsonl", (0, RIGHT), (1, WRONG), (2, BROKEN), (3, loop))
    progress = Recorded()
    result = score(problems, made, progress=progress, command="a command").as_dict()
    assert json.loads(json.dumps(result)) == result
    assert (result["n"], result["pass@1"], result["k"]) == (4, 0.25, [1])
    assert result["completions"] == {"total": 4, "fewest": 1, "most": 1, "judged": 4}
    assert result["failures"] == {"wrong": 1, "error": 1, "timeout": 1, "runner": 0}
    expected = wilson(1, 4)
    assert result["intervals"] == {"pass@1": [expected.low, expected.high]}
    assert [one["task_id"] for one in result["problems"]] == ["T/0", "T/1", "T/2", "T/3"]
    outcomes = [one["completions"][0]["outcome"] for one in result["problems"]]
    assert outcomes == ["passed", "wrong", "error", "timeout"]
    assert [one["completions"][0]["line"] for one in result["problems"]] == [1, 2, 3, 4]
    assert result["data"]["problems"]["sha256"] == sha256_of(problems)
    assert result["data"]["completions"]["sha256"] == sha256_of(made)
    assert set(result) >= {"machine", "command", "sandbox", "settings", "postprocessing", "partial"}
    assert result["command"] == "a command"
    assert set(result["sandbox"]) == {field.name for field in dataclasses.fields(sandbox.Protections)} | {"unsafe"}
    assert "warning" not in result
    assert progress.loops["running programs"] == [4, 4]


def test_several_completions_per_problem(problems, tmp_path):
    texts = [(row, RIGHT if row < 2 or sample == 0 else WRONG) for row in range(4) for sample in range(3)]
    result = score(problems, given(tmp_path / "c", *texts), k=(3, 1, 10)).as_dict()
    assert result["k"] == [1, 3]
    assert result["pass@1"] == pytest.approx((1 + 1 + 1 / 3 + 1 / 3) / 4)
    assert result["pass@3"] == 1.0
    assert result["notes"] == ["pass@10 is not estimated: some problems have fewer than 10 completions"]
    assert [(one["n"], one["passed"]) for one in result["problems"]] == [(3, 3), (3, 3), (3, 1), (3, 1)]


def test_problems_without_completions_are_rejected_or_left_out(problems, tmp_path):
    made = given(tmp_path / "c.jsonl", (0, RIGHT), (3, WRONG))
    with pytest.raises(DataError, match=r"has no completions for 2 of 4 problems; the first is 'T/1'") as caught:
        score(problems, made)
    assert caught.value.where == str(made)
    result = score(problems, made, partial=True).as_dict()
    assert (result["n"], result["pass@1"], result["partial"]) == (2, 0.5, True)
    assert result["problems_without_completions"] == 2
    assert any("2 problems have no completions" in note for note in result["notes"])


def test_empty_completions_count(problems, tmp_path):
    result = score(problems, given(tmp_path / "c", *((row, "") for row in range(4)))).as_dict()
    assert (result["pass@1"], result["failures"]["wrong"]) == (0.0, 4)
    assert all(one["completions"][0]["empty"] for one in result["problems"])


@pytest.mark.parametrize(
    ("form", "outcomes"),
    [("auto", ["passed", "passed"]), ("completion", ["passed", "error"]), ("program", ["error", "passed"])],
)
def test_form_decides_how_completions_are_run(problems, tmp_path, form, outcomes):
    whole = "from __future__ import annotations\n\ndef double(n):\n    return 2 * n\n"
    made = given(tmp_path / "c", (0, RIGHT), (1, whole))
    result = score(problems, made, partial=True, form=form).as_dict()
    assert [one["completions"][0]["outcome"] for one in result["problems"]] == outcomes
    assert result["settings"]["form"] == form


def test_mbpp_with_and_without_challenges(tmp_path):
    problems = write(tmp_path / "p", MBPP)
    made = write(tmp_path / "c", {"task_id": "Mbpp/7", "completion": "def double(n):\n    return 2 * abs(n)"})
    assert score(problems, made).as_dict()["pass@1"] == 1.0
    assert score(problems, made, challenges=True).as_dict()["pass@1"] == 0.0


@pytest.mark.parametrize(
    ("how", "where"),
    [
        *[({"form": "x"}, "--form"), ({"k": (0,)}, "--k"), ({"k": ()}, "--k"), ({"k": (2,)}, "--k")],
        ({"challenges": True}, "--challenges"),
    ],
)
def test_rejects_invalid_options(problems, tmp_path, how, where):
    made = given(tmp_path / "c", *((row, RIGHT) for row in range(4)))
    with pytest.raises(UserError) as caught:
        score(problems, made, **how)
    assert caught.value.where == where


def test_too_few_completions_are_rejected_before_running_any(problems, tmp_path, monkeypatch):
    monkeypatch.setattr(verb, "judge_many", None)
    made = given(tmp_path / "c.jsonl", *((row, RIGHT) for row in (0, 0, 1)))
    with pytest.raises(DataError, match=r"--k: a problem has only 1 completion\(s\): too few for pass@2"):
        score(problems, made, partial=True, k=(2, 10))


def test_result_never_overwrites_an_input(problems, tmp_path):
    made = given(tmp_path / "c.json", *((row, RIGHT) for row in range(4)))
    with pytest.raises(UserError, match=r"--out: .*c\.json is a file that this command reads"):
        score(problems, made, out=made)


def test_parses_ks_of_the_command_line():
    assert parsed_ks("10,1, 5,1") == (1, 5, 10)
    assert parsed_ks(None) is None
    for text in ("", "0", "a", "1,,2", "1.5"):
        with pytest.raises(UserError, match="is not a list of positive whole numbers"):
            parsed_ks(text)


def test_resumes_after_kill(problems, tmp_path, monkeypatch):
    made = given(tmp_path / "c", *((row, RIGHT if row else WRONG) for row in range(4)), (0, RIGHT))
    out, real, ran = tmp_path / "out" / "result.json", verb.judge_many, []

    def counting(sources, *rest):
        ran.append(len(sources))
        return real(sources, *rest)

    def killed(sources, limits, workers, progress, each):
        each(0, Judgement("wrong", "AssertionError"))
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "judge_many", killed)
    with pytest.raises(KeyboardInterrupt):
        score(problems, made, out=out)
    assert [path.name for path in out.parent.iterdir()] == ["result.kept.jsonl"]
    with (out.parent / "result.kept.jsonl").open("a") as stream:
        stream.write('\n{"key": "half a li')
    monkeypatch.setattr(verb, "judge_many", counting)
    result = score(problems, made, out=out).as_dict()
    assert ran == [1]  # equal programs are run once: of two different ones, one was known
    assert result["pass@1"] == pytest.approx((0.5 + 3) / 4)
    assert json.loads(out.read_text())["problems"] == result["problems"]
    assert score(problems, made, out=out).as_dict()["problems"] == result["problems"]
    assert ran == [1, 0]


def fake_verdicts(monkeypatch, outcomes, ran=None):
    def judge_many(sources, limits, workers, progress, each):
        if ran is not None:
            ran.append(len(sources))
        for place in range(len(sources)):
            each(place, Judgement(outcomes[place], "no room" if outcomes[place] == "runner" else ""))

    monkeypatch.setattr(verb, "judge_many", judge_many)


def test_programs_lost_by_the_runner_do_not_count_against_the_model(problems, tmp_path, monkeypatch):
    made = given(tmp_path / "c", *((row, f"    return {row}") for row in range(4)))
    fake_verdicts(monkeypatch, ["passed", "runner", "passed", "wrong"])
    found = score(problems, made, out=tmp_path / "o")
    result = found.as_dict()
    assert found.exit_code == 1
    assert next(iter(result)) == "warning"
    assert result["warning"].startswith("1 of 4 problems failed because of the runner")
    assert "no room" in result["warning"]
    assert (result["n"], result["pass@1"]) == (3, pytest.approx(2 / 3))
    assert result["failures"] == {"wrong": 1, "error": 0, "timeout": 0, "runner": 1}
    assert result["completions"]["judged"] == 3
    fake_verdicts(monkeypatch, ["passed"])  # lost programs are not kept, so they are tried again
    again = score(problems, made, out=tmp_path / "o")
    assert (again.exit_code, again.as_dict()["pass@1"]) == (0, 0.75)


@pytest.mark.parametrize("other", [(verb, "VERSION", "another"), (verb.sys, "version_info", (3, 99, 0, "final", 0))])
def test_verdicts_of_another_version_are_not_reused(other, problems, tmp_path, monkeypatch):
    made, ran = given(tmp_path / "c", *((row, f"    return {row}") for row in range(4))), []
    fake_verdicts(monkeypatch, ["passed"] * 4, ran)
    score(problems, made, out=tmp_path / "o")
    score(problems, made, out=tmp_path / "o")
    with monkeypatch.context() as patch:
        patch.setattr(*other)
        score(problems, made, out=tmp_path / "o")
    assert ran == [4, 0, 4]


def test_timeouts_are_rerun_in_another_run_but_not_in_the_same(problems, tmp_path, monkeypatch):
    made, ran = given(tmp_path / "c", *((row, f"    return {row}") for row in range(4))), []
    fake_verdicts(monkeypatch, ["timeout"] + ["passed"] * 3, ran)
    assert score(problems, made, out=tmp_path / "o").as_dict()["pass@1"] == 0.75
    fake_verdicts(monkeypatch, ["passed"], ran)
    assert score(problems, made, out=tmp_path / "o").as_dict()["pass@1"] == 1.0
    assert ran == [4, 1]
    fake_verdicts(monkeypatch, ["timeout"], ran)
    programs, kept = verb.allowed(FAST, 1, UNSAFE), Kept(tmp_path / "k")
    for _ in range(2):
        assert [one.outcome for one in programs.judged(["loop"], kept, Progress())] == ["timeout"]
    assert ran == [4, 1, 1, 0]


def test_each_pass_at_k_reports_its_number_of_problems(problems, tmp_path, monkeypatch):
    made = given(tmp_path / "c", *((row, f"    return {row}, {sample}") for row in range(2) for sample in range(2)))
    fake_verdicts(monkeypatch, ["passed", "wrong", "passed", "runner"])
    result = score(problems, made, k=(1, 2), partial=True).as_dict()
    assert (result["n"], result["k"]) == (2, [1, 2])
    assert result["sample_sizes"] == {"pass@1": 2, "pass@2": 1}


def test_no_verdicts_give_no_estimate(problems, tmp_path, monkeypatch):
    made = given(tmp_path / "c", *((row, f"    return {row}") for row in range(4)))
    fake_verdicts(monkeypatch, ["runner"] * 4)
    result = score(problems, made).as_dict()
    assert (result["n"], result["pass@1"], result["intervals"]["pass@1"]) == (0, None, None)
    assert result["sample_sizes"] == {"pass@1": 0}


def test_up_to_one_in_twenty_may_be_lost():
    def of(lost):
        kinds = ["runner"] * lost + ["passed"] * (100 - lost)
        return tally({str(row): [Attempt(str(row), Judgement(kind))] for row, kind in enumerate(kinds)}, (1,))

    assert of(5).warning == ""
    assert "6 of 100" in of(6).warning
    assert of(5).pass_at[1].value == 1.0


def test_places_of_results(tmp_path):
    assert beside(None, "r.json") == (None, None)
    assert beside(tmp_path / "a.json", "r.json") == (tmp_path / "a.json", tmp_path / "a.kept.jsonl")
    assert beside(tmp_path / "a", "r.json") == (tmp_path / "a/r.json", tmp_path / "a/r.kept.jsonl")


def test_kept_rows_survive_damage(tmp_path):
    kept = Kept(tmp_path / "k")
    kept.add("a", {"x": "é\n"})
    kept.add("b", {"x": 2})
    content = (tmp_path / "k").read_bytes()
    (tmp_path / "k").write_bytes(content[:-3] + b"\n\xff\xfe[1]\n5\n{}")
    again = Kept(tmp_path / "k")
    assert again.found == {"a": {"x": "é\n"}}
    again.add("c", {"x": 3})
    assert Kept(tmp_path / "k").found == {"a": {"x": "é\n"}, "c": {"x": 3}}
    assert key_of(1, "a") != key_of("1", "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        Kept(tmp_path / "folder").add("a", {})


@pytest.mark.skipif(not REAL.exists(), reason="HumanEval is not on this machine (LILLIPUT_SHARED)")
def test_real_solutions_pass_and_empty_ones_fail(tmp_path):
    rows = [json.loads(line) for line in gzip.decompress(REAL.read_bytes()).splitlines()][::20]
    for name, texts, expected in (("right", "canonical_solution", 1.0), ("empty", None, 0.0)):
        made = [{"task_id": row["task_id"], "completion": row[texts] if texts else ""} for row in rows]
        found = api.score(REAL, write(tmp_path / name, *made), partial=True, limits=Limits(60), unsafe=UNSAFE)
        assert found.as_dict()["pass@1"] == expected
        assert found.as_dict()["failures"]["runner"] == 0
