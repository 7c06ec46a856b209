"""Data flow over a tokenizer's own pieces of the text: spans of characters and of tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.bpe import train_tokenizer
from lilliput.data.dataflow import GRAMMARS, data_flow
from lilliput.data.dataflow.layout import TextGraph, lay_over
from lilliput.data_flow import LANGUAGES, NODE, DataFlow, stacked

CODE = "int f(int ab) { /* größe ✓ */ int total = ab; return total; } // end"
TOKENIZER = train_tokenizer([CODE] * 3, 300)


def over(code, most=99, seen=512, longest=512):
    encoded = TOKENIZER.encode(code, add_special_tokens=False)
    tokens = np.array([0, *encoded.ids[: longest - 2], 2], np.int64)
    offsets = np.array(encoded.offsets, np.int64).reshape(-1, 2)
    return lay_over(TextGraph.of(data_flow(code, "c"), most), tokens, offsets, seen), encoded


def test_languages_match_the_grammars():
    assert list(LANGUAGES) == list(GRAMMARS)


@settings(deadline=None, max_examples=60)
@given(st.text(st.sampled_from("ab =;(){}\n\t+*é✓𝄞/\"'"), max_size=40), st.sampled_from(LANGUAGES))
def test_spans_give_the_tokens(code, language):
    flow = data_flow(code, language)
    assert [code[first:last] for first, last in flow.spans] == list(flow.tokens)


def test_each_node_spans_the_pieces_of_its_token():
    item, encoded = over(CODE)
    flow = data_flow(CODE, "c")
    assert item.ids[item.code :].tolist() == [NODE] * len(flow.nodes) and len(flow.nodes) == 4
    for node, (first, last) in zip(flow.nodes, item.spans.tolist(), strict=True):
        begin, end = encoded.offsets[first - 1][0], encoded.offsets[last - 2][1]
        assert CODE[begin:end] == node.name
    assert item.edges.tolist() == [[place, source] for place, node in enumerate(flow.nodes) for source in node.sources]


@pytest.mark.parametrize("limit", ["seen", "longest"])
def test_nodes_beyond_the_visible_tokens_are_dropped(limit):
    whole, _ = over(CODE)
    reach = int(whole.spans[2, 1])  # the end of the third node's token is the last visible place
    options = {"seen": {"seen": reach}, "longest": {"longest": reach + 1}}[limit]
    item, _ = over(CODE, **options)
    np.testing.assert_array_equal(item.spans, whole.spans[:3])
    assert item.edges.max() < 3 and len(item.edges) == (whole.edges < 3).all(1).sum()
    closer, _ = over(CODE, **{name: value - 1 for name, value in options.items()})
    assert len(closer.spans) == 2


def test_only_the_first_nodes_are_kept():
    item, _ = over(CODE, most=2)
    np.testing.assert_array_equal(item.spans, over(CODE)[0].spans[:2])
    assert item.edges.tolist() == []


def test_stacked_nodes_are_padded_to_a_multiple_of_at_least_one():
    some, none = over(CODE)[0], over("")[0]
    spans, edges = stacked([some, none], 3)
    assert spans.shape == (2, 6, 2) and edges.shape == (2, 6, 6)
    np.testing.assert_array_equal(spans[0, :4], some.spans)
    assert not spans[0, 4:].any() and not spans[1].any() and not edges[1].any()
    assert sorted(zip(*np.nonzero(edges[0]), strict=True)) == sorted(map(tuple, some.edges.tolist()))
    assert stacked([none], 4)[0].shape == (1, 4, 2)


@pytest.mark.parametrize(("nodes", "language"), [(0, "c"), (257, "c"), (True, "c"), (8, "cobol"), (8, None)])
def test_rejects_invalid_data_flow(nodes, language):
    with pytest.raises(ValueError, match="of the data flow must be"):
        DataFlow(nodes, language)
