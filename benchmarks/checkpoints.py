"""Checkpoints for the generator benchmarks: converted from GGUF, or of a published shape with random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import six_billion

from lilliput.files import write_json

CODEGEN_350M = {
    "model_type": "codegen",
    "architectures": ["CodeGenForCausalLM"],
    "vocab_size": 51200,
    "n_embd": 1024,
    "n_layer": 20,
    "n_head": 16,
    "n_positions": 2048,
    "rotary_dim": 32,
    "activation_function": "gelu_new",
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 50256,
}
"""Salesforce/codegen-350M-mono's published configuration."""

CODET5_BASE = {
    "vocab_size": 32100,
    "d_model": 768,
    "d_kv": 64,
    "d_ff": 3072,
    "num_layers": 12,
    "num_decoder_layers": 12,
    "num_heads": 12,
    "relative_attention_num_buckets": 32,
    "feed_forward_proj": "relu",
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""Salesforce/codet5-base's published configuration."""


def from_gguf(source: str, folder: Path) -> None:
    """Write a GGUF model as a checkpoint, dequantized to float16."""
    from safetensors.numpy import save_file

    from lilliput.teachers.generator import open_generator

    opened = open_generator(source)
    tensors = {name: opened.tensors.read(name).astype(np.float16) for name in opened.tensors}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    opened.tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    names = {"qwen2": "Qwen2ForCausalLM", "qwen3": "Qwen3ForCausalLM", "llama": "LlamaForCausalLM"}
    config = {"architectures": [names[opened.values["model_type"]]], "torch_dtype": "float16", **opened.values}
    write_json(folder / "config.json", config)


def random_codegen(folder: Path) -> None:
    """Write a checkpoint of CodeGen-350M's shape with random weights."""
    six_billion.CONFIG.clear()
    six_billion.CONFIG.update(CODEGEN_350M)
    six_billion.make_checkpoint(folder)


def random_codet5(folder: Path) -> None:
    """Write a checkpoint of CodeT5-base's shape with random weights."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    T5ForConditionalGeneration(T5Config(**CODET5_BASE)).half().save_pretrained(folder)
    six_billion.make_tokenizer(folder, CODET5_BASE["vocab_size"], CODET5_BASE["eos_token_id"])


RANDOM: Mapping[str, Callable[[Path], None]] = {"random-codegen": random_codegen, "random-codet5": random_codet5}
"""Random weights."""


def make(source: str, folder: Path) -> None:
    """Write the checkpoint of a GGUF file, or of a name in :data:`RANDOM`."""
    folder.mkdir(parents=True, exist_ok=True)
    RANDOM[source](folder) if source in RANDOM else from_gguf(source, folder)
