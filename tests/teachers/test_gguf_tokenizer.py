"""Tokenizers from GGUF: the ids and texts are those of the tokenizer written into the file."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from lilliput.errors import CheckpointError
from lilliput.teachers.generator import open_generator
from lilliput.teachers.gguf import GgufFile
from lilliput.teachers.gguf_tokenizer import SPLITTINGS, end_tokens, read_tokenizer

gguf = pytest.importorskip("gguf")
from tiny_gguf import add_weights, finish, random_model, start  # noqa: E402

MARKERS = ["<|begin|>", "<|end|>"]
OWN_WORD = "<tool_call>"
CODE = [
    "def fibonacci(n):\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n",
    "for (int i = 0; i < 1024; ++i) {\r\n\tsum += values[i] * 3.14159;\r\n}\r\n\r\n",
    "class Café(Exception):\n    '''It's here, we'll see; I'M SURE THEY'RE fine.'''\n    prix = 12345678\n",
    "x = [1000000, 20, 333]  # 中文 注释 한국어 ⅷ ½ ²\n\n\n   \n",
]
TEXTS = [
    *CODE,
    "",
    " ",
    "\n",
    "   leading, and trailing   ",
    "naïve cafe\u0301 ﬁ",
    f"{MARKERS[0]}def f():{MARKERS[1]}\n{OWN_WORD}{{}}</tool_call>",
    "tab\tand\x0b\x0cothers\u00a0\u2003\u3000.",
    "don't DON'T we'Ll 'tis",
    "a1b22c333d4444e55555",
    "🙂👩‍💻 emoji",
]


def split(expression):
    return pre_tokenizers.Split(Regex(expression), "isolated")


DIGITS = pre_tokenizers.Digits(individual_digits=True)
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PUBLISHED = {
    "gpt-2": GPT2,
    "smollm": pre_tokenizers.Sequence([DIGITS, GPT2]),
    "starcoder": pre_tokenizers.Sequence([DIGITS, GPT2]),
    "qwen2": pre_tokenizers.Sequence([split(QWEN2), BYTES]),
    "llama-bpe": pre_tokenizers.Sequence([split(QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")), BYTES]),
    "deepseek-coder": pre_tokenizers.Sequence(
        [split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"), DIGITS, BYTES]
    ),
}
"""How the ``tokenizer.json`` of a model of each kind splits text."""


def trained(name):
    """A tokenizer as models of that kind have it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = PUBLISHED[name], decoders.ByteLevel()
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=450, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CODE * 3, trainer)
    tokenizer.add_special_tokens([AddedToken(marker, normalized=False, special=True) for marker in MARKERS])
    tokenizer.add_tokens([AddedToken(OWN_WORD, normalized=False, special=False)])
    if name == "llama-bpe":
        tokenizer.model.ignore_merges = True
        tokenizer.post_processor = framed(tokenizer, [MARKERS[0], "$A"])
    return tokenizer


def framed(tokenizer, single):
    known = [(marker, tokenizer.token_to_id(marker)) for marker in MARKERS]
    return processors.TemplateProcessing(single=single, special_tokens=known)


def stored_fields(tokenizer, pre):
    """The fields that the converter writes for a tokenizer."""
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens = sorted(ids, key=ids.get)
    kinds = [3 if token in MARKERS else 4 if token == OWN_WORD else 1 for token in tokens]
    merges = [" ".join(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    return {
        "model": "gpt2",
        "pre": pre,
        "tokens": [*tokens, "[PAD]"],
        "token_type": [*kinds, 5],
        "merges": merges,
        "bos_token_id": ids[MARKERS[0]],
        "eos_token_id": ids[MARKERS[1]],
    }


def opened(path, fields, rows=500):
    """Write a tiny model with these fields and open it."""
    model = random_model("qwen2", hidden_size=8, intermediate_size=8, num_hidden_layers=1, vocab_size=rows)
    writer = start(path, "qwen2", model.config)
    for name, value in fields.items():
        kind = gguf.GGUFValueType.get_type(value)
        kind = gguf.GGUFValueType.UINT32 if kind == gguf.GGUFValueType.INT32 else kind
        writer.add_key_value(f"tokenizer.ggml.{name}", value, kind)
    add_weights(writer, "qwen2", model)
    finish(writer)
    return GgufFile(path)


@pytest.fixture(scope="module", params=PUBLISHED)
def pair(request, tmp_path_factory):
    """A tokenizer, and the same tokenizer read from a file."""
    written = trained(request.param)
    path = tmp_path_factory.mktemp("model") / "m.gguf"
    return written, read_tokenizer(opened(path, stored_fields(written, request.param)))


def assert_same(pair, text):
    written, found = pair
    assert found.encode(text).ids == written.encode(text).ids
    assert found.encode(text, add_special_tokens=False).tokens == written.encode(text, add_special_tokens=False).tokens
    ids = written.encode(text).ids
    for skip in (True, False):
        assert found.decode(ids, skip_special_tokens=skip) == written.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("text", TEXTS)
def test_ids_and_texts_match_the_written_tokenizer(pair, text):
    assert_same(pair, text)


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("aAzé中한1½²_ \t\n\r'.,(){}<>=+s̈t🙂|"), max_size=40))
def test_any_text_gives_the_same_ids(pair, text):
    assert_same(pair, text)


def test_offsets_cover_the_text(pair):
    text = "def f(n): return n"
    encoding = pair[1].encode(text, add_special_tokens=False)
    assert "".join(text[first:last] for first, last in encoding.offsets) == text


def test_tokenizer_can_be_saved_and_read_again(pair, tmp_path):
    pair[1].save(str(tmp_path / "tokenizer.json"))
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in TEXTS:
        assert again.encode(text).ids == pair[1].encode(text).ids


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("after", [True, False])
def test_file_decides_which_tokens_frame_a_text(before, after, tmp_path):
    written = trained("llama-bpe")
    fields = stored_fields(written, "llama-bpe") | {"add_bos_token": before, "add_eos_token": after}
    found = read_tokenizer(opened(tmp_path / "m.gguf", fields))
    written.post_processor = framed(written, [*MARKERS[: int(before)], "$A", *MARKERS[1 : 1 + int(after)]])
    for text in TEXTS:
        assert found.encode(text).ids == written.encode(text).ids


REFUSALS = {
    "sentencepiece": ({"model": "llama"}, r"of the kind 'llama', .* supported: 'gpt2' with gpt-2, .*tokenizer\.json"),
    "unknown splitting": ({"pre": "falcon"}, "splits text as 'falcon'; supported: 'gpt2' with gpt-2"),
    "no splitting": ({"pre": None}, "splits text as 'None'"),
    "no tokens": ({"tokens": None}, r"no list of strings as 'tokenizer\.ggml\.tokens'"),
    "tokens that are numbers": ({"tokens": [1, 2, 3]}, r"no list of strings as 'tokenizer\.ggml\.tokens'"),
    "no merges": ({"merges": None}, r"no list of strings as 'tokenizer\.ggml\.merges'"),
    "a merge of one": ({"merges": ["ab"]}, "a merge that is not of two tokens"),
    "a merge of three": ({"merges": ["a b c"]}, "a merge that is not of two tokens"),
    "a merge of strangers": ({"merges": ["中 文"]}, r"valid tokenizer: .*Get the file again"),
    "fewer types": ({"token_type": [1, 1]}, "tokens for an embedding of 500 rows"),
    "no such beginning": ({"bos_token_id": 9999, "add_bos_token": True}, "the number 9999 for its token 'bos'"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_rejects_unreadable_tokenizers(name, tmp_path):
    changes, message = REFUSALS[name]
    fields = stored_fields(trained("gpt-2"), "gpt-2") | changes
    file = opened(tmp_path / "m.gguf", {key: value for key, value in fields.items() if value is not None})
    with pytest.raises(CheckpointError, match=rf"m\.gguf: .*{message}"):
        read_tokenizer(file)


def test_rejects_more_tokens_than_embedding_rows(tmp_path):
    file = opened(tmp_path / "m.gguf", stored_fields(trained("gpt-2"), "gpt-2"), rows=100)
    with pytest.raises(CheckpointError, match="tokens for an embedding of 100 rows"):
        read_tokenizer(file)


def test_token_types_are_optional(tmp_path):
    fields = stored_fields(trained("gpt-2"), "gpt-2")
    del fields["token_type"]
    assert np.size(read_tokenizer(opened(tmp_path / "m.gguf", fields)).encode("def f").ids) > 0


def opened_with(path, **changes):
    """Open a file with two more control tokens, one more word, and other fields."""
    fields = stored_fields(trained("qwen2"), "qwen2")
    fields["tokens"] += ["<|endoftext|>", "<|other|>", "<|im_end|>"]
    fields["token_type"] += [3, 3, 1]
    fields |= changes
    return opened(path, {key: value for key, value in fields.items() if value is not None})


def test_end_tokens_are_those_of_the_file_and_well_known_control_tokens(tmp_path):
    file = opened_with(tmp_path / "m.gguf", eot_token_id=7, eom_token_id=5)
    tokens = file.metadata["tokenizer.ggml.tokens"]
    ends = sorted([5, 7, tokens.index(MARKERS[1]), tokens.index("<|endoftext|>")])
    assert end_tokens(file) == ends  # not '<|im_end|>', which is a word here
    assert open_generator(tmp_path / "m.gguf").end == tuple(ends)


@pytest.mark.parametrize(
    "changes", [{"token_type": None}, {"token_type": [3, 3]}, {"tokens": None}, {"tokens": [1, 2]}]
)
def test_well_known_names_without_a_type_are_not_end_tokens(changes, tmp_path):
    file = opened_with(tmp_path / "m.gguf", **changes)
    assert end_tokens(file) == [file.metadata["tokenizer.ggml.eos_token_id"]]


def test_every_known_splitting_can_be_built():
    assert set(PUBLISHED) <= set(SPLITTINGS)
    for splitting in SPLITTINGS.values():
        for expression in splitting.expressions:
            split(expression)
