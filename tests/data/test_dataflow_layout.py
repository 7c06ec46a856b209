"""The layout of code and data flow: spans, positions, and the attention mask."""

from __future__ import annotations

import numpy as np
import pytest

from lilliput.data.dataflow import data_flow
from lilliput.data.dataflow.layout import Room, lay_out
from lilliput.data_flow import NODE, GraphInput

CODE = "int f(int a) { int total = a; return total; }"
"""Tokens: int f ( int a ) { int total = a ; return total ; }, with nodes a(4), total(8), a(10), total(13)."""


def laid_out(room: Room) -> GraphInput:
    """``total`` is two pieces, every other token one; ids are 10 + the token's index, or 50 + for second pieces."""
    flow = data_flow(CODE, "c")
    pieces = [[10 + place, 50 + place] if token == "total" else [10 + place] for place, token in enumerate(flow.tokens)]
    return lay_out(flow, pieces, (0, 2), room)


def test_everything_fits():
    item = laid_out(Room(30, 8))
    body = [10, 11, 12, 13, 14, 15, 16, 17, 18, 58, 19, 20, 21, 22, 23, 63, 24, 25]
    assert item.ids.tolist() == [0, *body, 2, NODE, NODE, NODE, NODE]
    assert item.code == 20
    assert item.positions.tolist() == [*range(2, 22), 0, 0, 0, 0]
    assert item.spans.tolist() == [[5, 6], [9, 11], [12, 13], [15, 17]]
    assert item.edges.tolist() == [[1, 2], [2, 0], [3, 1]]


def test_mask_follows_the_paper():
    item = laid_out(Room(30, 8))
    length, code = len(item.ids), item.code
    edges = {(1, 2), (2, 0), (3, 1)}

    def attends(row: int, column: int) -> bool:
        """Section 4.2, equation 4, term by term."""
        if row < code and column < code:
            return True
        if row in (0, code - 1):
            return True
        if row >= code and column >= code:
            return (row - code, column - code) in edges
        node, piece = (row, column) if row >= code else (column, row)
        first, last = item.spans[node - code]
        return bool(first <= piece < last)

    expected = [[attends(row, column) for column in range(length)] for row in range(length)]
    np.testing.assert_array_equal(item.mask, expected)
    assert item.mask[code + 1, [9, 10]].all() and item.mask[code + 1].sum() == 3


def test_code_and_nodes_are_truncated_to_the_room():
    item = laid_out(Room(code=8, nodes=4))  # 12 places: 4 for nodes, 8 for code, including 2 for the frame
    assert item.ids.tolist() == [0, 10, 11, 12, 13, 14, 15, 2, NODE, NODE, NODE, NODE]
    assert item.spans.tolist() == [[5, 6], [0, 0], [0, 0], [0, 0]]
    assert item.mask[9].tolist() == [False] * 10 + [True, False]  # only the node it comes from remains


def test_partly_truncated_token_has_no_span():
    item = laid_out(Room(code=11, nodes=4))  # 9 pieces: the first piece of "total" is the last that fits
    assert item.ids[9] == 18
    assert item.spans.tolist() == [[5, 6], [0, 0], [0, 0], [0, 0]]


def test_nodes_use_the_room_that_code_leaves():
    assert len(laid_out(Room(code=22, nodes=1)).ids) == 23
    assert laid_out(Room(code=22, nodes=1)).edges.tolist() == [[1, 2], [2, 0]]  # the fourth node is truncated


def test_without_nodes_only_code_remains():
    item = laid_out(Room(30, 8))
    bare = item.without_nodes()
    np.testing.assert_array_equal(bare.ids, item.ids[:20])
    assert bare.mask.shape == (20, 20) and bare.mask.all()


@pytest.mark.parametrize("code", ["", "return;"])
def test_code_without_data_flow(code):
    flow = data_flow(code, "c")
    item = lay_out(flow, [[5]] * len(flow.tokens), (0, 2), Room(30, 8))
    assert item.ids.tolist() == [0, *[5] * len(flow.tokens), 2]
    assert item.mask.all()
