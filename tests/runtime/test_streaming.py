"""Streamed pieces add up to the whole text, hold whole characters, and stop where they should."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from lilliput.runtime.streaming import TextStream, whole_end


def byte_level() -> Tokenizer:
    """GPT-2's kind of tokenizer."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["def f(a):\n    return a + 1  # no more\n", "naïve £ 漢字 🙂"] * 3, trainer)
    return tokenizer


def byte_fallback() -> Tokenizer:
    """Llama's kind: unknown characters become bytes, and decoding drops the first space."""
    words = ["<unk>", "▁", *"abcdefo+", "▁b", "▁f", "oo", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary = {word: index for index, word in enumerate(words)}
    merges = [("▁", "b"), ("▁", "f"), ("o", "o")]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(parts)
    return tokenizer


TOKENIZER = byte_level()
KINDS = {"byte level": TOKENIZER, "byte fallback": byte_fallback()}


def streamed(text, stops=(), tokenizer=TOKENIZER):
    stream = TextStream(tokenizer, stops)
    pieces = [stream.push(token) for token in tokenizer.encode(text, add_special_tokens=False).ids]
    return [*pieces, stream.finish()], stream


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300, deadline=None)
@given(text=st.text(st.one_of(st.sampled_from("abc foo \n\té£漢字🙂👩‍🚀\u0301"), st.characters()), max_size=40))
def test_pieces_add_up_and_hold_whole_characters(kind, text):
    tokenizer, text = KINDS[kind], text.encode("utf-8", "ignore").decode()
    whole = tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids)
    pieces, stream = streamed(text, tokenizer=tokenizer)
    assert "".join(pieces) == stream.text == whole
    if "\N{REPLACEMENT CHARACTER}" not in whole:
        assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)


@settings(max_examples=300, deadline=None)
@given(st.text("ab\n", max_size=30), st.lists(st.text("ab\n", min_size=1, max_size=4), min_size=1, max_size=3))
def test_text_ends_before_the_first_stop_string(text, stops):
    places = [(place + len(stop), place) for stop in stops if (place := text.find(stop)) >= 0]
    pieces, stream = streamed(text, stops)
    assert "".join(pieces) == stream.text == (text[: min(places)[1]] if places else text)
    assert stream.stopped == bool(places)


def test_text_is_emitted_as_soon_as_it_is_certain():
    stream = TextStream(TOKENIZER, ["\ndef"])
    pieces = [stream.push(token) for token in TOKENIZER.encode("return a\nx", add_special_tokens=False).ids]
    assert "".join(pieces) == "return a\nx"
    assert pieces[0]


@pytest.mark.parametrize("garbage", [[0xF0], [0xF0, 0x9F], [0xFF, 0xFE, 0x41], [0xE6, 0x41, 0x41, 0x41, 0x41, 0x41]])
def test_invalid_bytes_become_replacement_characters(garbage):
    ids = [TOKENIZER.token_to_id(_letter(byte)) for byte in garbage]
    stream = TextStream(TOKENIZER)
    assert "".join([*(stream.push(i) for i in ids), stream.finish()]) == TOKENIZER.decode(ids)


def _letter(byte):
    """The letter that stands for a byte in byte-level BPE (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    if byte in plain:
        return chr(byte)
    return chr(256 + [b for b in range(256) if b not in plain].index(byte))


def test_space_after_a_character_in_bytes_is_kept():
    """Also after a prompt that ends in such a character."""
    tokenizer = KINDS["byte fallback"]
    assert "".join(streamed("b\u20ac foo", tokenizer=tokenizer)[0]) == "b\u20ac foo"
    before, after = tokenizer.encode("b\u20ac").ids, tokenizer.encode("foo").ids
    assert tokenizer.decode(whole_end(tokenizer, before)) == "\u20ac"
    stream = TextStream(tokenizer, context=whole_end(tokenizer, before))
    assert "".join([*map(stream.push, after), stream.finish()]) == " foo"


def test_invalid_bytes_at_the_end_are_never_whole():
    tokenizer = KINDS["byte fallback"]
    broken = [tokenizer.token_to_id("<0xE2>")] * 6
    assert list(whole_end(tokenizer, broken)) == []
    assert list(whole_end(tokenizer, [])) == []
