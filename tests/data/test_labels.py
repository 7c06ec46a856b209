"""Labels: the same meaning in every format, whether classes are given or collected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data.dataset import Dataset
from lilliput.data.labels import MAX_CLASSES, LabelSet, label_text, require_two_classes
from lilliput.data.lines import Place
from lilliput.errors import DataError, UserError

HERE = Place(Path("file.jsonl"), 7)
BINARY = ("safe", "vulnerable")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(1, "1"), (-1, "-1"), (2.0, "2"), (True, "true"), ("True", "true"), ("FALSE", "false"), (" bug ", "bug")],
        *[("1.0", "1"), ("-2.00", "-2"), ("-0.0", "0"), ("1.5", "1.5"), ("v1.0", "v1.0"), ("1.", "1.")],
        ("cafe\u0301", "caf\u00e9"),
    ],
)
def test_label_text_is_normalized(value: object, text: str) -> None:
    assert label_text(value, HERE) == text


@pytest.mark.parametrize("value", [None, "", "  "])
def test_rejects_a_missing_label(value: object) -> None:
    with pytest.raises(DataError, match=r"file.jsonl, line 7: has no label. Add the label"):
        label_text(value, HERE)


def test_label_must_be_one_line_of_at_most_200_characters() -> None:
    assert label_text("x" * 200, HERE) == "x" * 200
    with pytest.raises(DataError, match=r"file.jsonl, line 7: the label 'x+'\.\.\. has 201 characters"):
        label_text("x" * 201, HERE)
    for text in ("a\nb", "a\rb", "a\u2028b"):
        with pytest.raises(DataError, match=r"file.jsonl, line 7: the label .* has a line break in it"):
            label_text(text, HERE)


@pytest.mark.parametrize("text", ["ok\x1b[31m", "a\0b", "a\tb", "x\ud800"])
def test_label_must_be_printable(text: str) -> None:
    with pytest.raises(DataError, match=r"file.jsonl, line 7: the label .* has a character in it that cannot be shown"):
        label_text(text, HERE)


def test_given_names_match_in_either_unicode_form() -> None:
    for name, label in (("caf\u00e9", "cafe\u0301"), ("cafe\u0301", "caf\u00e9")):
        assert LabelSet(("tea", name)).index(label, HERE) == 1


@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf"), [1], {"a": 1}, b"x"])
def test_rejects_labels_of_a_wrong_type(value: object) -> None:
    with pytest.raises(DataError, match="is not an integer, string or boolean"):
        label_text(value, HERE)


@pytest.mark.parametrize("value", [1, "1", True, "true", 1.0, "vulnerable"])
def test_given_classes_match_by_name_or_number(value: object) -> None:
    assert LabelSet(BINARY).index(value, HERE) == 1


def test_numeric_names_are_never_taken_as_indices() -> None:
    classes = LabelSet(("1", "2", "3"))
    assert [classes.index(value, HERE) for value in (1, 2, 3)] == [0, 1, 2]
    with pytest.raises(DataError, match="the label '0' is none of the classes"):
        classes.index(0, HERE)


def test_boolean_names_take_precedence_over_indices() -> None:
    classes = LabelSet(("true", "false"))
    assert [classes.index(value, HERE) for value in (True, "False", 0)] == [0, 1, 0]


def test_boolean_names_match_in_any_case() -> None:
    classes = LabelSet(("True", "False"))
    assert [classes.index(value, HERE) for value in (True, "false", "TRUE", 0, 1)] == [0, 1, 0, 0, 1]
    with pytest.raises(DataError, match="the label 'false' is none of the classes"):
        LabelSet(("true", "other")).index(False, HERE)


def test_rejects_a_label_outside_the_classes() -> None:
    with pytest.raises(DataError) as caught:
        LabelSet(BINARY).index(2, HERE)
    assert str(caught.value) == (
        "file.jsonl, line 7: the label '2' is none of the classes: safe (0), vulnerable (1). Correct the label."
    )


@pytest.mark.parametrize(
    "names", [(), ("only",), ("twice", "twice"), ("Yes", "True", "true"), ("1", "1.0"), ("a", "a ")]
)
def test_given_classes_must_be_two_different_names(names: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="two or more different names"):
        LabelSet(names)


def collected(values: list[object]) -> tuple[tuple[str, ...], list[int]]:
    classes = LabelSet(None)
    numbers = [classes.index(value, HERE) for value in values]
    names, final = classes.ordered()
    return names, [int(final[number]) for number in numbers]


def test_collected_integers_are_sorted_numerically() -> None:
    assert collected([10, 9, "-2", 10]) == (("-2", "9", "10"), [2, 1, 0, 2])


def test_collected_names_are_sorted() -> None:
    assert collected(["style", "bug", "10", "bug"]) == (("10", "bug", "style"), [2, 1, 0, 1])


def test_no_labels_give_no_classes() -> None:
    assert collected([]) == ((), [])


@given(
    st.lists(
        st.one_of(
            st.integers(),
            st.booleans(),
            st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8).filter(
                lambda text: len(text.strip().splitlines()) == 1
            ),
        ),
        max_size=10,
    )
)
@settings(max_examples=50, deadline=None)
def test_collected_labels_name_the_given_values_in_sorted_order(values: list[object]) -> None:
    names, numbers = collected(values)
    assert [names[number] for number in numbers] == [label_text(value, HERE) for value in values]
    assert len(set(names)) == len(names)


def test_too_many_classes_suggest_the_wrong_column() -> None:
    classes = LabelSet(None)
    for i in range(MAX_CLASSES):
        classes.index(f"name {i}", HERE)
    with pytest.raises(DataError, match=r"class number 1001\. Check that --label-column"):
        classes.index("one more", HERE)


def dataset(labels: list[int]) -> Dataset:
    n = len(labels)
    members = np.arange(n, dtype=np.int64).reshape(n, 1)
    texts = tuple(f"f{i}" for i in range(n))
    return Dataset(texts, members, np.array(labels, dtype=np.int64), BINARY, ("train.jsonl",))


def test_two_classes_are_enough() -> None:
    require_two_classes(dataset([0, 1, -1]))


def test_rejects_a_single_class() -> None:
    with pytest.raises(DataError, match=r"train.jsonl: .* of 3 here, all have the label 'vulnerable'"):
        require_two_classes(dataset([1, 1, -1]))


def test_rejects_no_labels() -> None:
    with pytest.raises(DataError, match=r"of 2 here, none has a label\. Give data"):
        require_two_classes(dataset([-1, -1]))
