"""Points that a study leaves out or does not choose, and options that it rejects."""

import pytest

from lilliput.errors import UserError
from lilliput.quantize.policy import policy
from lilliput.study.budget import Budget
from lilliput.study.choice import Rule
from lilliput.study.jobs import Measures
from lilliput.verbs.quantize import QuantizeSettings, expected_weights, quantize
from lilliput.verbs.study import plan as study_plan
from tests.verbs.study.small import LEAN, TIMED, study


def test_points_that_cannot_fit_are_left_out_and_too_large_ones_not_chosen(model, tmp_path):
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


@pytest.mark.parametrize("kind", ["llama", "gpt2"])  # the second stores its matrices transposed
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
def test_expected_bytes_never_exceed_the_actual_ones(kind, how, tmp_path_factory, checkpoints):
    folder, opened = checkpoints(kind)
    out = tmp_path_factory.mktemp("small") / "small"
    made = quantize(folder, out, settings=QuantizeSettings(policy(**how)))
    least = expected_weights(opened, policy(**how), study_plan._least)
    assert 0.5 * made.bytes.weights < least + 200_000
    assert least <= (out / "model.bin").stat().st_size


def test_emulated_points_need_allow_slow(model, tmp_path):
    axes = {"weights": ["int8"], "activations": ["none", "token"]}
    found = study(model, tmp_path / "study", axes)
    assert "would be emulated" in found.plan.left_out[0].reason
    more = study(model, tmp_path / "study", axes, allow_slow=True)
    assert [one.result.point.activations for one in more.choice.rated] == ["none", "token"]


WRONG = {
    "occupied": ({}, "already exists and is not a study"),
    "quality": ({"rule": Rule("pass@1")}, "--quality: pass@1 is not going to be measured"),
    "robust": ({"rule": Rule("robust-pass")}, "--quality: robust-pass is not going to be measured"),
    "no rounds": ({"rule": Rule(prefer="fastest"), "measures": LEAN}, "--speed-rounds: is 0"),
    "crowd": (
        {"rule": Rule(budget=Budget(None, 5.0)), "measures": TIMED, "executor": "local", "workers": 2},
        "--workers: speeds of 2 parallel jobs",
    ),
    "executor": ({"executor": "slurm"}, "--executor: unknown value"),
}


@pytest.mark.parametrize("name", WRONG)
def test_rejects_invalid_options(name, model, tmp_path):
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
        *[
            ({name: given}, f"--{name.replace('_', '-')}: goes with --humaneval")
            for name, given in (("limit", 3), ("strip", True), ("max_new_tokens", 5), ("batch", 2), ("unsafe", True))
        ],
        ({"perturbation_seeds": 2}, "--perturbation-seeds: goes with --perturbations"),
        ({"humaneval": "x", "perturbation_seeds": 2}, "--perturbation-seeds: goes with --perturbations"),
        ({"threads": 0}, "--threads"),
        ({"piece_tokens": True}, "--piece-tokens"),
    ],
)
def test_rejects_invalid_measures(wrong, words):
    with pytest.raises(UserError, match=words):
        Measures(**wrong)
