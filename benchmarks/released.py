"""Convert the Compressor paper's released checkpoints to artifacts, so that they run in the same engine as ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer
from tokenizers.normalizers import Replace, Sequence, Strip
from transformers import RobertaModel

from lilliput.artifact import CARD, EVIDENCE, GRAPH, TOKENIZER, Manifest, save
from lilliput.encoder import EncoderConfig
from lilliput.formats.precision import PRECISIONS, ActivationRange
from lilliput.graph.onnx_encoder import activation_names, encoder_graph
from lilliput.search import Architecture
from lilliput.tasks import TASKS
from lilliput.teachers import Teacher, open_teacher
from lilliput.teachers.model import EncoderClassifier

RELEASED = Architecture(layers=12, hidden=96, heads=8, intermediate=64, vocabulary=1000)
"""The architecture of all of them."""

BLOCK = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "output_norm": "output.LayerNorm",
}
"""Our name of a part of a block -> RoBERTa's."""


def released_graph(teacher: Teacher, arity: int, precision: str) -> tuple[bytes, EncoderConfig]:
    """Build our graph of the checkpoint in ``teacher``: at ``fp32`` the same function up to rounding.

    At ``int8`` the activation ranges are arbitrary: good for timing, not for accuracy.
    """
    model = teacher.model
    assert isinstance(model, EncoderClassifier) and isinstance(model.encoder, RobertaModel)
    config = EncoderConfig(RELEASED, arity=arity, pooling="first", join="concat", activation="gelu")
    state = {name: value.detach().numpy() for name, value in model.encoder.state_dict().items()}
    head = {name: value.detach().numpy() for name, value in model.head.state_dict().items()}
    kinds, columns = state["embeddings.token_type_embeddings.weight"], list(model.convention.columns)
    weights = {
        "embeddings.token.weight": state["embeddings.word_embeddings.weight"],
        "embeddings.position.weight": state["embeddings.position_embeddings.weight"][2:] + kinds,
    }
    for kind in ("weight", "bias"):
        weights[f"embeddings.norm.{kind}"] = state[f"embeddings.LayerNorm.{kind}"]
        weights[f"head.dense.{kind}"] = head[f"dense.{kind}"]
        weights[f"head.out.{kind}"] = head[f"out.{kind}"][columns]
        for layer in range(RELEASED.layers):
            for ours, theirs in BLOCK.items():
                weights[f"layers.{layer}.{ours}.{kind}"] = state[f"encoder.layer.{layer}.{theirs}.{kind}"]
    weights = {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}
    ranges = {name: ActivationRange(-4.0, 4.0) for name in activation_names(config)} if precision == "int8" else None
    return encoder_graph(config, weights, PRECISIONS[precision], ranges).SerializeToString(), config


def as_artifact(checkpoint: Path, task: str, folder: Path) -> Path:
    """Write the checkpoint's ``model.bin`` as a floating-point artifact in ``folder``."""
    teacher = open_teacher(checkpoint)
    graph, config = released_graph(teacher, TASKS[task].arity, "fp32")
    manifest = Manifest(
        task, teacher.label_names, config, "fp32", teacher.max_tokens, {"command": "the paper's release"}
    )
    tokenizer = Tokenizer.from_file(str(next(path for path in teacher.files if path.suffix == ".json")))
    collapsed = [Replace(Regex(r"\s+"), " "), Strip()]  # as their inputs are prepared, before anything else
    tokenizer.normalizer = Sequence([*collapsed, *([tokenizer.normalizer] if tokenizer.normalizer else [])])
    save(folder, manifest, {GRAPH: graph, TOKENIZER: tokenizer.to_str().encode(), CARD: b"", EVIDENCE: b"{}"})
    return folder
