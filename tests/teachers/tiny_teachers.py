"""Tiny encoders of every supported kind, and tiny tasks that they can learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import transformers

from lilliput.data.dataset import Dataset

WORDS = ("count", "size", "buffer", "index", "value", "node")
SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SPECIAL = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}

ENCODERS: dict[str, Callable[[int], torch.nn.Module]] = {
    "roberta": lambda size: transformers.RobertaModel(
        transformers.RobertaConfig(vocab_size=size, max_position_embeddings=66, **SHAPE, **SPECIAL)
    ),
    "bert": lambda size: transformers.BertModel(
        transformers.BertConfig(vocab_size=size, max_position_embeddings=64, **SHAPE, pad_token_id=1)
    ),
    "mpnet": lambda size: transformers.MPNetModel(
        transformers.MPNetConfig(vocab_size=size, max_position_embeddings=66, **SHAPE, **SPECIAL)
    ),
    "modernbert": lambda size: transformers.ModernBertModel(
        transformers.ModernBertConfig(
            vocab_size=size,
            max_position_embeddings=64,
            local_attention=16,
            cls_token_id=0,
            sep_token_id=2,
            **SHAPE,
            **SPECIAL,
        )
    ),
    "t5": lambda size: transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=size, d_model=16, d_ff=32, d_kv=8, num_layers=2, num_heads=2, pad_token_id=1)
    ),
}


def functions(count: int, seed: int = 0) -> tuple[str, ...]:
    """Distinct small functions; every other one frees its argument twice."""
    random = np.random.default_rng(seed)
    texts = []
    for i in range(count):
        a, b = random.choice(WORDS, 2)
        lines = [f"  int {a}{i} = {b} + {i};"] * int(random.integers(1, 4)) + ["  free(p);"] * (1 + i % 2)
        texts.append(f"void f{i}(char *p) {{\n" + "\n".join(lines) + "\n}")
    return tuple(texts)


def singles(count: int = 40, seed: int = 0) -> Dataset:
    """The task: is the argument freed twice?"""
    labels = np.arange(count) % 2
    return Dataset(functions(count, seed), np.arange(count)[:, None], labels, ("safe", "vulnerable"), ("singles",), "s")


def pairs(count: int = 60, texts: int = 20, seed: int = 0) -> Dataset:
    """The task: do both functions free their argument equally often?"""
    members = np.random.default_rng(seed).integers(0, texts, (count, 2))
    labels = (members.sum(1) % 2 == 0).astype(np.int64)
    return Dataset(functions(texts), members, labels, ("different", "clone"), ("pairs",), "p")
