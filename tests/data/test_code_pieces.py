"""Pieces of files: their tokens, which of them are code, and the order of files."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from lilliput.data.code_pieces import SHORTEST, code_pieces
from lilliput.data.languages import LANGUAGES
from lilliput.data.repository import Source

PYTHON = LANGUAGES["python"]
CODE = "x = 'é' # why\n\n'''a\nb'''\nreturn y"


@pytest.fixture
def letters():
    """A tokenizer with one token per byte."""
    alphabet = {token: number for number, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE({**alphabet, "<s>": 256}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return tokenizer


def test_code_tokens_contain_a_character_of_code(letters):
    (piece,) = code_pieces([Source("a.py", CODE, PYTHON)], letters, 1, 100)
    marked = bytes(byte for byte, code in zip(CODE.encode(), piece.code, strict=True) if code)
    assert marked.decode() == "x='é'returny"
    assert len(piece.ids) == len(CODE.encode())


def test_files_take_turns_and_pieces_do_not_overlap(letters):
    long, short = "".join(f"a{number:04}" for number in range(100)), "b" * 40
    sources = [Source("long.py", long, PYTHON), Source("short.py", short, PYTHON), Source("none.py", "c", PYTHON)]
    found = code_pieces(sources, letters, 100, 64)
    assert [piece.name for piece in found[:3]] == ["long.py", "short.py", "long.py"]
    assert sum(len(piece.ids) for piece in found) == 500 - 500 % 64 + (500 % 64) + 40
    assert all(SHORTEST <= len(piece.ids) <= 64 for piece in found)
    starts = {tuple(piece.ids[:10]) for piece in found}
    assert len(starts) == len(found) == 9
    assert [piece.name for piece in code_pieces(sources, letters, 2, 64)] == ["long.py", "short.py"]
    others = code_pieces(sources, letters, 100, 64, seed=1)
    assert {tuple(piece.ids[:10]) for piece in others} == starts
    assert not all(np.array_equal(a.ids, b.ids) for a, b in zip(found, others, strict=True) if len(a.ids) == len(b.ids))


def test_each_piece_begins_with_the_template_of_texts(letters):
    letters.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 256)])
    found = code_pieces([Source("a.py", "x" * 100, PYTHON)], letters, 9, 33)
    assert [int(piece.ids[0]) for piece in found] == [256] * 3
    assert [bool(piece.code[0]) for piece in found] == [False] * 3
    assert max(len(piece.ids) for piece in found) == 33
