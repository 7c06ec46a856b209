"""Which scheme each weight gets: by name, by shape, and by whether embedding and output layer are tied."""

import json

import pytest

from lilliput.errors import UserError
from lilliput.formats.weights import FORMATS, ROW, TENSOR, Scheme
from lilliput.quantize.policy import DEFAULTS, EMBEDDING, HEAD, LINEAR, Policy, policy, role_of

MATRIX = (8, 64)


@pytest.mark.parametrize(
    ("name", "shape", "tied", "role"),
    [
        ("layers.0.query.weight", MATRIX, False, LINEAR),
        ("layers.0.query.bias", (8,), False, None),
        ("final_norm.weight", (8,), False, None),
        ("positions.weight", MATRIX, False, None),
        ("encoder.positions.weight", MATRIX, False, None),
        ("decoder.relative.weight", (32, 4), True, None),
        ("embedding.weight", MATRIX, False, EMBEDDING),
        ("embedding.weight", MATRIX, True, HEAD),
        ("encoder.embedding.weight", MATRIX, False, EMBEDDING),
        ("decoder.embedding.weight", MATRIX, True, EMBEDDING),
        ("head.weight", MATRIX, False, HEAD),
        ("head.bias", (8,), True, None),
        ("layers.0.up.weight", (2, 3, 4), False, None),
        ("layers.0.up.weight", (), False, None),
    ],
)
def test_role_follows_name_shape_and_tying(name, shape, tied, role):
    assert role_of(name, shape, tied) == role


def test_each_role_gets_its_scheme_and_other_weights_none():
    chosen = Policy(Scheme("int4", False, 32), Scheme("fp16"), Scheme("nf4", True, 16))
    assert chosen.scheme("layers.0.up.weight", MATRIX, False) == Scheme("int4", False, 32)
    assert chosen.scheme("embedding.weight", MATRIX, False) == Scheme("fp16")
    assert chosen.scheme("embedding.weight", MATRIX, True) == Scheme("nf4", True, 16)
    assert chosen.scheme("head.weight", MATRIX, False) == Scheme("nf4", True, 16)
    assert chosen.scheme("positions.weight", MATRIX, False) is None
    assert chosen.scheme("layers.0.up.bias", (64,), False) is None


@pytest.mark.parametrize(
    ("group", "width", "fitted"),
    [
        (128, 256, 128),
        (128, 96, 96),
        (128, 100, 100),
        (64, 100, 20),
        (64, 96, 32),
        (128, 160, 32),
        (128, 192, 96),
        (32, 97, ROW),
        (32, 50, ROW),
        (32, 40, 20),
        (16, 40, ROW),
    ],
)
def test_group_is_fitted_to_the_width(group, width, fitted):
    found = policy("int4", group=group).scheme("layers.0.up.weight", (4, width), False)
    assert (found.format, found.symmetric, found.group) == ("int4", False, fitted)


@pytest.mark.parametrize("group", [ROW, TENSOR])
def test_rows_and_whole_matrices_fit_any_width(group):
    assert policy("int8", group=group).scheme("layers.0.up.weight", (4, 97), False).group == group


def test_every_format_has_a_policy_of_that_format():
    assert DEFAULTS.keys() == FORMATS.keys()
    for name, chosen in DEFAULTS.items():
        assert chosen.linear.format == name
        assert policy(name) == chosen


@pytest.mark.parametrize("name", ["int4", "nf4", "int3", "int2"])
def test_embedding_and_output_layer_default_to_eight_bits(name):
    chosen = policy(name)
    assert chosen.embedding == chosen.head == Scheme("int8", True, ROW)


def test_options_change_only_the_linear_layers():
    chosen = policy("int4", symmetric=True, group=64, rounding="gptq")
    assert chosen.linear == Scheme("int4", True, 64, "gptq")
    assert chosen.embedding == chosen.head == DEFAULTS["int4"].head
    assert policy("int8", symmetric=False).linear == Scheme("int8", False, ROW)


def test_embedding_and_output_layer_formats_can_be_set():
    chosen = policy("int4", embedding="fp16", head="int4")
    assert chosen == Policy(DEFAULTS["int4"].linear, DEFAULTS["fp16"].linear, DEFAULTS["int4"].linear)


def test_policy_is_plain_json():
    chosen = policy("int4").as_dict()
    assert json.loads(json.dumps(chosen)) == chosen
    assert chosen["linear"] == {"format": "int4", "symmetric": False, "group": 128, "rounding": "nearest"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": "int5"}, "--weights: unknown value 'int5'. Choose one of: fp32, fp16, int8"),
        ({"weights": ""}, "--weights: unknown value ''"),
        ({"rounding": "up"}, "--rounding: unknown value 'up'. Choose one of: nearest, gptq, awq"),
        ({"group": 15}, "--group: 15 is not a group size. Choose 16 or more"),
        ({"group": -2}, "--group: -2 is not a group size"),
        ({"weights": "fp16", "group": 32}, "--group: fp16 has neither scales nor zero points. Leave it out."),
        ({"weights": "fp32", "group": 0}, "--group: fp32 has neither scales"),
        ({"weights": "fp16", "symmetric": True}, "--symmetric: fp16 has neither scales"),
        ({"weights": "fp32", "symmetric": False}, "--asymmetric: fp32 has neither scales"),
        ({"weights": "fp16", "rounding": "hqq"}, "--rounding: fp16 is not rounded. Leave it out."),
        ({"weights": "nf4", "symmetric": False}, "--asymmetric: codes of nf4 have no zero points"),
        ({"weights": "int4", "symmetric": True, "rounding": "hqq"}, "Add --asymmetric"),
        ({"weights": "int8", "rounding": "hqq"}, "--rounding: hqq moves zero points"),
        ({"embedding": "int5"}, "--embedding: unknown value 'int5'"),
        ({"head": "int5"}, "--head: unknown value 'int5'"),
    ],
)
def test_rejects_invalid_options(options, words):
    with pytest.raises(UserError) as refusal:
        policy(**options)
    assert words in str(refusal.value)
    assert refusal.value.exit_code == 2
