"""Code of the standard library for calibration and perplexity."""

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from lilliput.data.code_texts import CALIBRATION, HELD_OUT, LARGEST, SMALLEST, code_files, read_texts, windows
from lilliput.errors import UserError


@pytest.fixture(scope="module")
def letters():
    """A tokenizer with one token per byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return tokenizer


def test_no_file_is_in_both_parts():
    calibration, held_out = set(code_files(CALIBRATION)), set(code_files(HELD_OUT))
    assert not calibration & held_out
    assert len(calibration) > len(held_out) > 50
    assert all(SMALLEST <= file.stat().st_size <= LARGEST for file in calibration | held_out)


def test_seed_affects_only_the_order():
    assert code_files(CALIBRATION, 1) == code_files(CALIBRATION, 1)
    assert code_files(CALIBRATION, 1) != code_files(CALIBRATION, 2)
    assert set(code_files(CALIBRATION, 1)) == set(code_files(CALIBRATION, 2))


def test_pieces_are_the_first_of_every_text_then_the_second(letters):
    rows = windows(["aaaabbbbcc", "xy", "ddddeeee"], letters, 4, 4)
    assert ["".join(letters.id_to_token(int(i)) for i in row) for row in rows] == ["aaaa", "dddd", "bbbb", "eeee"]


def test_reads_no_more_text_than_needed(letters):
    read = []

    def texts():
        for text in ("aaaa", "bbbb", "cccc"):
            read.append(text)
            yield text

    windows(texts(), letters, 2, 4)
    assert read == ["aaaa", "bbbb"]


def test_rejects_too_little_text(letters):
    with pytest.raises(UserError, match="1 pieces of 4 tokens, and 2 are needed"):
        windows(["aaaa", "bbb"], letters, 2, 4)


def test_truncation_and_padding_of_the_tokenizer_do_not_matter(letters):
    texts, limited = ["aaaabbbbcc", "xy", "ddddeeee"], Tokenizer.from_str(letters.to_str())
    limited.enable_truncation(6)
    limited.enable_padding(pad_id=0, pad_token="!", length=40)
    assert windows(texts, limited, 4, 4).tolist() == windows(texts, letters, 4, 4).tolist()
    assert limited.truncation["max_length"] == 6  # it is the caller's, and may go into an artifact
    assert limited.padding["length"] == 40


def test_control_tokens_are_text(letters):
    marked = Tokenizer.from_str(letters.to_str())
    marked.add_special_tokens([AddedToken("</s>", special=True)])
    assert windows(["x</s>y"], marked, 1, 6).tolist() == windows(["x</s>y"], letters, 1, 6).tolist()
    assert len(marked.encode("x</s>y").ids) == 3


def test_files_that_are_not_utf8_are_skipped(tmp_path):
    (tmp_path / "a.py").write_bytes(b"\xff\xfe")
    (tmp_path / "b.py").write_text("b = 1")
    assert list(read_texts([tmp_path / "a.py", tmp_path / "b.py"])) == ["b = 1"]
