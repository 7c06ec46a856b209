"""Calibration data of generators, and what an encoder and a decoder read of it."""

import hashlib
import json

import numpy as np
import pytest
from tokenizers import Tokenizer

from lilliput.data.code_texts import CALIBRATION, code_files, read_texts, windows
from lilliput.errors import DataError, UserError
from lilliput.quantize.calibration import Calibration, Tokens, digest
from tests.verbs.tiny_checkpoints import tiny_tokenizer

START = 7
CODE = "def add(a, b):\n    return a + b\n"


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def table(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def ids_of(tokens):
    return [row[real].tolist() for row, real in zip(tokens.ids, tokens.mask, strict=True)]


def test_decoder_reads_pieces_of_the_standard_library(tokenizer):
    (found,) = Calibration(pieces=3, tokens=24).data(tokenizer, None)
    expected = windows(read_texts(code_files(CALIBRATION, 0)), tokenizer, 3, 24)
    np.testing.assert_array_equal(found.ids, expected)
    assert found.mask.all()
    assert digest([found]) == hashlib.sha256(expected.tobytes()).hexdigest()


def test_encoder_decoder_writes_its_input(tokenizer):
    """The target is the source, shifted right by the start token."""
    (alone,) = Calibration(pieces=3, tokens=24).data(tokenizer, 16)
    source, target = Calibration(pieces=3, tokens=24).data(tokenizer, 16, START)
    np.testing.assert_array_equal(source.ids, alone.ids)
    assert source.ids.shape == target.ids.shape == (3, 16)  # no more than there are positions
    np.testing.assert_array_equal(target.ids[:, 1:], source.ids[:, :-1])
    assert (target.ids[:, 0] == START).all()
    assert digest([source, target]) != digest([source])


def test_table_may_have_sources_and_targets(tokenizer, tmp_path):
    texts = [(CODE, "Adds."), ("x = 1\n" * 40, CODE), ("y", "z")]
    rows = [{"source": source, "target": target, "id": 1} for source, target in texts]
    files = (table(tmp_path / "one.jsonl", rows[:1]), table(tmp_path / "other.jsonl", rows[1:]))
    source, target = Calibration(files, 2, 32).data(tokenizer, None, START)
    encoded = [tuple(tokenizer.encode(text).ids[:32] for text in pair) for pair in texts[:2]]
    assert ids_of(source) == [one for one, _ in encoded]
    assert ids_of(target) == [[START, *other[:-1]] for _, other in encoded]
    assert not source.ids[~source.mask].any()
    assert source.ids.shape[1] == 32


def test_truncation_and_padding_of_the_tokenizer_do_not_matter(tokenizer, tmp_path):
    limited = Tokenizer.from_str(tokenizer.to_str())
    limited.enable_truncation(6)
    limited.enable_padding(length=64)
    path = table(tmp_path / "pairs.jsonl", [{"source": CODE, "target": "Adds."}, {"source": "x", "target": CODE}])
    for how, start in ((Calibration(pieces=3, tokens=24), None), (Calibration((path,), 2, 16), START)):
        expected, found = how.data(tokenizer, None, start), how.data(limited, None, start)
        assert digest(found) == digest(expected)
        assert min(len(row) for row in ids_of(found[0])) < 16 or start is None


def test_tables_of_functions_and_sources_give_both_sides(tokenizer, tmp_path):
    path = table(tmp_path / "functions.jsonl", [{"code": CODE}, {"code": CODE.replace("add", "sum")}])
    source, target = Calibration((path,), 1, 24).data(tokenizer, None, START)
    np.testing.assert_array_equal(target.ids[:, 1:], source.ids[:, :-1])
    (tmp_path / "module.py").write_text(CODE * 4)
    source, target = Calibration((tmp_path / "module.py",), 2, 16).data(tokenizer, None, START)
    np.testing.assert_array_equal(target.ids[:, 1:], source.ids[:, :-1])


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ([{"source": "a", "target": "b"}], UserError, "give 1 pairs of source and target, and 2 are needed"),
        ([{"source": "a", "target": "b"}, {"source": "a"}], DataError, r"line 2: has no column 'target'"),
        ([{"source": "a", "target": " "}], DataError, "'target' is empty"),
        ([{"source": ["a"], "target": "b"}], DataError, "'source' is not a string"),
    ],
)
def test_rejects_invalid_pairs(rows, error, words, tokenizer, tmp_path):
    path = table(tmp_path / "pairs.jsonl", rows)
    with pytest.raises(error, match=words):
        Calibration((path,), 2, 16).data(tokenizer, None, START)


def test_rejects_a_file_without_pairs_beside_one_with_pairs(tokenizer, tmp_path):
    pairs = table(tmp_path / "pairs.jsonl", [{"source": "a", "target": "b"}])
    functions = table(tmp_path / "functions.jsonl", [{"code": CODE}])
    with pytest.raises(DataError, match=r"functions\.jsonl.*has no column 'source'"):
        Calibration((pairs, functions), 2, 16).data(tokenizer, None, START)


def test_padding_is_distinguished_from_tokens():
    one, other = Tokens.of([[1, 2, 0], [3]]), Tokens.of([[1, 2], [3]])
    assert one.ids.tolist() == [[1, 2, 0], [3, 0, 0]]
    assert one.mask.tolist() == [[True] * 3, [True, False, False]]
    assert digest([one]) != digest([other]) != digest([Tokens.of([[1, 2], [3, 0]])])
