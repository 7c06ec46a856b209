"""The Compressor paper's checkpoints: one-layer copies of their layouts, and the released ones if available."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_teachers import functions, pairs, singles
from tokenizers import Tokenizer
from transformers import RobertaConfig, RobertaModel

from lilliput.bpe import train_tokenizer
from lilliput.data.dataset import Dataset
from lilliput.data.tables import Columns
from lilliput.errors import CheckpointError
from lilliput.tasks import task_named
from lilliput.teachers import open_teacher

SHARED = Path(os.environ.get("LILLIPUT_SHARED", Path(__file__).parents[3] / "shared"))
SEEDS = SHARED / "seeds" / "compressor"
VOCABULARY = 300

Weights = dict[str, torch.Tensor]


def config_of(vocabulary: int, hidden: int, layers: int, inner: int) -> RobertaConfig:
    return RobertaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=8,
        intermediate_size=inner,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )


def encoder_of(weights: Weights, prefix: str) -> RobertaModel:
    """A transformers model with a checkpoint's encoder weights."""
    mine = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    mine = {name: value for name, value in mine.items() if name.startswith(("embeddings.", "encoder."))}
    mine.pop("embeddings.position_ids", None)
    vocabulary, hidden = mine["embeddings.word_embeddings.weight"].shape
    layers = len([name for name in mine if name.endswith("output.LayerNorm.bias")]) // 2
    inner = len(mine["encoder.layer.0.intermediate.dense.bias"])
    model = RobertaModel(config_of(vocabulary, hidden, layers, inner), add_pooling_layer=False).eval()
    model.load_state_dict(mine)
    return model


def reference(weights: Weights, prefix: str, head: str, tokenizer: Path, data: Dataset) -> np.ndarray:
    """Raw outputs by the paper's recipe, written out: one function at a time, without padding."""
    model, bpe = encoder_of(weights, prefix), Tokenizer.from_file(str(tokenizer))
    vectors = []
    with torch.no_grad():
        for text in data.texts:
            ids = bpe.encode(" ".join(text.split()), add_special_tokens=False).ids[:398]
            vectors.append(model(torch.tensor([[0, *ids, 2]])).last_hidden_state[0, 0])
        joined = torch.stack(vectors)[torch.from_numpy(data.members)].flatten(1)
        dense = torch.tanh(joined @ weights[f"{head}dense.weight"].T + weights[f"{head}dense.bias"])
        return (dense @ weights[f"{head}out_proj.weight"].T + weights[f"{head}out_proj.bias"]).numpy()


def made(prefix: str, head: str, width: int, outputs: int = 2) -> Weights:
    """The weights of a one-layer checkpoint."""
    torch.manual_seed(0)
    model = RobertaModel(config_of(VOCABULARY, 96, 1, 32))
    weights = {prefix + name: value for name, value in model.state_dict().items()}
    weights[f"{prefix}embeddings.position_ids"] = torch.arange(514)[None]
    shapes = {
        "dense.weight": (96, width),
        "dense.bias": (96,),
        "out_proj.weight": (outputs, 96),
        "out_proj.bias": (outputs,),
    }
    return weights | {head + name: torch.randn(shape) * 0.2 for name, shape in shapes.items()}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Write a checkpoint where the paper has it, with its tokenizer one folder up."""

    def write(weights: object, task: str = "vulnerability") -> Path:
        path = tmp_path / "codebert" / "model.bin"
        path.parent.mkdir(exist_ok=True)
        torch.save(weights, path)
        train_tokenizer(functions(40), VOCABULARY).save(str(tmp_path / f"{task}-bpe-1000.json"))
        return path

    return write


def test_vulnerability_layout_matches_the_reference(checkpoint):
    weights = made("encoder.roberta.", "encoder.classifier.", 96)
    path = checkpoint(weights)
    for place in (path, path.parent):
        teacher = open_teacher(place, task="vulnerability")
        expected = reference(
            weights,
            "encoder.roberta.",
            "encoder.classifier.",
            path.parents[1] / "vulnerability-bpe-1000.json",
            singles(9),
        )
        np.testing.assert_allclose(teacher.logits(singles(9)), expected[:, ::-1], rtol=0, atol=1e-5)
    assert teacher.label_names == ("safe", "vulnerable")
    assert teacher.bytes() == sum(file.stat().st_size for file in teacher.files)
    assert (teacher.arity, teacher.max_tokens, teacher.pad_id) == (1, 400, 1)


def test_clone_layout_matches_the_reference(checkpoint):
    weights = made("encoder.", "classifier.", 192)
    path = checkpoint(weights, "clone")
    teacher = open_teacher(path, task="clone")
    expected = reference(weights, "encoder.", "classifier.", path.parents[1] / "clone-bpe-1000.json", pairs(15))
    np.testing.assert_allclose(teacher.logits(pairs(15)), expected, rtol=0, atol=1e-5)
    assert teacher.label_names == ("different", "clone")


def test_one_output_is_the_log_odds_of_vulnerable(checkpoint):
    weights = made("encoder.roberta.", "encoder.classifier.", 96, outputs=1)
    path = checkpoint(weights)
    tokenizer = path.parents[1] / "vulnerability-bpe-1000.json"
    raw = reference(weights, "encoder.roberta.", "encoder.classifier.", tokenizer, singles(9))
    logits = open_teacher(path).logits(singles(9))
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], raw[:, 0], rtol=0, atol=1e-5)


def test_inputs_follow_the_paper(checkpoint):
    teacher = open_teacher(checkpoint(made("encoder.roberta.", "encoder.classifier.", 96)))
    long, spaced, tight = teacher.encode(["int a;" * 999, "int  a;\n\n\treturn", "int a; return"])
    assert (len(long), long[0], long[-1]) == (400, 0, 2)
    assert spaced.tolist() == tight.tolist()


def test_tokenizer_beside_the_file_takes_precedence(checkpoint):
    path = checkpoint(made("encoder.roberta.", "encoder.classifier.", 96))
    above = path.parents[1] / "vulnerability-bpe-1000.json"
    beside = path.with_name("tokenizer.json")
    assert open_teacher(path).files[1] == above
    shutil.copy(above, beside)
    assert open_teacher(path).files[1] == beside
    assert open_teacher(path, tokenizer=above).files[1] == above
    above.unlink()
    beside.unlink()
    with pytest.raises(CheckpointError, match=r"its tokenizer is not at .* Name it with --tokenizer"):
        open_teacher(path)


class Attack:
    """A pickle that creates a file if its reader runs code."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch '{self.witness}'",)


def test_malicious_pickle_is_rejected_without_running_it(checkpoint, tmp_path):
    witness = tmp_path / "witness"
    path = checkpoint(made("encoder.roberta.", "encoder.classifier.", 96) | {"extra": Attack(witness)})
    with pytest.raises(CheckpointError, match="nothing of it was run"):
        open_teacher(path)
    assert not witness.exists()


def lacking(weights: Weights, part: str) -> Weights:
    return {name: value for name, value in weights.items() if part not in name}


@pytest.mark.parametrize(
    ("weights", "task", "text"),
    [
        (made("encoder.", "classifier.", 192), "vulnerability", "is for the task 'clone', not 'vulnerability'"),
        (made("model.", "classifier.", 96), None, "not named like those of any checkpoint of the Compressor paper"),
        ([torch.ones(2)], None, "not named like those of any checkpoint"),
        (made("encoder.", "classifier.", 96), None, "do not make a whole model .*size mismatch"),
        (lacking(made("encoder.", "classifier.", 192), "0.attention.self.query"), None, "Missing key"),
        (lacking(made("encoder.", "classifier.", 192), "encoder.encoder."), None, "do not make a whole model"),
        (
            {"encoder.embeddings.word_embeddings.weight": 3, "classifier.dense.weight": 4},
            None,
            "do not make a whole model",
        ),
    ],
)
def test_rejects_other_weights(checkpoint, weights, task, text):
    with pytest.raises(CheckpointError, match=text) as caught:
        open_teacher(checkpoint(weights, "clone"), task=task)
    assert "model.bin" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            train_tokenizer([f"word{i} other{i * 7}" for i in range(300)], 900).to_str(),
            "does not belong to the checkpoint",
        ),
        ('{"version": "1.0"}', "is not a tokenizer"),
    ],
)
def test_rejects_a_tokenizer_that_does_not_fit(checkpoint, tmp_path, content, text):
    other = tmp_path / "other.json"
    other.write_text(content)
    with pytest.raises(CheckpointError, match=text):
        open_teacher(checkpoint(made("encoder.", "classifier.", 192)), tokenizer=other)


@pytest.mark.skipif(not SEEDS.is_dir(), reason=f"the released checkpoints are not at {SEEDS} (set LILLIPUT_SHARED)")
@pytest.mark.parametrize(
    ("task", "data", "prefix", "head", "columns"),
    [
        ("vulnerability", "data/devign/valid.jsonl.gz", "encoder.roberta.", "encoder.classifier.", [1, 0]),
        ("clone", "data/bigclonebench/valid_sampled.txt.gz", "encoder.", "classifier.", [0, 1]),
    ],
)
def test_released_checkpoints_match_transformers(task, data, prefix, head, columns):
    everything = task_named(task).read([SHARED / data], Columns(), None, True)
    lengths = np.array([len(text) for text in everything.texts])
    order = np.argsort(lengths[everything.members].max(axis=1), kind="stable")
    subset = everything.subset(np.concatenate((order[:190], order[-10:])))  # short for speed, and some that are cut
    teacher = open_teacher(SEEDS / f"codebert-{task}", task=task)
    weights = torch.load(SEEDS / f"codebert-{task}" / "model.bin", map_location="cpu", weights_only=True)
    expected = reference(weights, prefix, head, SEEDS / f"{task}-bpe-1000.json", subset)[:, columns]
    got = teacher.logits(subset)
    assert len(got) == 200
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4)
