"""A teacher's encoder from scratch: ``scratch:layers=4,hidden=384,heads=6,intermediate=1536,vocabulary=4000``.

For tasks without a suitable pretrained encoder, and for tests: a RoBERTa with random weights, and a byte-level BPE
tokenizer trained on the task's functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

from lilliput.bpe import SMALLEST_VOCABULARY, SPECIAL, train_tokenizer
from lilliput.errors import UserError
from lilliput.search.cost import parameters
from lilliput.search.space import Architecture
from lilliput.teachers.huggingface import BaseEncoder

SCHEME = "scratch"
DEFAULT = Architecture(layers=4, hidden=384, heads=6, intermediate=1536, vocabulary=4000)
"""Defaults of the sizes that a specification leaves out."""

LARGEST = Architecture(layers=1000, hidden=16_384, heads=1024, intermediate=65_536, vocabulary=1_000_000)
"""Upper bound of each size; :data:`MOST_WEIGHTS` bounds all together. Beyond is a typo, not a teacher for a desktop."""

MOST_WEIGHTS = 10**9
"""With gradients and optimizer state, 16 GB."""

_POSITIONS = 512

_QUIET = ("position_embeddings.weight", "output.dense.weight")
"""Weights initialized a tenth as large: a new encoder is then close to a bag of embeddings, which learns at once."""


def is_scratch(base: str | Path) -> bool:
    """Whether ``base`` asks for an encoder from scratch."""
    return str(base).split(":", maxsplit=1)[0] == SCHEME


def parse_scratch(base: str) -> Architecture:
    """Parse ``scratch:NAME=NUMBER,...``; omitted sizes are those of :data:`DEFAULT`.

    Raises:
        UserError: an unknown name, a value that is not a positive integer or too large, or inconsistent sizes.
    """

    def refuse(problem: str) -> UserError:
        example = ",".join(f"{name}={value}" for name, value in DEFAULT.as_dict().items())
        return UserError(problem, where=base, remedy=f"Write it like {SCHEME}:{example}")

    sizes, given = DEFAULT.as_dict(), set[str]()
    for item in filter(None, base.removeprefix(SCHEME).removeprefix(":").split(",")):
        name, _, value = (part.strip() for part in item.partition("="))
        if name not in sizes:
            raise refuse(f"'{name}' is not a size; these are: {', '.join(sizes)}.")
        if name in given:
            raise refuse(f"{name} is given twice.")
        given.add(name)
        if not (value.isascii() and value.isdecimal()) or not value.strip("0"):
            raise refuse(f"{name} must be a positive whole number; it is '{value}'.")
        most = getattr(LARGEST, name)
        if len(value) > 20 or int(value) > most:
            raise refuse(f"{name} must be at most {most:,}.")
        sizes[name] = int(value)
    if sizes["hidden"] % sizes["heads"]:
        raise refuse(f"hidden ({sizes['hidden']}) must be a multiple of heads ({sizes['heads']}).")
    if sizes["vocabulary"] < SMALLEST_VOCABULARY:
        raise refuse(f"vocabulary must be at least {SMALLEST_VOCABULARY}: special tokens and every byte.")
    size = Architecture(**sizes)
    if parameters(size) > MOST_WEIGHTS:
        raise refuse(f"these sizes make {parameters(size):,} weights; at most {MOST_WEIGHTS:,} are possible.")
    return size


def build_scratch(base: str, texts: Sequence[str], seed: int, max_tokens: int | None = None) -> BaseEncoder:
    """The encoder that ``base`` describes, with random weights, and a tokenizer trained on ``texts``.

    Args:
        base: see :func:`parse_scratch`.
        texts: functions; if they offer too few pairs to merge, the vocabulary is smaller than requested.
        seed: of the weights.
        max_tokens: the longest input, if longer than 512.

    Raises:
        UserError: as :func:`parse_scratch` does.
    """
    size = parse_scratch(base)
    tokenizer = train_tokenizer(texts, size.vocabulary)
    config = RobertaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.intermediate,
        initializer_range=size.hidden**-0.5,  # RoBERTa's 0.02 suits a width of 768, and is too small for narrow ones
        attention_probs_dropout_prob=0.0,  # else a CPU cannot use its fused kernel: a step takes 2x as long
        max_position_embeddings=max(_POSITIONS, max_tokens or 0) + SPECIAL.index("<pad>") + 1,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        bos_token_id=SPECIAL.index("<s>"),
        pad_token_id=SPECIAL.index("<pad>"),
        eos_token_id=SPECIAL.index("</s>"),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = RobertaModel(config, add_pooling_layer=False)
        with torch.no_grad():
            for name, weight in encoder.named_parameters():
                if name.endswith(_QUIET):
                    weight.mul_(0.1)
    identity = f"{size}|{seed}|{config.max_position_embeddings}|{tokenizer.to_str()}"
    return BaseEncoder(
        name=base,
        encoder=encoder,
        tokenizer=wrapped(tokenizer),
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        learning_rate=5e-4,
        pooling="mean",
    )


def wrapped(tokenizer: Tokenizer) -> Any:
    """Wrap ``tokenizer`` as a transformers tokenizer, which can save itself to a folder."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        cls_token="<s>",
        sep_token="</s>",
    )
