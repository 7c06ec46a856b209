"""Encoders from scratch: the specification, the tokenizer, the seed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_teachers import functions

from lilliput.bpe import train_tokenizer
from lilliput.errors import UserError
from lilliput.search.space import Architecture
from lilliput.teachers.huggingface import position_limit, tokenizing
from lilliput.teachers.scratch import DEFAULT, build_scratch, is_scratch, parse_scratch

TOKENIZER = train_tokenizer(functions(20), 300)
TINY = "scratch:layers=1,hidden=16,heads=2,intermediate=32,vocabulary=300"


def test_specifications_are_recognized():
    assert parse_scratch(TINY) == Architecture(1, 16, 2, 32, 300)
    assert parse_scratch("scratch") == parse_scratch("scratch:") == DEFAULT
    assert parse_scratch("scratch: layers = 2") == Architecture(2, 384, 6, 1536, 4000)
    assert is_scratch(TINY)
    assert not is_scratch("microsoft/scratch")
    assert not is_scratch("scratchpad")


@given(
    st.builds(
        Architecture, st.integers(1, 99), st.integers(1, 999), st.just(1), st.integers(1, 999), st.integers(260, 9999)
    )
)
def test_specification_gives_the_sizes(size):
    text = ",".join(f"{name}={value}" for name, value in size.as_dict().items())
    assert parse_scratch(f"scratch:{text}") == size


@pytest.mark.parametrize(
    ("base", "text"),
    [
        ("scratch:depth=3", "'depth' is not a size; these are: layers, hidden, heads"),
        ("scratch:layers=many", "layers must be a positive whole number; it is 'many'"),
        ("scratch:layers=1,layers=2", "layers is given twice"),
        ("scratch:layers=0", "layers must be a positive whole number"),
        ("scratch:layers", "layers must be a positive whole number; it is ''"),
        ("scratch:hidden=100,heads=3", r"hidden \(100\) must be a multiple of heads \(3\)"),
        ("scratch:vocabulary=100", "vocabulary must be at least 260"),
        ("scratch:hidden=10000000", "hidden must be at most 16,384"),
        ("scratch:vocabulary=99999999999999999999", "vocabulary must be at most 1,000,000"),
        (f"scratch:layers={'9' * 5000}", "layers must be at most 1,000"),
        ("scratch:layers=٣", "layers must be a positive whole number"),
        ("scratch:layers=1000,hidden=8192,heads=64", "these sizes make .* weights; at most 1,000,000,000"),
    ],
)
def test_rejects_invalid_specifications(base, text):
    with pytest.raises(UserError, match=text) as caught:
        parse_scratch(base)
    assert "scratch:layers=4,hidden=384" in str(caught.value)


def test_equal_texts_give_equal_tokenizers():
    texts = functions(300)
    first, second = train_tokenizer(texts, 800), train_tokenizer(texts, 800)
    assert json.loads(first.to_str()) == json.loads(second.to_str())
    assert first.get_vocab_size() <= 800


PRINTED = st.characters(codec="utf-8", exclude_categories=["C", "Z"])


@given(st.text(st.one_of(PRINTED, st.sampled_from(" \t\n")), max_size=60).filter(lambda text: "<" not in text))
def test_any_text_survives_except_for_its_white_space(text):
    ids = TOKENIZER.encode(text).ids
    assert (ids[0], ids[-1]) == (0, 2)
    assert 3 not in ids
    assert "".join(TOKENIZER.decode(ids).split()) == "".join(text.split())


def test_weights_depend_only_on_the_seed():
    texts = functions(20)
    first, again, other = (build_scratch(TINY, texts, seed) for seed in (1, 1, 2))
    states = [base.encoder.state_dict() for base in (first, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(*(state["embeddings.word_embeddings.weight"] for state in states[::2]))
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert position_limit(first.encoder) == 512
    assert position_limit(build_scratch(TINY, texts, 0, max_tokens=600).encoder) == 600
    assert first.pad_id == 1


def test_inputs_are_truncated_between_both_frame_tokens():
    base = build_scratch(TINY, functions(20), 0)
    long, short = tokenizing(base.tokenizer, 10)(["int a;" * 50, "x"])
    assert len(long) == 10
    assert (long[0], long[-1], short[0], short[-1]) == (0, 2, 0, 2)
    assert long.dtype == np.int64
    assert tokenizing(base.tokenizer, 10)([]) == []
