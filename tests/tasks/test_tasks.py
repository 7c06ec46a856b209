"""The table of tasks, and each task on synthetic data and on the real data sets."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from lilliput.data.dataset import Dataset
from lilliput.data.labels import require_two_classes
from lilliput.data.tables import Columns
from lilliput.errors import DataError, UserError
from lilliput.tasks import TASKS, task_named

SHARED = Path(os.environ.get("LILLIPUT_SHARED", Path(__file__).parents[3] / "shared")) / "data"


def real(name: str) -> Path:
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the folder that LILLIPUT_SHARED names")
    return path


def write(folder: Path, text: str, name: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_table_of_tasks() -> None:
    facts = {name: (task.arity, task.label_names, task.positive) for name, task in TASKS.items()}
    assert facts == {
        "vulnerability": (1, ("safe", "vulnerable"), 1),
        "clone": (2, ("different", "clone"), 1),
        "classification": (1, None, None),
    }
    assert task_named("clone") is TASKS["clone"]
    with pytest.raises(UserError, match="Choose one of: vulnerability, clone, classification"):
        task_named("clones")


@pytest.mark.parametrize(
    ("name", "line", "text_count"),
    [
        ("vulnerability", '{"func": "f", "target": 1, "idx": 9}', 1),
        ("clone", '{"code1": "f", "code2": "g", "label": 1}', 2),
        ("classification", '{"code": "f", "label": 1}', 1),
    ],
)
def test_default_columns_and_arity(tmp_path: Path, name: str, line: str, text_count: int) -> None:
    task = TASKS[name]
    path = write(tmp_path, line + "\n" + line.replace(": 1", ": 0") + "\n", "x.jsonl")
    dataset = task.read([path], Columns(), None, True)
    assert dataset.arity == task.arity
    assert dataset.labels.tolist() == [1, 0]
    assert len(dataset.texts) == text_count
    assert dataset.label_names == (task.label_names or ("0", "1"))
    assert task.read([path], Columns(), None, False).labels.tolist() == [-1, -1]


def test_given_names_replace_the_tasks_own(tmp_path: Path) -> None:
    path = write(tmp_path, '{"func": "f", "target": "bad"}\n', "x.jsonl")
    dataset = TASKS["vulnerability"].read([path], Columns(), ("good", "bad"), True)
    assert (dataset.label_names, dataset.labels.tolist()) == (("good", "bad"), [1])


def test_classes_of_training_data_read_validation_data_alike(tmp_path: Path) -> None:
    train = write(tmp_path, "code,label\nf,style\ng,bug\nh,perf\n", "train.csv")
    valid = write(tmp_path, "code,label\nf,style\n", "valid.csv")
    task = TASKS["classification"]
    names = task.read([train], Columns(), None, True).label_names
    assert names == ("bug", "perf", "style")
    assert task.read([valid], Columns(), names, True).labels.tolist() == [2]


@pytest.mark.parametrize("name", ["vulnerability", "classification"])
def test_single_functions_reject_a_second_column(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, '{"func": "f", "code": "f", "target": 1, "label": 1}\n', "x.jsonl")
    with pytest.raises(UserError, match="--second-column"):
        TASKS[name].read([path], Columns(second="code"), None, True)


def test_labels_of_free_classes_are_names_never_indices(tmp_path: Path) -> None:
    path = write(tmp_path, "code,label\nf,0\n", "x.csv")
    with pytest.raises(DataError, match=r"the label '0' is none of the classes: bug, style\."):
        TASKS["classification"].read([path], Columns(), ("bug", "style"), True)
    assert TASKS["classification"].read([path], Columns(), ("LABEL_0", "LABEL_1"), True).labels.tolist() == [0]


@pytest.mark.parametrize("name", ["vulnerability", "clone"])
def test_task_with_its_own_classes_accepts_no_names(name: str) -> None:
    assert TASKS[name].classes(None) == TASKS[name].label_names
    with pytest.raises(UserError, match="has its own classes") as caught:
        TASKS[name].classes(tuple(reversed(TASKS[name].label_names or ())))
    assert caught.value.where == "--labels"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("bug", ""), "name 2 is empty"),
        (("bug", "  ", "style"), "name 2 is empty"),
        (("bug", "bug"), "not two or more different names"),
        (("bug", " bug"), "not two or more different names"),
        (("caf\u00e9", "cafe\u0301"), "not two or more different names"),
        (("only",), "not two or more different names"),
    ],
)
def test_names_given_for_classes_are_checked(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        TASKS["classification"].classes(names)
    assert caught.value.where == "--labels"


def test_names_given_for_classes_keep_their_order() -> None:
    assert TASKS["classification"].classes(["style", " bug "]) == ("style", "bug")
    assert TASKS["classification"].classes(None) is None


def test_single_path_is_a_list_of_one(tmp_path: Path) -> None:
    path = write(tmp_path, '{"func": "f", "target": 1}\n', "x.jsonl")
    for files in (path, str(path), (str(path),)):
        assert len(TASKS["vulnerability"].read(files)) == 1
    for wrong in (None, 3, [path, None]):
        with pytest.raises(DataError, match="is not a file path"):
            TASKS["vulnerability"].read(wrong)  # type: ignore[arg-type]


def assert_sound(dataset: Dataset, n: int, arity: int) -> None:
    assert dataset.members.shape == (n, arity)
    assert len(set(dataset.texts)) == len(dataset.texts)
    assert np.array_equal(np.unique(dataset.members), np.arange(len(dataset.texts)))
    require_two_classes(dataset)


def test_devign_valid() -> None:
    dataset = TASKS["vulnerability"].read([real("devign/valid.jsonl.gz")], Columns(), None, True)
    assert_sound(dataset, 2732, 1)
    assert 0.43 <= dataset.labels.mean() <= 0.47


def test_devign_train_in_three_seconds() -> None:
    path = real("devign/train.jsonl.gz")
    start = time.process_time()
    dataset = TASKS["vulnerability"].read([path], Columns(), None, True)
    assert time.process_time() - start <= 3.0
    assert_sound(dataset, 21_854, 1)
    assert len(dataset.texts) < 21_854  # a few functions occur twice


def test_bigclonebench_valid() -> None:
    dataset = TASKS["clone"].read([real("bigclonebench/valid_sampled.txt.gz")], Columns(), None, True)
    assert_sound(dataset, 4000, 2)
    assert dataset.labels.mean() == 0.5


def test_bigclonebench_train() -> None:
    dataset = TASKS["clone"].read([real("bigclonebench/train_sampled10pct_90102.txt.gz")], Columns(), None, True)
    assert_sound(dataset, 90_102, 2)
    assert len(dataset.texts) <= 9133
    assert dataset.labels.mean() == 0.5


def test_bigclonebench_hidden_labels() -> None:
    path = real("bigclonebench/unlabel_train.txt.gz")
    hidden = TASKS["clone"].read([path], Columns(), None, False)
    assert set(hidden.labels.tolist()) == {-1}
    with pytest.raises(DataError, match="none has a label"):
        require_two_classes(hidden)
    shown = TASKS["clone"].read([path], Columns(), None, True)
    assert_sound(shown, 45_051, 2)
    assert np.array_equal(shown.members, hidden.members)
