"""Hugging Face folders: encoders to fine-tune, tokenizers, and classifiers that others have fine-tuned.

Weights are read from safetensors, or from pickles by torch's weights-only reader; code that comes with a checkpoint
is never run.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import nn

from lilliput.errors import CheckpointError, UserError
from lilliput.tasks import Task
from lilliput.teachers.hub import CONFIG, TOKENIZER_FILES, checkpoint_files, locate, tokenizer_files, weight_files
from lilliput.teachers.model import OutputConvention, SequenceClassifier
from lilliput.teachers.packed import FIELD, refuse_quantized
from lilliput.teachers.teacher import Teacher, Tokenize, fingerprint_of
from lilliput.teachers.tensors import refuse_codes
from lilliput.training import device

ENCODER_HALVES = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}
"""Encoder-decoders whose encoder can be used alone: model type -> the encoder's class in transformers."""

BOTH_WAYS = ("bert-generation", "xlnet")
"""Model types that transformers lists only as causal models, but whose attention is bidirectional."""

DEFAULT_MAX_TOKENS = 400
"""The Compressor paper's input length."""

_UNUSED = ("pooler.", "position_ids")
"""Weights that an encoder may lack: vectors are pooled by :mod:`lilliput.teachers.model`."""

_CHOOSE = "Choose an encoder (RoBERTa, CodeBERT, MPNet, BERT, ModernBERT) or a T5."

_EXCLUSIVE_KINDS = (None, "single_label_classification")


@dataclass(frozen=True)
class BaseEncoder:
    """A pretrained encoder, to be fine-tuned.

    Attributes:
        name: the path or id it was opened by.
        encoder: ``encoder(input_ids=, attention_mask=).last_hidden_state`` is ``[F, T, h]``.
        tokenizer: a transformers tokenizer.
        fingerprint: sha256 over its files, or over what it was built from.
        learning_rate: default peak.
        pooling: default, a name in :data:`~lilliput.teachers.model.POOLINGS`.
    """

    name: str
    encoder: nn.Module
    tokenizer: Any
    fingerprint: str
    learning_rate: float = 2e-5
    pooling: str = "first"

    @property
    def pad_id(self) -> int:
        """Token id of padding."""
        return pad_id(self.encoder, self.tokenizer)


def open_base(checkpoint: str | Path) -> BaseEncoder:
    """Open the encoder of a Hugging Face folder or hub id.

    Raises:
        CheckpointError: config, weights or tokenizer are missing or damaged, or the model is not an encoder.
    """
    folder = locate(checkpoint)
    encoder = load_encoder(folder)
    tokenizer = load_tokenizer(folder, None)
    check_vocabulary(encoder, tokenizer, folder)
    return BaseEncoder(
        name=str(checkpoint),
        encoder=encoder,
        tokenizer=tokenizer,
        fingerprint=fingerprint_of(checkpoint_files(folder)),
        pooling="mean" if cast("Any", encoder.config).model_type in ENCODER_HALVES else "first",  # T5 has no <s>
    )


def load_encoder(folder: Path) -> nn.Module:
    """The encoder of a folder, in float32."""
    config = _config(folder)
    if config.is_encoder_decoder and config.model_type not in ENCODER_HALVES:
        raise CheckpointError(
            f"'{config.model_type}' is an encoder-decoder; only these encoders can be used alone: "
            f"{', '.join(ENCODER_HALVES)}.",
            where=folder,
            remedy=_CHOOSE,
        )
    if _sees_no_later_token(config):
        raise CheckpointError(
            f"'{config.model_type}' is a decoder here: its tokens do not attend to later ones.",
            where=folder,
            remedy=_CHOOSE,
        )
    encoder, missing = _load(getattr(transformers, ENCODER_HALVES.get(config.model_type, "AutoModel")), folder, config)
    lost = [name for name in missing if not any(unused in name for unused in _UNUSED)]
    if lost:
        raise _incomplete(folder, lost, "Get a checkpoint that holds the whole encoder.")
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return cast("nn.Module", encoder)


def _sees_no_later_token(config: Any) -> bool:
    """Whether a config describes a causal model."""
    if getattr(config, "is_decoder", False):
        return True
    kind = type(config)
    writes = kind in transformers.MODEL_FOR_CAUSAL_LM_MAPPING and kind not in transformers.MODEL_FOR_MASKED_LM_MAPPING
    both = config.model_type in BOTH_WAYS or getattr(config, "use_bidirectional_attention", False)
    return writes and not both


def load_tokenizer(folder: Path, other: Path | None) -> Any:
    """The transformers tokenizer of ``folder``, or of ``other``: a folder, or a ``tokenizer.json``.

    Raises:
        CheckpointError: there is no tokenizer, or it is damaged.
    """
    place = folder if other is None else Path(other)
    with _explained(place), quiet():
        if place.is_file():
            return transformers.PreTrainedTokenizerFast(tokenizer_file=str(place))
        # Without a vocabulary, transformers silently makes a tokenizer of five tokens.
        if not any((place / name).is_file() for name in TOKENIZER_FILES):
            raise CheckpointError(
                f"there is no tokenizer here (none of {', '.join(TOKENIZER_FILES)}).",
                where=place,
                remedy="Put the tokenizer's files beside the weights, or name them with --tokenizer.",
            )
        return transformers.AutoTokenizer.from_pretrained(str(place), trust_remote_code=False)


def tokenizing(tokenizer: Any, max_tokens: int) -> Tokenize:
    """Wrap a transformers tokenizer: texts to token ids, special tokens included, truncated to ``max_tokens``."""

    def tokenize(texts: Sequence[str]) -> list[NDArray[np.int64]]:
        if not texts:
            return []
        with quiet():
            ids = tokenizer(list(texts), truncation=True, max_length=max_tokens, padding=False)["input_ids"]
        return [np.array(row, np.int64) for row in ids]

    return tokenize


def pad_id(model: nn.Module, tokenizer: Any) -> int:
    """Token id of padding: the model's (RoBERTa counts positions by it), else the tokenizer's, else 0."""
    for value in (cast("Any", model.config).pad_token_id, tokenizer.pad_token_id):
        if value is not None:
            return int(value)
    return 0


def position_limit(model: nn.Module) -> int | None:
    """The longest input that the model has positions for; ``None``: any length (T5's positions are relative)."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            # RoBERTa and MPNet count positions from the padding id + 1.
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    limit = getattr(model.config, "max_position_embeddings", None)
    return None if limit is None else int(limit)


def usable_tokens(wanted: int | None, model: nn.Module) -> int:
    """``wanted``, which must fit the model; by default the paper's input length, or the model's if that is shorter.

    Raises:
        UserError: ``wanted`` exceeds what the model takes, or is too small to hold any token.
    """
    limit = position_limit(model)
    if wanted is None:
        return min(DEFAULT_MAX_TOKENS, limit or DEFAULT_MAX_TOKENS)
    if wanted < 3 or (limit is not None and wanted > limit):
        raise UserError(
            f"this model cannot take {wanted} tokens.",
            where="--max-tokens",
            remedy=f"Choose from 3 to {limit}." if limit else "Choose at least 3.",
        )
    return wanted


def check_vocabulary(model: nn.Module, tokenizer: Any, where: Path) -> None:
    """Refuse a tokenizer whose ids the model has no embeddings for."""
    rows = cast("nn.Embedding", cast("Any", model).get_input_embeddings()).num_embeddings
    if len(tokenizer) > rows:
        raise CheckpointError(
            f"the tokenizer has {len(tokenizer)} tokens, the model embeds {rows}: they do not belong together.",
            where=where,
            remedy="Name the model's own tokenizer.",
        )


def open_checkpoint(folder: Path, *, tokenizer: Path | None, task: Task | None) -> Teacher:
    """Open a folder that ``AutoModelForSequenceClassification`` can read.

    Raises:
        CheckpointError: something is missing or damaged, or its classes are not those of ``task``.
    """
    if task is not None and task.arity != 1:
        raise CheckpointError(
            f"classifies single functions, and the task '{task.name}' joins {task.arity}.",
            where=folder,
            remedy="Fine-tune its encoder for the task: lilliput finetune.",
        )
    config = _config(folder)
    label_names, convention = _labels(config, None if task is None else task.label_names, folder)
    model, missing = _load(transformers.AutoModelForSequenceClassification, folder, config)
    if missing:
        raise _incomplete(folder, missing, "If it is a pretrained encoder, fine-tune it first: lilliput finetune.")
    found = load_tokenizer(folder, tokenizer)
    check_vocabulary(model, found, folder)
    max_tokens = usable_tokens(None, model)
    files = checkpoint_files(folder) + tokenizer_files(tokenizer)
    return Teacher(
        name=folder.name,
        model=SequenceClassifier(model, convention).to(device()).eval(),
        tokenize=tokenizing(found, max_tokens),
        pad_id=pad_id(model, found),
        max_tokens=max_tokens,
        label_names=label_names,
        files=files,
        fingerprint=fingerprint_of(files),
    )


def _labels(config: Any, wanted: tuple[str, ...] | None, where: Path) -> tuple[tuple[str, ...], OutputConvention]:
    """The classes and the output convention, in the order that a task wants, if it ``wanted`` one."""
    if config.problem_type not in _EXCLUSIVE_KINDS:
        raise CheckpointError(
            f"it was trained for '{config.problem_type}', not to tell exclusive classes apart.",
            where=where / CONFIG,
            remedy="Choose a checkpoint with exclusive classes.",
        )
    count = int(config.num_labels)
    names = tuple(str(config.id2label.get(i, f"LABEL_{i}")) for i in range(count))
    classes = max(count, 2)
    if wanted is not None and len(wanted) != classes:
        raise CheckpointError(
            f"it has {classes} classes ({', '.join(names)}), the task has {len(wanted)} ({', '.join(wanted)}).",
            where=where / CONFIG,
            remedy="Choose a checkpoint of this task.",
        )
    if count == 1:
        return wanted or ("negative", "positive"), OutputConvention("sigmoid", (0, 1))
    in_order = OutputConvention("logits", tuple(range(count)))
    if wanted is None:
        return names, in_order
    if all(name == f"LABEL_{i}" for i, name in enumerate(names)):
        return wanted, in_order
    column = {name.casefold(): i for i, name in enumerate(names)}
    if set(column) != {name.casefold() for name in wanted}:
        raise CheckpointError(
            f"its classes are {', '.join(names)}; those of the task are {', '.join(wanted)}.",
            where=where / CONFIG,
            remedy="Write the task's names under 'id2label', in the order of the model's outputs.",
        )
    return wanted, OutputConvention("logits", tuple(column[name.casefold()] for name in wanted))


def _config(folder: Path) -> Any:
    if not (folder / CONFIG).is_file():
        raise CheckpointError(f"there is no {CONFIG} here.", where=folder, remedy="Name the folder of a whole model.")
    with _explained(folder), quiet():
        config = transformers.AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    refuse_quantized(getattr(config, FIELD, None), folder / CONFIG)
    return config


def _load(kind: Any, folder: Path, config: Any) -> tuple[Any, list[str]]:
    """A model in float32, and the names of its weights that the folder lacks."""
    weights = weight_files(folder)
    if not weights:
        raise CheckpointError(
            "there are no weights here (model.safetensors).", where=folder, remedy="Name the folder of a whole model."
        )
    for file in weights:
        if file.suffix == ".safetensors":
            refuse_codes(file)
    with _explained(folder), quiet():
        model, info = kind.from_pretrained(
            str(folder),
            config=config,
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=False,
            use_safetensors=".safetensors" in weights[0].name,
            weights_only=True,
        )
    return model, sorted(info["missing_keys"])


def _incomplete(folder: Path, missing: Sequence[str], remedy: str) -> CheckpointError:
    shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return CheckpointError(f"it holds no values for {len(missing)} weight(s): {shown}.", where=folder, remedy=remedy)


@contextmanager
def _explained(where: Path) -> Iterator[None]:
    """Turn what transformers raises over a checkpoint into a :class:`CheckpointError`."""
    try:
        yield
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            "its weights are damaged, or hold more than tensors, which could run code; nothing of it was run.",
            where=where,
            remedy="Ask its author for safetensors.",
        ) from error
    except UserError:
        raise
    except Exception as error:  # the libraries below raise anything, bare Exception included
        reason = str(error).strip().split("\n")[0]
        raise CheckpointError(f"cannot be opened: {reason}", where=where, remedy="Get its files again.") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings and progress bars of transformers: this module checks what matters of them."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    restore: Callable[[], None] = log.enable_progress_bar if bars else log.disable_progress_bar
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        restore()
