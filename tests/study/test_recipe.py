"""Recipes: round trips, recipes written by hand, and validation of untrusted files."""

import hashlib
import json

import pytest

from lilliput.errors import UserError
from lilliput.study.point import point
from lilliput.study.recipe import Recipe, read_recipe, write_recipe

CHOSEN = point("int4", 64, rounding="gptq", head="int4", activation_group=32, calibration_pieces=8)
GOOD = Recipe("a recipe", CHOSEN, why={"rule": "the smallest"}, figures={"bytes": 3}, versions={"lilliput": "0"})


def test_recipe_survives_a_round_trip(tmp_path):
    write_recipe(tmp_path / "recipe.json", GOOD)
    found = read_recipe(tmp_path / "recipe.json")
    assert found.as_dict() == GOOD.as_dict()
    assert found.point == CHOSEN
    digest = hashlib.sha256((tmp_path / "recipe.json").read_bytes()).hexdigest()
    assert found.source == {"name": "a recipe", "sha256": digest}


def test_recipe_can_be_written_by_hand_in_toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('schema = 1\nname = "mine"\n[point]\nweights = "int4"\ngroup = 64\n')
    assert read_recipe(path).point == point("int4", 64)


def changed(**fields):
    values = {**GOOD.as_dict(), **fields}
    return json.dumps({name: value for name, value in values.items() if value is not ...})


WRONG = {
    "no JSON": ("{", "is not JSON"),
    "nested too deep": ("[" * 5000 + "]" * 5000, "is not JSON: nested"),
    "a list": ("[]", "is not a JSON object"),
    "an unknown key": (changed(run="rm -rf ~"), "has an unknown key, 'run'"),
    "no point": (changed(point=...), "has no 'point'"),
    "no name": (changed(name=...), "has no 'name'"),
    "a name of lines": (changed(name="a\nb"), "'name' must be text of one line"),
    "a name of controls": (changed(name="a\x1b[2Jb"), "'name' must be text of one line"),
    "a long name": (changed(name="a" * 101), "'name' must be text of one line"),
    "a later schema": (changed(schema=2), "has schema 2; this version reads up to 1"),
    "a schema that is none": (changed(schema="1"), "'schema' must be a whole number"),
    "a point that is none": (changed(point="int8"), "'point' must be an object; it is 'int8'"),
    "figures that are none": (changed(figures=[1]), "'figures' must be an object"),
    "an unknown field": (changed(point={"bits": 4}), "'point': there is no field 'bits'"),
    "a wrong type": (changed(point={"group": "64"}), "'point': 'group' must be a whole number"),
    "a value that means nothing": (changed(point={"weights": "int5"}), "'point', 'weights': unknown value"),
}


@pytest.mark.parametrize("name", WRONG)
def test_invalid_recipe_is_rejected_by_file_and_key(name, tmp_path):
    text, words = WRONG[name]
    (tmp_path / "strange.json").write_text(text)
    with pytest.raises(UserError) as caught:
        read_recipe(tmp_path / "strange.json")
    assert "strange.json" in str(caught.value)
    assert words in str(caught.value)


def test_missing_and_too_long_files_are_rejected(tmp_path):
    with pytest.raises(UserError, match=r"no\.json: cannot be read: no such file"):
        read_recipe(tmp_path / "no.json")
    (tmp_path / "long.json").write_text(" " * 1_000_001)
    with pytest.raises(UserError, match="is longer than"):
        read_recipe(tmp_path / "long.json")
    with pytest.raises(UserError, match="cannot be read"):
        read_recipe(tmp_path / "no.toml")
    with pytest.raises(UserError, match="cannot be read"):
        read_recipe(tmp_path)
