"""Read, check and compile a generator artifact's graphs."""

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
from lilliput.kernels.products import use_kernels
from lilliput.kernels.sources import use_source_attention
from lilliput.runtime.engine import Engine, default_threads, is_out_of_memory, last_line
from lilliput.runtime.odd_weights import odd_weight
from lilliput.runtime.pages import keep_small_constants, release_code, release_mapped, trim
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

_AGAIN = "Get the artifact again from its source."


def open_session(artifact: Artifact, threads: int | None = None) -> Session:
    """Load a generator's artifact into a session.

    Args:
        artifact: opened, and so verified.
        threads: processor threads; ``None`` leaves the choice to the engine.

    Raises:
        ArtifactError: it is a classifier; or a graph is missing, or is not what the manifest says.
        UserError: there is not enough memory.
    """
    session = _session(artifact, threads)
    with _runnable(artifact, DECODER_GRAPH):
        # The plugin copies the weights in its first run: do that now, not while a user waits for the first token.
        session.start([np.zeros(2, np.int64)])
    release_mapped(artifact.file(WEIGHTS))
    release_code()
    trim()
    return session


def decoder_engine(artifact: Artifact, threads: int | None, change: Callable[[ov.Model], ov.Model]) -> Engine:
    """Read, change and compile a decoder's graph.

    Args:
        artifact: of a decoder.
        threads: processor threads; ``None`` leaves the choice to the engine.
        change: applied to the graph first.

    Raises:
        ArtifactError: the graph is missing, or is not what the manifest says.
        UserError: there is not enough memory.
    """
    model = _read(artifact, DECODER_GRAPH, DECODER_INPUTS)
    with _runnable(artifact, DECODER_GRAPH):
        return _Engines(artifact, threads).engine(change(model))


class _Engines:
    """Compile an artifact's graphs, using lilliput's own kernels wherever they apply.

    Args:
        artifact: specifies how inputs of products are rounded.
        threads: processor threads; ``None`` leaves the choice to the engine.
    """

    def __init__(self, artifact: Artifact, threads: int | None) -> None:
        self.weights, self.threads = artifact.file(WEIGHTS), threads
        self.options: dict[str, Any] = artifact.generator.activations.get("engine", {})
        library = kernels().library
        self.library = None if library is None else library.for_one_model()

    @property
    def workers(self) -> int:
        """Threads of lilliput's own kernels."""
        return self.threads or default_threads()

    def engine(self, model: ov.Model) -> Engine:
        """Compile a graph, with kernels."""
        self.use_kernels(model)
        return self.compiled(model)

    def use_kernels(self, model: ov.Model) -> None:
        """Replace the operations of a graph that kernels support, in place."""
        if self.library is not None:
            group = int(self.options.get("DYNAMIC_QUANTIZATION_GROUP_SIZE", 0))
            use_kernels(model, self.library, group, self.workers, lambda: release_mapped(self.weights))
            if self.keeps:
                use_attention(model, self.library, self.workers)
        keep_small_constants(model)

    @property
    def keeps(self) -> bool:
        """Whether the artifact keeps keys and values in 8 bits, as the kernels do."""
        return self.options.get("KV_CACHE_PRECISION") == "u8"

    def share_sources(self, decoder: ov.Model, encoder: ov.Model) -> None:
        """Let kernels, if they can, pass what attention reads of sources from the encoder's graph to the decoder's."""
        if self.library is not None and self.keeps:
            use_source_attention(decoder, encoder, self.library, self.workers)

    def decoder(self, model: ov.Model) -> tuple[Engine, Engine | None]:
        """Compile a decoder's graph that uses kernels; also, if kernels do everything that keeps earlier tokens, a
        faster engine for one more token."""
        single = None if self.library is None else one_more_token(model, self.library)
        if self.library is None or single is None:
            return self.compiled(model), None
        chained = in_a_chain(single, self.library, self.workers)
        with ThreadPoolExecutor(1) as pool:  # in parallel: each takes the engine a good part of a second
            # A chain has its own threads; the engine's would compete with them, because they spin before they sleep.
            step = pool.submit(self.compiled, chained or single, 1 if chained else self.threads)
            return self.compiled(model), step.result()

    def compiled(self, model: ov.Model, threads: int | None = None) -> Engine:
        """Compile a graph in which kernels are already used; ``threads`` overrides the number of the other engines."""
        return Engine(model, threads or self.threads, self.options, self.weights, self.library)


def _session(artifact: Artifact, threads: int | None) -> Session:
    manifest, engines = artifact.generator, _Engines(artifact, threads)
    if manifest.family != SEQ2SEQ:
        model = _read(artifact, DECODER_GRAPH, DECODER_INPUTS)
        with _runnable(artifact, DECODER_GRAPH):
            engines.use_kernels(model)
            decoder, single = engines.decoder(model)
        return DecoderSession(decoder, PASS_TOKENS if single is None else PASS_TOKENS_OF_KERNELS, single)
    assert manifest.start is not None  # checked when the manifest is read
    source = _read(artifact, ENCODER_GRAPH, ENCODER_INPUTS)
    model = _read(artifact, DECODER_GRAPH, SEQ2SEQ_INPUTS)
    with _runnable(artifact, DECODER_GRAPH):
        engines.use_kernels(model)
    with _runnable(artifact, ENCODER_GRAPH):
        engines.share_sources(model, source)
        encoder = engines.engine(source)
    with _runnable(artifact, DECODER_GRAPH):
        decoder, single = engines.decoder(model)
    return Seq2SeqSession(encoder, decoder, manifest.start, single)


def _read(artifact: Artifact, name: str, inputs: tuple[str, ...]) -> ov.Model:
    """Read a graph and check it against the manifest."""
    where = artifact.file(name)
    if name not in artifact.hashes:  # never read an unverified file
        raise ArtifactError("is not among the artifact's files.", where=where, remedy=_AGAIN)
    with _runnable(artifact, name):
        model = ov.Core().read_model(str(where), str(artifact.file(WEIGHTS)))
        found = {name for value in model.inputs for name in value.get_names()}
        widths = [value.get_partial_shape()[-1] for value in model.outputs]
    if found != set(inputs) or len(widths) != 1:
        raise ArtifactError(f"must have the inputs {', '.join(inputs)} and one output.", where=where, remedy=_AGAIN)
    if name == DECODER_GRAPH and widths[0] != artifact.generator.vocabulary:
        raise ArtifactError("does not give as many logits as the manifest says.", where=where, remedy=_AGAIN)
    odd = odd_weight(model)
    if odd is not None:
        raise ArtifactError(f"has a weight of shapes that do not match, {odd!r}.", where=where, remedy=_AGAIN)
    return model


@contextmanager
def _runnable(artifact: Artifact, name: str) -> Iterator[None]:
    """Turn the engine's errors into ones that name the graph's file."""
    try:
        yield
    except Exception as error:  # the engine raises RuntimeError, and others in some versions
        if is_out_of_memory(error):
            raise UserError(
                "there is not enough memory for the model.",
                where=artifact.path,
                remedy="Close programs, or quantize more.",
            ) from error
        raise ArtifactError(
            f"is not a graph that OpenVINO can run ({last_line(error)}).", where=artifact.file(name), remedy=_AGAIN
        ) from error
