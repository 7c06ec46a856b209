"""``robustness``: its JSON fields, its table, and what it rejects."""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from lilliput import api
from lilliput.cli.robustness_classifier import show
from lilliput.data.dataset import Dataset
from lilliput.errors import DataError, UserError
from lilliput.progress import Progress
from lilliput.tasks import task_named
from lilliput.verbs.robustness import robustness, spoken
from lilliput.verbs.subjects import open_subject
from tests.data.rewritten_functions import C_FUNCTIONS, JAVA_METHODS, PYTHON_FUNCTIONS

ESTIMATE = {"value", "low", "high", "n"}


@pytest.fixture(scope="module")
def found(small, workshop):
    return robustness(small, "vulnerability", workshop / "valid.jsonl", against=workshop / "teacher", limit=40)


def test_json_has_the_documented_keys(found):
    result = json.loads(json.dumps(found.as_dict()))
    assert set(result) == {"name", "task", "n", "flips", "calibration", "against", "data", "command"}
    assert set(result["flips"]) == {"language", "seeds", "labelled", "accuracy", "rewrites", "any"}
    names = [line["rewrite"] for line in result["flips"]["rewrites"]]
    assert names == ["rename", "dead_code", "loops", "order", "format", "add_comments", "remove_comments"]
    assert set(result["against"]) == {"name", "faithfulness", "flips"}
    assert set(result["flips"]["any"]["worst"]) == ESTIMATE
    assert set(result["calibration"]["before"]) == ESTIMATE
    assert set(result["data"]) == {"sources", "sha256"}


def test_figures_match_the_models(found, small, workshop):
    """Compute agreement and accuracy again without the code under test."""
    result = found.as_dict()
    assert (result["n"], result["flips"]["language"], result["flips"]["labelled"]) == (40, "c", 40)
    data = task_named("vulnerability").read(workshop / "valid.jsonl")
    data = data.subset(np.sort(np.random.default_rng(0).permutation(len(data))[:40]))
    ours, theirs = (
        open_subject(path, "vulnerability").logits(data, Progress()).argmax(axis=1)
        for path in (small, workshop / "teacher")
    )
    assert result["flips"]["accuracy"]["value"] == pytest.approx((ours == data.labels).mean())
    assert result["against"]["flips"]["accuracy"]["value"] == pytest.approx((theirs == data.labels).mean())
    assert result["against"]["faithfulness"]["agreement"]["value"] == pytest.approx((ours == theirs).mean())
    by_name = {line["rewrite"]: line for line in result["flips"]["rewrites"]}
    assert by_name["rename"]["n"] == by_name["dead_code"]["n"] == 40
    assert by_name["loops"]["n"] == 0
    worst = max(line["worst"]["value"] * line["n"] for line in result["flips"]["rewrites"] if line["n"])
    assert result["flips"]["any"]["worst"]["value"] * 40 >= worst


def test_tokenizer_option_is_for_the_teacher_if_the_model_has_its_own(found, small, workshop, tmp_path):
    teacher = shutil.copytree(workshop / "teacher", tmp_path / "teacher")
    tokenizer = (teacher / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    how = {"limit": 40, "tokenizer": tokenizer}
    again = robustness(small, "vulnerability", workshop / "valid.jsonl", against=teacher, **how)
    assert again.as_dict()["against"] == found.as_dict()["against"]
    with pytest.raises(UserError, match=r"^--tokenizer: goes with checkpoints: an artifact has its own"):
        robustness(small, "vulnerability", workshop / "valid.jsonl", against=small, **how)


def test_more_seeds_find_no_fewer_flips(small, workshop):
    one, three = (
        api.robustness(small, "vulnerability", workshop / "valid.jsonl", seeds=count, limit=20).flips
        for count in (1, 3)
    )
    assert three.seeds == (0, 1, 2)
    assert one.any.worst is not None
    assert three.any.worst is not None
    assert three.any.worst.value >= one.any.worst.value


class Killed(Exception):
    pass


class Killer(Progress):
    """End the run, as a kill would, at the given step of one of its loops."""

    def __init__(self, loop, step):
        self.loop, self.left = loop, step

    @contextmanager
    def track(self, what, total):
        def advance(steps=1, note=""):
            self.left -= what == self.loop
            if not self.left:
                raise Killed

        yield advance


@pytest.mark.parametrize(("loop", "step"), [("rewriting functions", 3), ("classifying", 4), ("classifying", 11)])
def test_resumes_after_kill(loop, step, found, small, workshop, tmp_path):
    """Nothing is computed twice, and the result equals that of an uninterrupted run."""
    how = {"against": workshop / "teacher", "limit": 40, "out": tmp_path / "new" / "found.json"}
    kept = tmp_path / "new" / "found.kept.jsonl"
    with pytest.raises(Killed):
        robustness(small, "vulnerability", workshop / "valid.jsonl", progress=Killer(loop, step), **how)
    before = kept.read_text()
    again = robustness(small, "vulnerability", workshop / "valid.jsonl", **how)
    after = kept.read_text()
    assert again.as_dict() == found.as_dict()
    assert json.loads(how["out"].read_text()) == json.loads(json.dumps(found.as_dict()))
    assert after.startswith(before)
    assert len(after) > len(before) > 0
    keys = [json.loads(line)["key"] for line in after.splitlines()]
    assert len(set(keys)) == len(keys)
    robustness(small, "vulnerability", workshop / "valid.jsonl", **how)
    assert kept.read_text() == after


def test_results_of_another_model_are_not_reused(small, workshop, tmp_path):
    ours, theirs = (
        robustness(path, "vulnerability", workshop / "valid.jsonl", limit=20, out=tmp_path).flips.accuracy
        for path in (small, workshop / "teacher")
    )
    assert ours == robustness(small, "vulnerability", workshop / "valid.jsonl", limit=20).flips.accuracy
    alone = robustness(workshop / "teacher", "vulnerability", workshop / "valid.jsonl", limit=20).flips.accuracy
    assert theirs == alone
    assert {path.name for path in tmp_path.iterdir()} == {"robustness.json", "robustness.kept.jsonl"}


def test_table_has_the_models_and_rewrites(found, capsys):
    show(found.as_dict())
    shown = capsys.readouterr().out
    for word in ("small, 40 examples in c", "teacher, 40 examples in c", "add comments", "any", "same label as the"):
        assert word in shown


def test_table_fits_80_columns(found, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show(found.as_dict())
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("\nremove comments ") == 2  # the teacher's and the model's, each unbroken


def test_command_prints_json_alone_and_shows_progress(small, workshop):
    verb = [sys.executable, "-m", "lilliput", "robustness", str(small), "--task", "vulnerability"]
    how = ["--data", str(workshop / "valid.jsonl"), "--limit", "5", "--json"]
    run = subprocess.run([*verb, *how], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout)["flips"]["any"]["of"] == 5
    assert "rewriting functions: done" in run.stderr


def test_bad_input_exits_with_code_2(small, workshop):
    verb = [sys.executable, "-m", "lilliput", "robustness", str(small), "--data", str(workshop / "valid.jsonl")]
    how = ["--task", "vulnerability", "--language", "cobol"]
    run = subprocess.run([*verb, *how], capture_output=True, text=True, check=False)
    assert run.returncode == 2, run.stderr
    assert "Traceback" not in run.stderr
    assert "--language: functions in 'cobol' cannot be rewritten. Choose one of: c, java, python." in run.stderr


def test_unreadable_inputs_are_named(small, workshop, tmp_path):
    data = workshop / "valid.jsonl"
    with pytest.raises(UserError, match="was made for task 'vulnerability'"):
        robustness(small, "clone", data)
    with pytest.raises(UserError, match="test_robustness_verb"):
        robustness(small, "vulnerability", data, against=__file__)
    with pytest.raises(DataError, match=r"none\.jsonl"):
        robustness(small, "vulnerability", tmp_path / "none.jsonl")


@pytest.mark.parametrize(("option", "value"), [("seeds", 0), ("limit", 0), ("limit", True), ("seeds", 1.5)])
def test_rejects_invalid_numbers(option, value, small, workshop):
    with pytest.raises(UserError, match="must be 1 or more") as caught:
        robustness(small, "vulnerability", workshop / "valid.jsonl", **{option: value})
    assert caught.value.where == f"--{option}"


def test_rejects_a_teacher_with_other_classes(tmp_path):
    rows = [{"code": text, "label": label} for text in C_FUNCTIONS.values() for label in ("a", "b")]
    base = "scratch:layers=1,hidden=16,heads=1,intermediate=16,vocabulary=300"
    for name, labels in (("one", "ab"), ("other", "cd")):
        lines = [json.dumps(row | {"label": labels["ab".index(row["label"])]}) for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
        file = tmp_path / f"{name}.jsonl"
        api.finetune(base, "classification", file, file, tmp_path / name, epochs=1, max_tokens=16)
    with pytest.raises(UserError, match="has the classes c, d; the model has a, b") as caught:
        robustness(tmp_path / "one", "classification", tmp_path / "one.jsonl", against=tmp_path / "other")
    assert caught.value.where == "--against"


def of(texts) -> Dataset:
    return Dataset(tuple(texts), np.arange(len(texts))[:, None], np.zeros(len(texts), np.int64), ("a", "b"))


def test_language_is_that_of_the_task_unless_the_data_are_in_another():
    assert spoken(of(["int f(int a) { return a; }"]), "clone") == "java"
    assert spoken(of(["int f(int a) { return a; }"]), "vulnerability") == "c"
    assert spoken(of(list(JAVA_METHODS.values())), "vulnerability") == "java"
    assert spoken(of([text for text, _ in PYTHON_FUNCTIONS.values()]), "clone") == "python"
    with pytest.raises(DataError, match="none of the first functions parses"):
        spoken(of(["((("]), "clone")


def test_result_never_overwrites_an_input(small, tmp_path):
    (tmp_path / "data.json").write_text("[]")
    with pytest.raises(UserError, match=r"--out: .*data\.json is a file that this command reads"):
        robustness(small, "vulnerability", tmp_path / "data.json", out=tmp_path / "data.json")
