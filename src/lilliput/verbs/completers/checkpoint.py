"""An original checkpoint run by transformers, as the reference for its artifacts. Needs ``lilliput[train]``."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from lilliput.errors import CheckpointError
from lilliput.extras import require
from lilliput.generator_manifest import DECODER, SEQ2SEQ, GeneratorManifest
from lilliput.runtime.engine import require_threads
from lilliput.runtime.generator import Generator
from lilliput.runtime.sessions import Session
from lilliput.teachers.chat_template import folder_template
from lilliput.teachers.generator import tokenizer_of
from lilliput.teachers.hub import CONFIG, TEACHER, bytes_by_part, checkpoint_files, locate
from lilliput.verbs.completers.base import GeneratorSource
from lilliput.verbs.completers.chat import template_for
from lilliput.verbs.completers.local import LocalCompleter
from lilliput.verbs.kept import key_of
from lilliput.version import VERSION

POSITIONS = ("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length")
"""Config fields for the longest sequence; the first one present counts."""

_SLOW = "run 'lilliput quantize' on it and evaluate the artifact"


def found(source: GeneratorSource) -> Path:
    """The folder of the checkpoint ``source.model``; a hub model is downloaded first.

    Raises:
        CheckpointError: there is no checkpoint, or it is a classifier's.
        MissingExtra: torch or transformers is not installed.
    """
    path = locate(source.model)
    if path.is_file():
        raise CheckpointError(
            "is a file, not a checkpoint's folder; transformers does not run GGUF files directly.",
            where=path,
            remedy="Serve it with llama.cpp's llama-server and give its address (http://localhost:8080/v1), or "
            f"{_SLOW}.",
        )
    for package in ("torch", "transformers"):
        require(package)
    if not (path / CONFIG).is_file():
        raise CheckpointError(f"has no {CONFIG}.", where=path, remedy="Give a checkpoint's or an artifact's folder.")
    if (path / TEACHER).is_file():
        raise CheckpointError("is a classifier, not a generator.", where=path, remedy="Give a generator.")
    return path


def open_completer(source: GeneratorSource) -> LocalCompleter:
    """Open the checkpoint ``source.model`` in float32 or bfloat16.

    Raises:
        CheckpointError: it does not exist, is damaged, or is of a kind that transformers does not run.
        MissingExtra: torch or transformers is not installed.
    """
    path = found(source)
    require_threads(source.threads)
    template = template_for(source, folder_template(path)) if source.chat else None
    model, session, manifest = _loaded(path, source)
    files = checkpoint_files(path)
    facts_of_files = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "tokenizers")}
    facts = {"kind": "checkpoint", "model_type": manifest.model_type, "precision": source.precision}
    return LocalCompleter(
        Path(source.model).name,
        key_of("checkpoint", str(path.resolve()), facts_of_files, source.precision, versions, VERSION),
        {**facts, "parameters": manifest.parameters, "device": str(model.device), "versions": versions},
        source,
        Generator(session, tokenizer_of(path), manifest),
        bytes_by_part(files),
        template,
    )


def _loaded(path: Path, source: GeneratorSource) -> tuple[Any, Session, GeneratorManifest]:
    import torch
    import transformers

    from lilliput.teachers.huggingface import quiet
    from lilliput.verbs.completers.torch_sessions import TorchSeq2SeqSession, TorchSession

    if source.threads is not None:
        torch.set_num_threads(source.threads)
    types = {"fp32": torch.float32, "bf16": torch.bfloat16}
    try:
        with quiet():
            config = transformers.AutoConfig.from_pretrained(str(path), trust_remote_code=False)
            seq2seq = bool(config.is_encoder_decoder)
            of_kind = transformers.AutoModelForSeq2SeqLM if seq2seq else transformers.AutoModelForCausalLM
            model = of_kind.from_pretrained(str(path), dtype=types[source.precision], trust_remote_code=False)
    except Exception as error:  # transformers may raise anything on bad files
        raise CheckpointError(
            f"cannot be opened by transformers ({type(error).__name__}: {_first_line(error)}).",
            where=path,
            remedy="Check that the folder is a complete checkpoint of a generator; if transformers does not know it, "
            f"{_SLOW}.",
        ) from error
    model = model.eval().to("cuda" if torch.cuda.is_available() else "cpu")
    start = next((value for value in _ids(model, "decoder_start_token_id", "bos_token_id", "pad_token_id")), None)
    if seq2seq and start is None:
        raise CheckpointError("has no 'decoder_start_token_id'.", where=path / CONFIG, remedy="Get its own config.")
    manifest = GeneratorManifest(
        family=SEQ2SEQ if seq2seq else DECODER,
        model_type=str(config.model_type),
        architecture={},
        parameters=sum(weight.numel() for weight in model.parameters()),
        weights={},
        activations={},
        positions=next((value for name in POSITIONS if type(value := getattr(config, name, None)) is int), None),
        vocabulary=int(model.get_output_embeddings().weight.shape[0]),
        end=tuple(sorted(set(_ids(model, "eos_token_id")))),
        start=start if seq2seq else None,
    )
    session: Session = TorchSession(model) if not seq2seq else TorchSeq2SeqSession(model, start or 0)
    return model, session, manifest


def _ids(model: Any, *names: str) -> list[int]:
    """Token ids of these names in the generation config, or else in the model's config."""
    found: list[int] = []
    for name in names:
        values = getattr(model.generation_config, name, None)
        values = getattr(model.config, name, None) if values is None else values
        found += [value for value in (values if isinstance(values, list) else [values]) if type(value) is int]
    return found


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]
