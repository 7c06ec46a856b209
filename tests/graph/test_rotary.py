"""What a ``config.json`` says about rotary embeddings, in the fields of transformers 4 and of transformers 5."""

import pytest

from lilliput.errors import CheckpointError
from lilliput.graph.rotary import Rotary, read_rotary

LINEAR = {"rope_type": "linear", "factor": 4.0}
LINEAR_OF_OLD = {"type": "linear", "factor": 4.0}

READ = {
    "nothing": ({}, Rotary(8)),
    "a base": ({"rope_theta": 5000}, Rotary(8, 5000)),
    "of transformers 5": ({"rope_parameters": {**LINEAR, "rope_theta": 5000}}, Rotary(8, 5000, 4)),
    "of transformers 4": ({"rope_theta": 5000, "rope_scaling": LINEAR_OF_OLD}, Rotary(8, 5000, 4)),
    "of both": (
        {"rope_theta": 5000, "rope_scaling": LINEAR_OF_OLD, "rope_parameters": {**LINEAR, "rope_theta": 5000}},
        Rotary(8, 5000, 4),
    ),
    "of neither": ({"rope_scaling": None, "rope_parameters": {}}, Rotary(8)),
}


@pytest.mark.parametrize("name", READ)
def test_either_table_is_read(name):
    values, expected = READ[name]
    assert read_rotary(values, 8) == expected


@pytest.mark.parametrize(
    "values",
    [
        {"rope_scaling": LINEAR, "rope_parameters": {"rope_type": "default"}},
        {"rope_scaling": LINEAR, "rope_parameters": {**LINEAR, "factor": 2.0}},
        {"rope_scaling": LINEAR, "rope_parameters": {**LINEAR, "rope_theta": 5000}},  # transformers loses this base
    ],
)
def test_rejects_contradictory_tables(values):
    with pytest.raises(CheckpointError, match=r"contradict each other\. Keep one of them"):
        read_rotary(values, 8)
