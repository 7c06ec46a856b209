"""The checkpoints of "Compressing Pre-trained Models of Code into 3 MB" (ASE 2022): a state dict, ``model.bin``.

The names of the weights identify the layout, their shapes the sizes. GraphCodeBERT's students also read data flow: the
clone student is recognized by its weights; the vulnerability student, whose weights have the same names and shapes as
CodeBERT's, by its folder, which must be called ``graphcodebert...`` as in the paper's release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import Tensor
from transformers import RobertaConfig, RobertaModel

from lilliput import torchfiles
from lilliput.encoder import PAD_ID
from lilliput.errors import ArtifactError, CheckpointError
from lilliput.runtime.tokens import CodeTokenizer
from lilliput.tasks import TASKS, Task
from lilliput.teachers.dataflow import GraphClassifier, GraphEncoding, GraphTeacher, ids_of
from lilliput.teachers.model import EncoderClassifier, OutputConvention
from lilliput.teachers.teacher import Teacher, fingerprint_of
from lilliput.training import device

MAX_TOKENS = 400

_WORDS = "embeddings.word_embeddings.weight"
_UNUSED = ("pooler.", "embeddings.position_ids")


@dataclass(frozen=True)
class Layout:
    """How one kind of these checkpoints names its weights.

    Attributes:
        task: the task the model was trained for.
        encoder: prefix of the encoder's weights.
        head: prefix of the head's weights.
        columns: the output column of each of the task's labels.
        flow: whether the model reads data flow; ``None``: the name of its folder decides.
    """

    task: str
    encoder: str
    head: str
    columns: tuple[int, ...]
    flow: bool | None = False

    def fits(self, names: set[str]) -> bool:
        """Whether weights of these names have this layout."""
        return {f"{self.encoder}{_WORDS}", f"{self.head}dense.weight"} <= names


LAYOUTS = (
    Layout("clone", "encoder.roberta.", "classifier.", (0, 1), flow=True),
    Layout("vulnerability", "encoder.roberta.", "encoder.classifier.", (1, 0), flow=None),
    Layout("clone", "encoder.", "classifier.", (0, 1)),
)
"""Most distinctive first. Column 0 of the vulnerability models is 'vulnerable'."""

HEADS = {96: 8, 768: 12}
"""Hidden size -> attention heads, which weight shapes do not reveal: the paper's 3 MB students and their teachers."""


def open_checkpoint(path: Path, *, tokenizer: Path | None, task: Task | None) -> Teacher:
    """Open a ``model.bin``, or the folder that holds one.

    Args:
        path: the file or its folder.
        tokenizer: the BPE ``.json``; by default ``tokenizer.json`` beside the file, or ``TASK-bpe-1000.json`` one
            folder up.
        task: refuse checkpoints for any other task.

    Raises:
        CheckpointError: the file is not such a checkpoint, is for another task, or has no matching tokenizer.
    """
    path = path / "model.bin" if path.is_dir() else path
    weights = torchfiles.load(path)
    layout = _layout(weights, path)
    if task is not None and task.name != layout.task:
        raise CheckpointError(
            f"this checkpoint is for the task '{layout.task}', not '{task.name}'.",
            where=path,
            remedy=f"Choose --task {layout.task}, or another checkpoint.",
        )
    flow = _named_for_flow(path) if layout.flow is None else layout.flow
    model = _model(weights, layout, path, GraphClassifier if flow else EncoderClassifier)
    found = Path(tokenizer) if tokenizer is not None else _tokenizer_beside(path, layout)
    encode = _tokenizer(found, model)
    language = TASKS[layout.task].language
    assert language is not None  # both of the paper's tasks have one
    graphs = GraphEncoding(encode, language) if flow else None
    teacher = Teacher(
        name=f"{path.parent.name}/{path.name}",
        model=model.to(device()).eval(),
        tokenize=encode.encode if graphs is None else ids_of(graphs),
        pad_id=PAD_ID,
        max_tokens=MAX_TOKENS if graphs is None else graphs.room.total,
        label_names=TASKS[layout.task].label_names or (),
        files=(path, found),
        fingerprint=fingerprint_of((path, found)),
    )
    return teacher if graphs is None else GraphTeacher(**vars(teacher), graphs=graphs)


def _named_for_flow(path: Path) -> bool:
    """Whether the nearest enclosing folder named after one of the two models is named after GraphCodeBERT."""
    names = [name.casefold() for name in reversed(path.resolve().parts[:-1])]
    return "graphcodebert" in next((name for name in names if "codebert" in name), "")


def _layout(weights: Any, path: Path) -> Layout:
    names = set(weights) if isinstance(weights, Mapping) else set()
    for layout in LAYOUTS:
        if layout.fits(names):
            return layout
    raise CheckpointError(
        "its weights are not named like those of any checkpoint of the Compressor paper.",
        where=path,
        remedy="A Hugging Face model is opened by its folder, with config.json in it.",
    )


def _model(
    weights: Mapping[str, Tensor], layout: Layout, path: Path, kind: type[EncoderClassifier]
) -> EncoderClassifier:
    """Build the model that the weights' shapes describe, and load the weights."""
    encoder = {name: value for name, value in _under(weights, layout.encoder).items() if not name.startswith(_UNUSED)}
    head = {name.replace("out_proj", "out"): value for name, value in _under(weights, layout.head).items()}
    try:
        vocabulary, hidden = encoder[_WORDS].shape
        config = RobertaConfig(
            vocab_size=vocabulary,
            hidden_size=hidden,
            num_hidden_layers=1 + max(int(name.split(".")[2]) for name in encoder if name.startswith("encoder.layer.")),
            num_attention_heads=HEADS[hidden],
            intermediate_size=len(encoder["encoder.layer.0.intermediate.dense.bias"]),
            max_position_embeddings=len(encoder["embeddings.position_embeddings.weight"]),
            type_vocab_size=len(encoder["embeddings.token_type_embeddings.weight"]),
            layer_norm_eps=1e-5,
            pad_token_id=PAD_ID,
        )
        outputs = len(head["out.bias"])
        convention = OutputConvention("logits", layout.columns) if outputs > 1 else OutputConvention("sigmoid", (0, 1))
        arity = TASKS[layout.task].arity
        model = kind(RobertaModel(config, add_pooling_layer=False), outputs, convention=convention, arity=arity)
        model.encoder.load_state_dict(encoder)
        model.head.load_state_dict(head)
    except (KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"its weights do not make a whole model ({type(error).__name__}: {reason}).",
            where=path,
            remedy="Get the file again.",
        ) from error
    return model


def _under(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}


def _tokenizer_beside(path: Path, layout: Layout) -> Path:
    """The tokenizer at one of the places that the paper's release uses."""
    places = (path.with_name("tokenizer.json"), path.parent.parent / f"{layout.task}-bpe-1000.json")
    for place in places:
        if place.is_file():
            return place
    raise CheckpointError(
        f"its tokenizer is not at {' or '.join(map(str, places))}.",
        where=path,
        remedy="Name it with --tokenizer.",
    )


def _tokenizer(path: Path, model: EncoderClassifier) -> CodeTokenizer:
    """A tokenizer that makes the paper's inputs: white space collapsed, ``<s>``, at most 398 tokens, ``</s>``."""
    try:
        found = CodeTokenizer.from_file(path, MAX_TOKENS)
    except ArtifactError as error:
        raise CheckpointError(error.problem, where=path, remedy=error.remedy) from error
    rows = cast("Any", model.encoder).get_input_embeddings().num_embeddings
    if found.start is None or found.end is None or found.tokenizer.get_vocab_size() > rows:
        raise CheckpointError(
            f"this tokenizer does not belong to the checkpoint: it has {found.tokenizer.get_vocab_size()} tokens, "
            f"the model embeds {rows}, and both <s> and </s> must be among them.",
            where=path,
            remedy="Name the checkpoint's own with --tokenizer.",
        )
    found.collapse_whitespace = True
    return found
