"""The student's tokenizer: its prefixes, its framing, and that no byte is lost."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from lilliput.bpe import (
    SMALLEST_VOCABULARY,
    tokenizer_bytes,
    train_tokenizer,
    truncate_tokenizer,
)
from lilliput.runtime.tokens import CodeTokenizer, length_buckets

TEXTS = [f"int f{i}(char *p) {{ return p[{i}] + g_{i % 7}(p); }}" for i in range(200)]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 500)


def test_truncated_tokenizer_equals_one_trained_to_that_size(tokenizer):
    small = truncate_tokenizer(tokenizer, 350)
    trained = train_tokenizer(TEXTS, 350)
    assert small.get_vocab() == trained.get_vocab()
    assert [small.encode(text).ids for text in TEXTS] == [trained.encode(text).ids for text in TEXTS]


@settings(deadline=None)
@given(st.text(max_size=80))
def test_every_byte_but_white_space_survives(text):
    small = train_tokenizer(["x"], SMALLEST_VOCABULARY)
    ids = small.encode(text, add_special_tokens=False).ids
    assert "".join(small.decode(ids).split()) == "".join(text.split())


def test_stored_file_gives_the_same_ids(tokenizer, tmp_path):
    content = tokenizer_bytes(tokenizer)
    assert b"\n" not in content
    assert json.loads(content)["model"]["vocab"]["<pad>"] == 1
    (tmp_path / "tokenizer.json").write_bytes(content)
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert [again.encode(t).ids for t in TEXTS] == [tokenizer.encode(t).ids for t in TEXTS]


def test_inputs_are_framed_and_truncated(tokenizer):
    code = CodeTokenizer(tokenizer, max_tokens=10)
    short, long = code.encode(["x", "a b c d e f g h i j k l m n o p"])
    assert short[0] == long[0] == 0
    assert short[-1] == long[-1] == 2
    assert len(long) == 10


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(64, 4096))
def test_buckets_hold_every_input_once_within_the_budget(lengths, budget):
    buckets = list(length_buckets(lengths, budget))
    assert sorted(i for bucket in buckets for i in bucket) == list(range(len(lengths)))
    for bucket in buckets:
        longest = max(lengths[i] for i in bucket)
        assert len(bucket) == 1 or len(bucket) * longest <= budget
        assert all(lengths[i] * 8 >= longest * 7 for i in bucket)
