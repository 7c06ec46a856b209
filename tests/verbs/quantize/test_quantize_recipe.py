"""``lilliput quantize --recipe``: what a recipe decides, which options contradict it, and what an artifact records."""

import hashlib
import json

import pytest

from lilliput.artifact import open_artifact
from lilliput.study.point import point
from lilliput.study.recipe import Recipe, write_recipe
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.verbs.quantize.test_quantize_bad_input import refused
from tests.verbs.tiny_checkpoints import LLAMA, checkpoint

CHOSEN = point("int4", 32, symmetric=True, head="int4", activation_group=32)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    checkpoint(folder / "model", *LLAMA)
    write_recipe(folder / "recipe.json", Recipe("the small one", CHOSEN))
    return folder


@pytest.fixture
def run(lilliput, desk):
    """Run ``lilliput quantize`` with the recipe and further options."""
    return lambda out, *more: lilliput(
        "quantize", desk / "model", "--out", out, "--recipe", desk / "recipe.json", *more
    )


def test_artifact_follows_its_recipe_and_records_it(desk, run, tmp_path):
    code, *_ = run(tmp_path / "small", "--json")
    assert code == 0
    manifest = open_artifact(tmp_path / "small").generator
    assert manifest.weights == json.loads(json.dumps(CHOSEN.policy.as_dict()))
    assert (manifest.activations["mode"], manifest.activations["group"]) == ("dynamic", 32)
    digest = hashlib.sha256((desk / "recipe.json").read_bytes()).hexdigest()
    assert manifest.provenance["recipe"] == {"name": "the small one", "sha256": digest}
    quantize(desk / "model", tmp_path / "by-hand", settings=QuantizeSettings(CHOSEN.policy, CHOSEN.activation))
    assert (tmp_path / "by-hand" / "model.bin").read_bytes() == (tmp_path / "small" / "model.bin").read_bytes()
    assert "recipe" not in open_artifact(tmp_path / "by-hand").generator.provenance


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--weights", "int4"], "--weights: is decided by the recipe"),
        (["--seed", "0"], "--seed: is decided by the recipe"),
        (["--asymmetric"], "--symmetric: is decided by the recipe"),
        (["--head", "int8", "--group", "32"], "--group, --head: are decided by the recipe"),
    ],
)
def test_rejects_options_that_the_recipe_decides(options, words, run, tmp_path):
    refused(run(tmp_path / "small", *options), words)
    assert not (tmp_path / "small").exists()


def test_rejects_an_invalid_recipe(desk, lilliput, tmp_path):
    (tmp_path / "strange.json").write_text('{"schema": 1, "name": "x", "point": {"wieghts": "int8"}}')
    arguments = ("quantize", desk / "model", "--out", tmp_path / "small", "--recipe", tmp_path / "strange.json")
    refused(lilliput(*arguments), "strange.json", "'wieghts'")
    refused(lilliput(*arguments[:-1], tmp_path / "none.json"), "none.json", "no such file")
    assert not (tmp_path / "small").exists()


def test_slow_recipe_needs_allow_slow(desk, lilliput, tmp_path):
    write_recipe(tmp_path / "slow.json", Recipe("slow", point(activations="token")))
    arguments = ("quantize", desk / "model", "--out", tmp_path / "small", "--recipe", tmp_path / "slow.json")
    refused(lilliput(*arguments), "would be emulated")
    assert lilliput(*arguments, "--allow-slow")[0] == 0
