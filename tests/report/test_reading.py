"""Reading results: each kind is recognized by its fields, and every field used in computations is checked by name."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lilliput.errors import DataError
from lilliput.report import page
from lilliput.report.given import gathered
from lilliput.report.reading import checked, read_result
from tests.report.results import comparison, evaluation, flips, passes, recode, repository, summaries

MADE: dict[str, Callable[[], dict[str, Any]]] = {
    "generator": lambda: evaluation("small", passes(3, 5)),
    "comparison": comparison,
    "flips": flips,
    "recode": lambda: recode("small", "original"),
    "repository": repository,
    "summaries": summaries,
    "classifier": lambda: {"accuracy": 0.5, "n": 3},
}


@pytest.mark.parametrize("kind", MADE)
def test_each_kind_is_recognized_by_its_fields(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    file.write_text(json.dumps(MADE[kind]()))
    result = read_result(file)
    assert (result.kind, result.file) == (kind, "some.json")
    assert result.name == MADE[kind]().get("name", "some")


@pytest.mark.parametrize(
    ("kind", "path", "value", "message"),
    [
        ("generator", ("problems", 2, "task_id"), 7, r"field 'problems\[2\].task_id' is 7 and must be a name"),
        ("generator", ("problems", 1, "completions"), [], r"field 'problems\[1\].completions' is a value of type list"),
        ("generator", ("problems", 0, "completions", 0, "text"), 3, r"completions\[0\].text' is 3 and must be text"),
        ("generator", ("problems", 1, "task_id"), "Task/0", "which an earlier one has"),
        ("generator", ("pass@1",), 41.2, r"field 'pass@1' is 41.2 and must be a share"),
        ("generator", ("intervals", "pass@1"), [0.9, 0.1], r"field 'intervals.pass@1'"),
        ("generator", ("failures", "wrong"), -1, r"field 'failures.wrong' is -1 and must be a count"),
        ("generator", ("bytes", "total"), "big", r"field 'bytes.total' is 'big' and must be a positive number"),
        ("generator", ("k",), [], "field 'k'"),
        ("generator", ("problems", 1, "passed"), 9, r"field 'problems\[1\].passed' is 9, but its completions give 1"),
        ("generator", ("problems", 4, "n"), True, r"field 'problems\[4\].n' is true, but its completions give 1"),
        (
            "generator",
            ("problems", 4, "completions", 0, "outcome"),
            "passed",
            r"'problems\[4\].passed' is 0, .* give 1",
        ),
        ("generator", ("n",), 9, "field 'n' is 9, but 5 of its problems have a verdict"),
        ("comparison", ("ratios", 0, "decode", "speed", "low"), 0, r"field 'ratios\[0\].decode.speed'.*above 0"),
        ("comparison", ("models", 0, "bytes"), {}, r"has no field 'models\[0\].bytes.total'"),
        (
            "comparison",
            ("models", 1, "phases", "decode", "units_per_second"),
            3,
            r"phases.decode.units_per_second' is 3",
        ),
        ("flips", ("flips", "any", "n"), None, r"field 'flips.any.n' is null and must be a count"),
        ("flips", ("against", "flips", "rewrites"), 3, r"field 'against.flips.rewrites' is 3 and must be a list"),
        ("recode", ("perturbations", 1, "robust_pass"), {}, r"field 'perturbations\[1\].robust_pass'"),
        ("recode", ("against", "perturbations", 0, "difference", "robust_pass", "lost"), -1, "robust_pass.lost' is -1"),
        ("recode", ("against", "all", "reference", "robust_pass"), 1, "field 'against.all.reference.robust_pass'"),
        ("recode", ("against", "n"), "x", "field 'against.n'"),
        ("recode", ("against", "perturbations"), [{}], r"no field 'against.perturbations\[0\].name'"),
        ("flips", ("against", "flips"), {}, "no field 'against.flips.rewrites'"),
        ("comparison", ("ratios", 0, "decode", "speed"), {"reason": "x"}, r"field 'ratios\[0\].decode.speed'"),
        ("repository", ("lines", "baselines"), [], "field 'lines.baselines'"),
        ("summaries", ("chrf", "high"), "x", "field 'chrf'"),
    ],
)
def test_wrong_field_is_named_with_its_file(kind: str, path: tuple[Any, ...], value: Any, message: str) -> None:
    values = copy.deepcopy(MADE[kind]())
    inner: Any = values
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    with pytest.raises(DataError, match=message) as caught:
        checked(values, Path("folder/some.json"))
    assert caught.value.where == "folder/some.json"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("kind", "path"),
    [("flips", ("against", "flips")), ("recode", ("against",)), ("recode", ("perturbations", 0, "robust_drop"))],
)
@pytest.mark.parametrize("missing", [True, False])
def test_optional_fields_may_be_missing_or_null(kind: str, path: tuple[Any, ...], missing: bool) -> None:
    values = copy.deepcopy(MADE[kind]())
    inner: Any = values
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = None
    if missing:
        del inner[path[-1]]
    result = checked(values, Path("some.json"))
    assert "<html" in page.render([], "page", "", gathered([result]))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"accuracy"', "{}", '{"problems": []}', "[" * 5000, '{"a": NaN}'])
def test_rejects_what_is_not_a_result(text: str, tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    file.write_text(text)
    with pytest.raises(DataError, match=r"some\.json") as caught:
        read_result(file)
    assert "lilliput evaluate" in str(caught.value)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


SPOILT = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 10**400, 1e-320, 1e308, float("nan"), float("inf"), "", "<b>\x00\ud800", [], {}, [None]])
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.dictionaries(st.sampled_from(["value", "low", "high", "name", "n"]), st.integers() | st.text(max_size=3))
)


@pytest.mark.parametrize("kind", [kind for kind in MADE if kind != "classifier"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_json_gives_a_page_or_an_error_that_names_the_file(kind: str, data: st.DataObject) -> None:
    values = copy.deepcopy(MADE[kind]())
    for path in data.draw(st.lists(st.sampled_from(list(places(values))), min_size=1, max_size=2)):
        inner: Any = values
        for part in path[:-1]:
            inner = inner[part] if _has(inner, part) else None
        if _has(inner, path[-1]):
            inner[path[-1]] = data.draw(SPOILT)
    try:
        result = checked(values, Path("some.json"))
    except DataError as error:
        assert error.where == "some.json"
        return
    if result.kind != "classifier":
        html = page.render([], "t", "", gathered([result]))
        html.encode("utf-8")
        assert "<script" not in html


def _has(inner: Any, part: Any) -> bool:
    """Whether the part still exists: an earlier change may have removed its parent."""
    return part in inner if isinstance(inner, dict) else isinstance(inner, list) and part in range(len(inner))
