"""Tiny models written as GGUF with the package ``gguf``: names and row order as from llama.cpp's converter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA,
    "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3,
}
SHAPE = {
    "vocab_size": 99,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
}
F32 = gguf.GGMLQuantizationType.F32


def random_model(kind: str, **options: Any) -> Any:
    """A transformers model whose biases and norms are random, too."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**SHAPE, **options})).eval().float()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.05)
    return model


def permuted(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys, with the halves of each head interleaved, as the converter stores them for ``llama``."""
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def start(path: Path, kind: str, config: Any, **options: Any) -> gguf.GGUFWriter:
    """A writer that has the fields of ``config``."""
    writer = gguf.GGUFWriter(path, kind, **options)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    if getattr(config, "head_dim", None):
        writer.add_key_length(config.head_dim)
        writer.add_value_length(config.head_dim)
    return writer


def finish(writer: gguf.GGUFWriter) -> None:
    """Write the file."""
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_weights(writer: gguf.GGUFWriter, kind: str, model: Any, stored: gguf.GGMLQuantizationType = F32) -> None:
    """Add the weights of ``model``, matrices as ``stored``."""
    config = model.config
    names = gguf.get_tensor_name_map(ARCHITECTURES[kind], config.num_hidden_layers)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.numpy()
        theirs = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert theirs is not None, name
        inner = theirs.split(".")[-2]
        if kind == "llama" and inner in heads:
            values = permuted(values, heads[inner])
        used = stored if values.ndim > 1 else F32
        writer.add_tensor(theirs, gguf.quantize(values, used), raw_dtype=used)


def write_model(path: Path, kind: str, model: Any, stored: gguf.GGMLQuantizationType = F32) -> Path:
    """Write a whole file without a tokenizer."""
    writer = start(path, kind, model.config)
    add_weights(writer, kind, model, stored)
    finish(writer)
    return path
