"""The tokenizer of a GGUF file as a ``tokenizers.Tokenizer``: the kinds of byte-level BPE that models of code use.

A file holds tokens and merges, but only the *name* of the pre-tokenizer that splits text (``tokenizer.ggml.pre``). The
names are defined in llama.cpp's ``llama-vocab.cpp``; the expressions are those of the models' own ``tokenizer.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from lilliput.errors import CheckpointError
from lilliput.teachers.gguf import GgufFile

_CONTROL, _USER_DEFINED = 3, 4
"""Types of tokens that are matched in a text before it is split; control tokens are markers, not text."""

END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")
"""Under ``tokenizer.ggml.``: the tokens that end a text, a turn, and a message that is followed by more."""

END_NAMES = (
    *("<|endoftext|>", "<|im_end|>"),  # Qwen (a file names only one of them); StarCoder, SmolLM
    *("<|end_of_text|>", "<|eot_id|>", "<|eom_id|>"),  # Llama 3
    *("<｜end▁of▁sentence｜>", "<|EOT|>"),  # DeepSeek-Coder
    *("</s>", "<EOT>", "▁<EOT>", "<|end|>", "<end_of_turn>"),
)
"""Control tokens that end a text in any file that has them. llama.cpp goes by their names too: for many models a file
states one end token where the checkpoint's ``generation_config.json`` has several."""

_DIGIT = r"\p{N}"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_WORD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_OTHER = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_EAST_ASIAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"


@dataclass(frozen=True)
class Splitting:
    """How text is split into words, within which tokens are merged.

    Attributes:
        expressions: regular expressions, each applied to the pieces the previous ones left; a match is a word.
        composed: whether the text is normalized to Unicode NFC first.
        whole_words: whether a word that is a token becomes that token, whatever the merges would make of it.
        begins: whether a text begins with the beginning-of-sequence token if the file does not say.
    """

    expressions: tuple[str, ...]
    composed: bool = False
    whole_words: bool = False
    begins: bool = False


_QWEN2 = Splitting((rf"{_WORD}|\p{{N}}|{_OTHER}",), composed=True)
_DIGITS_APART = Splitting((_DIGIT, _GPT2))
_LLAMA3 = Splitting((rf"{_WORD}|\p{{N}}{{1,3}}|{_OTHER}",), whole_words=True, begins=True)

SPLITTINGS: Mapping[str, Splitting] = {
    "gpt-2": Splitting((_GPT2,)),
    "starcoder": _DIGITS_APART,
    "refact": _DIGITS_APART,
    "codeshell": _DIGITS_APART,
    "smollm": _DIGITS_APART,
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
    "deepseek-coder": Splitting((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _EAST_ASIAN, _DIGIT)),
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "llama-bpe": _LLAMA3,
}
"""``tokenizer.ggml.pre`` -> the splitting it names."""


def read_tokenizer(file: GgufFile) -> Tokenizer:
    """The tokenizer of a model; its ids are the rows of the model's embedding.

    Raises:
        CheckpointError: the file has no tokenizer, or a damaged or unsupported one.
    """
    splitting = _splitting(file)
    tokens, merges = _texts(file, "tokens"), [merge.split(" ") for merge in _texts(file, "merges")]
    kinds = file.metadata.get("tokenizer.ggml.token_type", np.ones(len(tokens), np.int32))
    if len(tokens) > file.config["vocab_size"] or not isinstance(kinds, np.ndarray) or len(kinds) != len(tokens):
        raise _damaged(file, f"{len(tokens):,} tokens for an embedding of {file.config['vocab_size']:,} rows")
    if any(len(merge) != 2 for merge in merges):
        raise _damaged(file, "a merge that is not of two tokens")
    ids = {token: number for number, token in reversed(list(enumerate(tokens)))}
    try:
        tokenizer = Tokenizer(
            models.BPE(vocab=ids, merges=[(left, right) for left, right in merges], ignore_merges=splitting.whole_words)
        )
        tokenizer.add_tokens(_added(tokens, kinds == _USER_DEFINED, special=False))
        tokenizer.add_special_tokens(_added(tokens, kinds == _CONTROL, special=True))
    except Exception as error:  # the library raises bare Exception
        raise _damaged(file, str(error)) from error
    if splitting.composed:
        tokenizer.normalizer = normalizers.NFC()
    split = [pre_tokenizers.Split(Regex(expression), "isolated") for expression in splitting.expressions]
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, bytewise])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = _frame(file, tokens, splitting.begins)
    return tokenizer


def end_tokens(file: GgufFile) -> list[int]:
    """Ids that end a text: those that the file states, and its control tokens among :data:`END_NAMES`."""
    said = [file.metadata.get(f"tokenizer.ggml.{key}") for key in END_KEYS]
    tokens, kinds = (file.metadata.get(f"tokenizer.ggml.{key}") for key in ("tokens", "token_type"))
    named: list[int] = []
    if isinstance(tokens, list) and isinstance(kinds, np.ndarray) and len(tokens) == len(kinds):
        named = [int(place) for place in np.flatnonzero(kinds == _CONTROL) if tokens[place] in END_NAMES]
    return sorted({number for number in said if isinstance(number, int)}.union(named))


def _splitting(file: GgufFile) -> Splitting:
    kind, name = (file.metadata.get(f"tokenizer.ggml.{key}") for key in ("model", "pre"))
    if kind != "gpt2" or not isinstance(name, str) or name not in SPLITTINGS:
        raise CheckpointError(
            f"has a tokenizer of the kind '{kind}', which splits text as '{name}'; supported: 'gpt2' with "
            f"{', '.join(SPLITTINGS)}.",
            where=file.path,
            remedy="Give the tokenizer.json of the original checkpoint instead.",
        )
    return SPLITTINGS[name]


def _texts(file: GgufFile, name: str) -> list[str]:
    values = file.metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(values, list):
        raise _damaged(file, f"no list of strings as 'tokenizer.ggml.{name}'")
    return values


def _added(tokens: list[str], chosen: Any, special: bool) -> list[AddedToken]:
    """Tokens that are matched verbatim in a text."""
    return [AddedToken(tokens[place], normalized=False, special=special) for place in np.flatnonzero(chosen)]


def _frame(file: GgufFile, tokens: list[str], begins: bool) -> Any:
    """The post-processor that adds the beginning- and end-of-sequence tokens that the model expects."""
    around: dict[str, list[tuple[str, int]]] = {}
    for name, default in (("bos", begins), ("eos", False)):
        number = file.metadata.get(f"tokenizer.ggml.{name}_token_id")
        around[name] = []
        if file.metadata.get(f"tokenizer.ggml.add_{name}_token", default):
            if not isinstance(number, int) or not 0 <= number < len(tokens):
                raise _damaged(file, f"the number {number} for its token '{name}'")
            around[name] = [(tokens[number], number)]
    before, after = ([token for token, _ in around[name]] for name in ("bos", "eos"))
    bytewise = processors.ByteLevel(trim_offsets=False)
    if not before and not after:
        return bytewise
    frame = processors.TemplateProcessing(
        single=[*before, "$A", *after],
        pair=[*before, "$A", *after, *before, "$B", *after],
        special_tokens=sorted({*around["bos"], *around["eos"]}),
    )
    return processors.Sequence([bytewise, frame])


def _damaged(file: GgufFile, found: str) -> CheckpointError:
    return CheckpointError(
        f"has no valid tokenizer: {found}.",
        where=file.path,
        remedy="Get the file again, or give the tokenizer.json of the original checkpoint instead.",
    )
