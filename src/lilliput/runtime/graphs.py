"""A generator artifact's graphs, read, checked and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import openvino as ov

from lilliput.artifact import DECODER_GRAPH, ENCODER_GRAPH, WEIGHTS, Artifact
from lilliput.errors import ArtifactError, UserError
from lilliput.generator_manifest import SEQ2SEQ
from lilliput.kernels.attention import one_more_token, use_attention
from lilliput.kernels.build import kernels
from lilliput.kernels.chain import in_a_chain
from lilliput.kernels.library import Library
from lilliput.kernels.products import use_kernels
from lilliput.runtime.engine import Engine, default_threads, is_out_of_memory, last_line
from lilliput.runtime.pages import keep_small_constants, release_mapped, trim
from lilliput.runtime.sessions import (
    DECODER_INPUTS,
    ENCODER_INPUTS,
    PASS_TOKENS,
    PASS_TOKENS_OF_KERNELS,
    SEQ2SEQ_INPUTS,
    DecoderSession,
    Seq2SeqSession,
    Session,
)

_AGAIN = "Get the artifact again from where it came."


def open_session(artifact: Artifact, threads: int | None = None) -> Session:
    """What runs a generator's artifact.

    Args:
        artifact: opened, and so verified.
        threads: processor threads; ``None`` leaves the choice to the engine.

    Raises:
        ArtifactError: it is a classifier; or a graph is missing, or is not what the manifest says.
        UserError: there is not enough memory.
    """
    session = _session(artifact, threads)
    with _runnable(artifact, DECODER_GRAPH):
        # The plugin copies the weights when it first runs: better now than while somebody waits for a first token.
        session.start([np.zeros(2, np.int64)])
    release_mapped(artifact.file(WEIGHTS))
    trim()
    return session


def decoder_engine(artifact: Artifact, threads: int | None, change: Callable[[ov.Model], ov.Model]) -> Engine:
    """A decoder's graph, changed, ready to run.

    Args:
        artifact: of a decoder.
        threads: processor threads; ``None`` leaves the choice to the engine.
        change: what is done to the graph first.

    Raises:
        ArtifactError: the graph is missing, or is not what the manifest says.
        UserError: there is not enough memory.
    """
    model = _read(artifact, DECODER_GRAPH, DECODER_INPUTS)
    with _runnable(artifact, DECODER_GRAPH):
        return _compiled(change(model), artifact, threads)


def _compiled(model: ov.Model, artifact: Artifact, threads: int | None = None) -> Engine:
    """A graph of a generator's artifact, ready to run; our own kernels do what they can of it.

    Args:
        model: read from the artifact; it is changed.
        artifact: says how inputs of products are rounded.
        threads: processor threads; ``None`` leaves the choice to the engine.
    """
    return _engine(model, artifact, threads, _use_kernels(model, artifact, threads))


def _use_kernels(model: ov.Model, artifact: Artifact, threads: int | None) -> Library | None:
    """Let our kernels do what they can of a graph; the library that its operations are of, if there is one."""
    library, weights, options = kernels().library, artifact.file(WEIGHTS), _options(artifact)
    if library is not None:
        library = library.for_one_model()
        group = int(options.get("DYNAMIC_QUANTIZATION_GROUP_SIZE", 0))
        workers = threads or default_threads()
        use_kernels(model, library, group, workers, lambda: release_mapped(weights))
        if options.get("KV_CACHE_PRECISION") == "u8":
            use_attention(model, library, workers)
    keep_small_constants(model)
    return library


def _engine(model: ov.Model, artifact: Artifact, threads: int | None, library: Library | None) -> Engine:
    return Engine(model, threads, _options(artifact), artifact.file(WEIGHTS), library)


def _options(artifact: Artifact) -> dict[str, Any]:
    options: dict[str, Any] = artifact.generator.activations.get("engine", {})
    return options


def _session(artifact: Artifact, threads: int | None) -> Session:
    manifest = artifact.generator
    if manifest.family != SEQ2SEQ:
        decoder, single = _decoders(artifact, DECODER_INPUTS, threads)
        return DecoderSession(decoder, PASS_TOKENS if single is None else PASS_TOKENS_OF_KERNELS, single)
    assert manifest.start is not None  # the manifest's own check
    model = _read(artifact, ENCODER_GRAPH, ENCODER_INPUTS)
    with _runnable(artifact, ENCODER_GRAPH):
        encoder = _compiled(model, artifact, threads)
    decoder, single = _decoders(artifact, SEQ2SEQ_INPUTS, threads)
    return Seq2SeqSession(encoder, decoder, manifest.start, single)


def _decoders(artifact: Artifact, inputs: tuple[str, ...], threads: int | None) -> tuple[Engine, Engine | None]:
    """A decoder, and if kernels do all that keeps earlier tokens, what reads one more token faster."""
    model = _read(artifact, DECODER_GRAPH, inputs)
    with _runnable(artifact, DECODER_GRAPH):
        library = _use_kernels(model, artifact, threads)
        single = None if library is None else one_more_token(model, library)
        if library is None or single is None:
            return _engine(model, artifact, threads, library), None
        chained = in_a_chain(single, library, threads or default_threads())
        with ThreadPoolExecutor(1) as pool:  # side by side: each takes the engine a good part of a second
            # A chain has threads of its own, and the engine's would take turns with them: they spin before they sleep.
            step = pool.submit(_engine, chained or single, artifact, 1 if chained else threads, library)
            return _engine(model, artifact, threads, library), step.result()


def _read(artifact: Artifact, name: str, inputs: tuple[str, ...]) -> ov.Model:
    """A graph, checked against what the manifest says."""
    where = artifact.file(name)
    if name not in artifact.hashes:  # so that nothing is read that was not verified
        raise ArtifactError("is not among the artifact's files.", where=where, remedy=_AGAIN)
    with _runnable(artifact, name):
        model = ov.Core().read_model(str(where), str(artifact.file(WEIGHTS)))
        found = {name for value in model.inputs for name in value.get_names()}
        widths = [value.get_partial_shape()[-1] for value in model.outputs]
    if found != set(inputs) or len(widths) != 1:
        raise ArtifactError(f"has not the inputs {', '.join(inputs)} and one output.", where=where, remedy=_AGAIN)
    if name == DECODER_GRAPH and widths[0] != artifact.generator.vocabulary:
        raise ArtifactError("gives not the number of logits that the manifest names.", where=where, remedy=_AGAIN)
    return model


@contextmanager
def _runnable(artifact: Artifact, name: str) -> Iterator[None]:
    """What the engine says of a graph, as an error that names its file."""
    try:
        yield
    except Exception as error:  # it raises RuntimeError, and others with some versions
        if is_out_of_memory(error):
            raise UserError(
                "there is not enough memory for the model.",
                where=artifact.path,
                remedy="Close programs, or quantize more.",
            ) from error
        raise ArtifactError(
            f"is not a graph that OpenVINO can run ({last_line(error)}).", where=artifact.file(name), remedy=_AGAIN
        ) from error
