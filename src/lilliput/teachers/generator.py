"""Open a generator's checkpoint: its config, where its weights are, its tokenizer, and its generation settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

from tokenizers import Tokenizer

from lilliput.errors import CheckpointError
from lilliput.files import read_json, sha256_of
from lilliput.generator_manifest import FillMarks, is_number
from lilliput.graph.architectures import Config, architecture_of, stored_name
from lilliput.graph.checks import refuse_odd, refuse_other_shapes
from lilliput.graph.pieces import Pieces, Tensors, stored
from lilliput.graph.seq2seq import Seq2SeqConfig
from lilliput.progress import Progress
from lilliput.runtime.tokens import read_tokenizer
from lilliput.teachers.chat_template import GGUF_KEY, folder_template
from lilliput.teachers.hub import CONFIG, TOKENIZER_FILES, locate, weight_files
from lilliput.teachers.packed import FIELD, refuse_quantized
from lilliput.teachers.tensors import SafetensorsFolder
from lilliput.teachers.torch_tensors import TorchFiles

GENERATION = "generation_config.json"

SAMPLING = ("temperature", "top_k", "top_p", "repetition_penalty")
"""Sampling defaults that are kept from a ``generation_config.json``."""

FILL_MARKS = (
    FillMarks("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5-Coder
    FillMarks("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder
    FillMarks("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    FillMarks("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder
    FillMarks("▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>"),  # CodeLlama
)
"""Fill-in-the-middle tokens of known models; a tokenizer with a model's prefix, suffix and middle tokens uses them."""


@dataclass(frozen=True)
class GeneratorCheckpoint:
    """An opened checkpoint.

    Attributes:
        path: folder or file.
        values: fields of ``config.json``, overridden by those of ``generation_config.json``.
        config: the architecture's config.
        pieces: where each weight of the graph is stored.
        tensors: the checkpoint's tensors.
        tokenizer: the checkpoint's tokenizer.
    """

    path: Path
    values: Mapping[str, Any]
    config: Config
    pieces: Pieces = field(repr=False)
    tensors: Tensors = field(repr=False)
    tokenizer: Tokenizer = field(repr=False)

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Files the checkpoint was read from."""
        if self.path.is_file():
            from lilliput.teachers.gguf import GgufFile

            assert isinstance(self.tensors, GgufFile)
            return self.tensors.files
        names = (CONFIG, GENERATION)
        return (*weight_files(self.path), *(self.path / name for name in names if (self.path / name).is_file()))

    @cached_property
    def chat_template(self) -> str | None:
        """The Jinja chat template, if there is one."""
        if self.path.is_file():
            from lilliput.teachers.gguf import GgufFile

            assert isinstance(self.tensors, GgufFile)
            found = self.tensors.metadata.get(GGUF_KEY)
            return found if isinstance(found, str) else None
        own = folder_template(self.path)
        return None if own is None else own[0]

    def sha256(self, progress: Progress | None = None) -> dict[str, str]:
        """File name -> SHA-256, for every file."""
        with (progress or Progress()).track("hashing the checkpoint's files", len(self.files)) as advance:
            found = {}
            for file in self.files:
                found[file.name] = sha256_of(file)
                advance()
        return found

    def fingerprint(self) -> str:
        """Hash that tells checkpoints apart without reading them: of file names, sizes, times, and the tokenizer."""
        facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in self.files]
        return hashlib.sha256(f"{facts}{self.tokenizer.to_str()}".encode()).hexdigest()

    @property
    def end(self) -> tuple[int, ...]:
        """Ids of end-of-sequence tokens."""
        ids = self.values.get("eos_token_id")
        listed = ids if isinstance(ids, list) else [ids]
        return tuple(sorted({number for number in listed if self._is_token(number)}))

    def _is_token(self, value: Any) -> TypeGuard[int]:
        return type(value) is int and 0 <= value < self.config.vocabulary

    @property
    def start(self) -> int | None:
        """Id that the output of an encoder-decoder starts from; ``None`` if there is none."""
        names = ("decoder_start_token_id", "bos_token_id", "pad_token_id")
        return next((self.values[name] for name in names if self._is_token(self.values.get(name))), None)

    @property
    def sampling(self) -> dict[str, float]:
        """Sampling defaults recommended by the model's authors."""
        given = {name: self.values.get(name) for name in SAMPLING}
        return {name: value for name, value in given.items() if is_number(value)}

    @property
    def fill(self) -> FillMarks | None:
        """Fill-in-the-middle tokens; ``None`` if the model has none."""

        def known(marks: FillMarks) -> bool:
            return all(
                self.tokenizer.token_to_id(mark) is not None for mark in (marks.prefix, marks.suffix, marks.middle)
            )

        return next((marks for marks in FILL_MARKS if known(marks)), None)


def open_generator(model: str | Path, tokenizer: Path | None = None) -> GeneratorCheckpoint:
    """Open a generator: a Hugging Face folder, a hub id, or a GGUF file.

    Args:
        model: the folder, id or file.
        tokenizer: a ``tokenizer.json``, or a folder with one; by default the one that comes with ``model``.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, or of an unknown architecture.
    """
    path = locate(model)
    open_path = _open_folder if path.is_dir() else _open_gguf
    values, tensors, own = open_path(path)
    architecture = architecture_of(values)
    try:
        config = architecture.config(values)
        refuse_odd(config)
        pieces = stored(architecture.pieces(config, values), tensors)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"has a field of the wrong kind ({type(error).__name__}: {error}).",
            where=path / CONFIG if path.is_dir() else path,
            remedy="Get the checkpoint's own config.json.",
        ) from error
    # Fail before hours of work: every tensor must exist, and those used as stored must have the config's sizes.
    shapes = {name: tensors.shape(stored_name(piece, tensors)) for name, piece in pieces.items() if piece.source}
    refuse_other_shapes(config, {name: shape for name, shape in shapes.items() if pieces[name].as_stored}, path)
    found = own() if tokenizer is None else tokenizer_of(Path(tokenizer))
    if found.get_vocab_size() > config.vocabulary:
        raise CheckpointError(
            f"the tokenizer has {found.get_vocab_size():,} tokens, the model {config.vocabulary:,}: they do not "
            "belong together.",
            where=path,
            remedy="Name the model's own tokenizer with --tokenizer.",
        )
    checkpoint = GeneratorCheckpoint(path, values, config, pieces, tensors, found)
    if isinstance(config, Seq2SeqConfig) and checkpoint.start is None:
        raise CheckpointError(
            "has no field 'decoder_start_token_id' that is one of its tokens.",
            where=path / CONFIG,
            remedy="Get the checkpoint's own config.json.",
        )
    return checkpoint


Opened = tuple[dict[str, Any], Tensors, Callable[[], Tokenizer]]


def _open_folder(folder: Path) -> Opened:
    values = _object(folder / CONFIG)
    if (folder / GENERATION).is_file():
        values |= {name: value for name, value in _object(folder / GENERATION).items() if value is not None}
    architecture_of(values)  # refuse an unknown one before looking for weights
    refuse_quantized(values.get(FIELD), folder / CONFIG)
    weights = weight_files(folder)
    safe = not weights or any(".safetensors" in file.name for file in weights)
    tensors: Tensors = SafetensorsFolder(folder) if safe else TorchFiles(folder)
    return values, tensors, lambda: tokenizer_of(folder)


def _open_gguf(file: Path) -> Opened:
    if file.suffix != ".gguf":
        raise CheckpointError(
            "is neither a folder nor a GGUF file.",
            where=file,
            remedy="Give the folder of a Hugging Face checkpoint, a hub id, or a file that ends in .gguf.",
        )
    from lilliput.teachers.gguf import GgufFile
    from lilliput.teachers.gguf_tokenizer import end_tokens, read_tokenizer

    opened = GgufFile(file)
    return {**opened.config, "eos_token_id": end_tokens(opened)}, opened, lambda: read_tokenizer(opened)


def _object(path: Path) -> dict[str, Any]:
    try:
        values = read_json(path)
    except FileNotFoundError as error:
        raise CheckpointError("there is no such file.", where=path, remedy="Is this a checkpoint's folder?") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot be read: {error}.", where=path, remedy="Get the file again.") from error
    if not isinstance(values, dict):
        raise CheckpointError("is not a JSON object.", where=path, remedy="Get the file again.")
    return values


_NAMED = "name a tokenizer.json to 'lilliput quantize' with --tokenizer."


def tokenizer_of(place: Path) -> Tokenizer:
    """The tokenizer in a generator's folder or in a file.

    Raises:
        CheckpointError: there is no tokenizer, or it cannot be read.
    """
    if not place.exists():
        raise CheckpointError("there is no such file or folder.", where=place, remedy="Check --tokenizer.")
    file = place / "tokenizer.json" if place.is_dir() else place
    if file.is_file():
        return read_tokenizer(file, CheckpointError)
    if not any((place / name).is_file() for name in TOKENIZER_FILES):
        raise CheckpointError(
            f"there is no tokenizer here (none of {', '.join(TOKENIZER_FILES)}).",
            where=place,
            remedy=f"Put the tokenizer's files beside the weights, or {_NAMED}",
        )
    from lilliput.teachers.huggingface import load_tokenizer  # transformers converts older formats

    converted = load_tokenizer(place, None)
    backend = getattr(converted, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise CheckpointError(
            "has a tokenizer of a kind without a tokenizer.json.",
            where=place,
            remedy=f"Convert it with transformers, or {_NAMED}",
        )
    return backend
