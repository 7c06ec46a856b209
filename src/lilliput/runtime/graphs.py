"""A generator artifact's graphs, read, checked and compiled."""

from __future__ import annotations

import numpy as np
import openvino as ov

from lilliput.artifact import DECODER_GRAPH, ENCODER_GRAPH, WEIGHTS, Artifact
from lilliput.errors import ArtifactError
from lilliput.generator_manifest import SEQ2SEQ
from lilliput.kernels.attention import one_more_token, use_attention
from lilliput.kernels.build import kernels
from lilliput.kernels.products import use_kernels
from lilliput.runtime.engine import Engine, default_threads
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
    """
    session = _session(artifact, threads)
    # The plugin copies the weights when it first runs: better now than while somebody waits for a first token.
    session.start([np.zeros(2, np.int64)])
    release_mapped(artifact.file(WEIGHTS))
    trim()
    return session


def compiled(model: ov.Model, artifact: Artifact, threads: int | None = None) -> Engine:
    """A graph of a generator's artifact, ready to run; our own kernels do what they can of it.

    Args:
        model: read from the artifact; it is changed.
        artifact: says how inputs of products are rounded.
        threads: processor threads; ``None`` leaves the choice to the engine.
    """
    options = artifact.generator.activations.get("engine", {})
    library, weights = kernels().library, artifact.file(WEIGHTS)
    if library is not None:
        group = int(options.get("DYNAMIC_QUANTIZATION_GROUP_SIZE", 0))
        workers = threads or default_threads()
        use_kernels(model, library, group, workers, lambda: release_mapped(weights))
        if options.get("KV_CACHE_PRECISION") == "u8":
            use_attention(model, library, workers)
    keep_small_constants(model)
    return Engine(model, threads, options, weights)


def _one_more_token(model: ov.Model, artifact: Artifact, threads: int | None) -> Engine | None:
    """What reads one token after the prompt that ``model`` read, if kernels do all that keeps earlier tokens."""
    library = kernels().library
    step = None if library is None else one_more_token(model, library)
    options = artifact.generator.activations.get("engine", {})
    return None if step is None else Engine(step, threads, options, artifact.file(WEIGHTS))


def _session(artifact: Artifact, threads: int | None) -> Session:
    manifest = artifact.generator
    if manifest.family != SEQ2SEQ:
        model, decoder = _engine(artifact, DECODER_GRAPH, DECODER_INPUTS, threads)
        single = _one_more_token(model, artifact, threads)
        return DecoderSession(decoder, PASS_TOKENS_OF_KERNELS if single else PASS_TOKENS, single)
    assert manifest.start is not None  # the manifest's own check
    _, encoder = _engine(artifact, ENCODER_GRAPH, ENCODER_INPUTS, threads)
    _, decoder = _engine(artifact, DECODER_GRAPH, SEQ2SEQ_INPUTS, threads)
    return Seq2SeqSession(encoder, decoder, manifest.start)


def _engine(artifact: Artifact, name: str, inputs: tuple[str, ...], threads: int | None) -> tuple[ov.Model, Engine]:
    """A graph as it is run, and compiled."""
    where = artifact.file(name)
    if name not in artifact.hashes:  # so that nothing is read that was not verified
        raise ArtifactError("is not among the artifact's files.", where=where, remedy=_AGAIN)
    try:
        model = ov.Core().read_model(str(where), str(artifact.file(WEIGHTS)))
        found = {name for value in model.inputs for name in value.get_names()}
        widths = [value.get_partial_shape()[-1] for value in model.outputs]
        engine = compiled(model, artifact, threads)
    except Exception as error:  # the engine raises RuntimeError, and others with some versions
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise ArtifactError(
            f"is not a graph that OpenVINO can run ({reason[0]}).", where=where, remedy=_AGAIN
        ) from error
    if found != set(inputs) or len(widths) != 1:
        raise ArtifactError(f"has not the inputs {', '.join(inputs)} and one output.", where=where, remedy=_AGAIN)
    if name == DECODER_GRAPH and widths[0] != artifact.generator.vocabulary:
        raise ArtifactError("gives not the number of logits that the manifest names.", where=where, remedy=_AGAIN)
    return model, engine
