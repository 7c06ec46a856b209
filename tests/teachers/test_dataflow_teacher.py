"""Teachers that read data flow: against a forward pass written out, and in the interfaces that use teachers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_compressor import SEEDS, SHARED, VOCABULARY, encoder_of, made
from tiny_teachers import functions, pairs, singles

from lilliput.bpe import train_tokenizer
from lilliput.data_flow import NODE, GraphInput
from lilliput.tasks import task_named
from lilliput.teachers import open_teacher
from lilliput.teachers.dataflow import GraphTeacher, ids_of
from lilliput.teachers.outputs import teacher_outputs

LAYOUTS = {
    "vulnerability": ("encoder.roberta.", "encoder.classifier.", 96, singles(9)),
    "clone": ("encoder.roberta.", "classifier.", 192, pairs(9)),
}


def checkpoint(folder: Path, task: str) -> tuple[Path, dict[str, torch.Tensor]]:
    """Write a checkpoint where the paper's release has it."""
    prefix, head, width, _ = LAYOUTS[task]
    torch.manual_seed(3)
    weights = made(prefix, head, width)
    path = folder / f"graphcodebert-{task}" / "model.bin"
    path.parent.mkdir()
    torch.save(weights, path)
    train_tokenizer(functions(40), VOCABULARY).save(str(folder / f"{task}-bpe-1000.json"))
    return path, weights


def written_out(encoder: torch.nn.Module, item: GraphInput) -> torch.Tensor:
    """The first token's vector, computed node by node, with additive masks and no fused attention."""
    table = encoder.embeddings.word_embeddings.weight
    rows = [table[token] for token in item.ids[: item.code].tolist()]
    for first, last in item.spans.tolist():
        rows.append(torch.stack(rows[first:last]).mean(0) if last > first else torch.zeros(96))
    inputs = torch.stack(rows)
    positions = torch.from_numpy(item.positions)
    kinds = encoder.embeddings.token_type_embeddings.weight[0]
    states = encoder.embeddings.LayerNorm(inputs + encoder.embeddings.position_embeddings.weight[positions] + kinds)
    bias = torch.where(torch.from_numpy(item.mask), 0.0, -1e9)
    for layer in encoder.encoder.layer:
        own = layer.attention.self
        query, key, value = (part(states).view(-1, 8, 12).transpose(0, 1) for part in (own.query, own.key, own.value))
        weights = torch.softmax(query @ key.transpose(1, 2) / 12**0.5 + bias, -1)
        mixed = (weights @ value).transpose(0, 1).reshape(-1, 96)
        states = layer.attention.output.LayerNorm(layer.attention.output.dense(mixed) + states)
        inner = torch.nn.functional.gelu(layer.intermediate.dense(states))
        states = layer.output.LayerNorm(layer.output.dense(inner) + states)
    return states[0]


@pytest.mark.parametrize("task", LAYOUTS)
def test_logits_match_the_written_out_forward_pass(task, tmp_path):
    path, weights = checkpoint(tmp_path, task)
    prefix, head, _, dataset = LAYOUTS[task]
    teacher = open_teacher(path, task=task)
    assert isinstance(teacher, GraphTeacher)
    encoder = encoder_of(weights, prefix)
    graphs = teacher.graphs(dataset.texts)
    assert any(len(item.edges) for item in graphs)
    with torch.no_grad():
        vectors = torch.stack([written_out(encoder, item) for item in graphs])
        joined = torch.cat([vectors[dataset.members[:, side]] for side in range(dataset.arity)], -1)
        dense = torch.tanh(joined @ weights[f"{head}dense.weight"].T + weights[f"{head}dense.bias"])
        raw = dense @ weights[f"{head}out_proj.weight"].T + weights[f"{head}out_proj.bias"]
    expected = raw.numpy()[:, ::-1] if task == "vulnerability" else raw.numpy()
    np.testing.assert_allclose(teacher.logits(dataset), expected, rtol=0, atol=1e-5)


def test_works_like_other_teachers(tmp_path):
    path, _ = checkpoint(tmp_path, "vulnerability")
    teacher, dataset = open_teacher(path), singles(9)
    assert (teacher.arity, teacher.max_tokens, teacher.pad_id) == (1, 512, 1)
    outputs = teacher_outputs(teacher, dataset, tmp_path / "cache", exact=True)
    np.testing.assert_allclose(outputs.logits, teacher.logits(dataset), rtol=0, atol=1e-6)
    (ids,) = teacher.encode(dataset.texts[:1])
    assert (ids == NODE).any()
    alone = torch.from_numpy(ids)[None]
    with torch.no_grad():
        encoded = teacher.model.encode(alone, torch.ones_like(alone), layers=True)
    assert torch.isfinite(encoded.vectors).all()
    assert [tuple(layer.shape) for layer in encoded.layers] == [(1, len(ids), 96)] * 2


def test_nodes_change_the_logits_and_can_be_left_out(tmp_path):
    path, _ = checkpoint(tmp_path, "vulnerability")
    teacher, dataset = open_teacher(path), singles(9)
    bare = replace(teacher.graphs, flow=False)
    without = replace(teacher, graphs=bare, tokenize=ids_of(bare))
    assert not any((ids == NODE).any() for ids in without.encode(dataset.texts))
    assert np.abs(teacher.logits(dataset) - without.logits(dataset)).max() > 1e-3


def test_padding_changes_nothing(tmp_path):
    path, _ = checkpoint(tmp_path, "vulnerability")
    teacher = open_teacher(path)
    texts = (functions(1)[0], "int f(void) { return 0; }", "")
    together = teacher.tokens(replace(singles(3), texts=texts))
    all_of_them = np.arange(3)
    ids = together.padded(all_of_them)
    with torch.no_grad():
        batch = teacher.model.encode(ids, together.mask(all_of_them, ids.shape[1])).vectors
        for row, item in enumerate(together.graphs):
            alone = torch.from_numpy(item.ids)[None], torch.from_numpy(item.mask)[None]
            torch.testing.assert_close(teacher.model.encode(*alone).vectors[0], batch[row], rtol=0, atol=1e-5)


def test_folder_name_distinguishes_vulnerability_checkpoints(tmp_path):
    path, weights = checkpoint(tmp_path, "vulnerability")
    other = tmp_path / "codebert-vulnerability" / "model.bin"
    other.parent.mkdir()
    torch.save(weights, other)
    assert isinstance(open_teacher(path.parent), GraphTeacher)
    assert not isinstance(open_teacher(other), GraphTeacher)


@pytest.mark.skipif(not SEEDS.is_dir(), reason=f"the released checkpoints are not at {SEEDS} (set LILLIPUT_SHARED)")
def test_released_clone_checkpoint_recognizes_clones():
    dataset = task_named("clone").read([SHARED / "data/bigclonebench/valid_sampled.txt.gz"])
    lengths = np.array([len(text) for text in dataset.texts])
    short = dataset.subset(np.argsort(lengths[dataset.members].max(axis=1), kind="stable")[:100])
    teacher = open_teacher(SEEDS / "graphcodebert-clone", task="clone")
    assert (teacher.logits(short).argmax(1) == short.labels).mean() > 0.75
