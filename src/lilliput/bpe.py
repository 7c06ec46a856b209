"""Tokenizers for students and for teachers trained from scratch: byte-level BPE, trained on the task's functions.

White space separates tokens and is dropped. Merges stay within an identifier, a number or a run of punctuation, so that
``);`` or ``->`` can become one token. They are learned once, for the largest vocabulary; a smaller one is its prefix.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
"""Special tokens; the index of each is its id, as in RoBERTa."""

PIECES = r"[\p{L}_]+|\p{N}+|[^\s\p{L}\p{N}_]+"
"""Pieces that BPE merges within: words, numbers, runs of punctuation."""

SMALLEST_VOCABULARY = len(SPECIAL) + 256
"""The special tokens and the 256 bytes."""


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """Learn merges until there are ``vocabulary`` tokens (fewer if the texts run out of pairs).

    Args:
        texts: functions to learn from.
        vocabulary: number of tokens, the special tokens and the 256 bytes included.
    """
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\s+"), "removed"),
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    start, end = SPECIAL[0], SPECIAL[2]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, 0), (end, 2)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def truncate_tokenizer(tokenizer: Tokenizer, vocabulary: int) -> Tokenizer:
    """The tokenizer with only its first ``vocabulary`` tokens, as if trained to that size."""
    description = json.loads(tokenizer.to_str())
    model = description["model"]
    model["vocab"] = {token: index for token, index in model["vocab"].items() if index < vocabulary}
    kept = model["vocab"]
    model["merges"] = [pair for pair in model["merges"] if "".join(pair) in kept]
    return Tokenizer.from_str(json.dumps(description))


def tokenizer_bytes(tokenizer: Tokenizer) -> bytes:
    """The content of ``tokenizer.json``, as compact JSON."""
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")).encode()
