"""Grids: products of axes, combinations left out, and invalid files."""

import pytest

from lilliput.errors import UserError
from lilliput.study.grid import MOST_POINTS, read_grid
from lilliput.study.point import point


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_axes_are_multiplied_in_order(tmp_path):
    grid = read_grid(written(tmp_path, 'weights = ["int8", "int4"]\nactivations = ["none", "dynamic"]\n'))
    assert grid.name == "mine"
    assert [(one.weights, one.activations) for one in grid.points] == [
        ("int8", "none"),
        ("int8", "dynamic"),
        ("int4", "none"),
        ("int4", "dynamic"),
    ]


def test_products_are_joined_and_share_the_top_level_axes(tmp_path):
    text = """
    about = "a test"
    activations = ["none"]
    [[products]]
    weights = ["int8"]
    group = [-1, 0]
    [[products]]
    weights = ["int8", "int4"]
    activations = ["dynamic", "none"]
    """
    grid = read_grid(written(tmp_path, text))
    assert grid.points == (
        point("int8", -1, activations="none"),
        point("int8", 0, activations="none"),
        point("int8", activations="dynamic"),
        point("int4", activations="dynamic"),  # int8 without rounded inputs is there already
        point("int4", activations="none"),
    )


def test_invalid_combinations_are_left_out_and_reported(tmp_path):
    text = 'weights = ["int4", "nf4"]\nrounding = ["nearest", "hqq"]\nsymmetric = [true, false]\n'
    grid = read_grid(written(tmp_path, text))
    assert [one.label for one in grid.points] == [
        "int4-g128-sym.dynamic128",
        "int4-g128-asym.dynamic128",
        "int4-g128-asym-hqq.dynamic128",
        "nf4-g64-sym.dynamic128",
    ]
    said = {one.label: one.reason for one in grid.left_out}
    assert said["weights int4, rounding hqq, symmetric true"] == "hqq moves zero points"
    assert said["weights nf4, rounding nearest, symmetric false"] == "codes of nf4 have no zero points"
    assert len(said) == 4


def test_hash_depends_on_the_points(tmp_path):
    one = read_grid(written(tmp_path, 'weights = ["int8"]')).sha256
    assert read_grid(written(tmp_path, 'weights = ["int8"]\ngroup = [0]')).sha256 == one
    assert read_grid(written(tmp_path, 'weights = ["int4"]')).sha256 != one


WRONG = {
    "no TOML": ("weights = [", "cannot be read: "),
    "no text": (b"\xff\xfe", "cannot be read: "),
    "unknown axis": ("bits = [4]", "there is no axis 'bits'"),
    "no axes": ('about = "nothing"', "has no axes"),
    "a product without axes": ("[[products]]", "has no axes"),
    "no list": ('weights = "int8"', "'weights' must be a list of values; it is 'int8'"),
    "empty list": ("weights = []", "'weights' must be a list of values"),
    "wrong type": ("group = [32, true]", "'group' must be a whole number; it is true"),
    "misspelled": ('rounding = ["gtpq"]', "'rounding' has the unknown value 'gtpq'"),
    "misspelled in a product": (
        '[[products]]\n[[products]]\nhead = ["int5"]',
        "product 2: 'head' has the unknown value 'int5'",
    ),
    "products are no tables": ("products = [1]", "'products' must be tables of axes"),
    "one table of products": ("[products]\ngroup = [0]", "'products' must be tables of axes"),
    "about is no text": ("about = 3", "'about' must be text"),
    "too many": (f"seed = {list(range(200))}\ncalibration_pieces = {list(range(1, 200))}", f"{MOST_POINTS:,} points"),
    "nothing possible": ("group = [3]", "no point that can be tried (group 3: 3 is not a group size)"),
    "too long": ("# " + "x" * 1_000_001, "is longer than 1,000,000 bytes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_invalid_file_is_rejected_by_name_and_key(name, tmp_path):
    text, words = WRONG[name]
    path = tmp_path / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as caught:
        read_grid(path)
    assert "mine.toml" in str(caught.value)
    assert words in str(caught.value)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(UserError, match=r"neither a file nor a grid's name.*quick, paper, int4"):
        read_grid("small")
