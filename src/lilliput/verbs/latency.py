"""The latency model of this machine: measured once, cached, and used by every later search."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.data_flow import DataFlow
from lilliput.encoder import EncoderConfig
from lilliput.errors import UserError
from lilliput.evaluate.resources import cpu_name
from lilliput.extras import require
from lilliput.files import CACHE_VARIABLE, cache_folder
from lilliput.formats.precision import PRECISIONS, ActivationRange
from lilliput.grams import Grams
from lilliput.progress import Progress
from lilliput.provenance import today
from lilliput.runtime.engine import Engine, only_outputs, read_graph, settings_for
from lilliput.runtime.flow import FlowTokenizer
from lilliput.search.latency import CALIBRATION_DESIGN, Conditions, LatencyModel, calibrate
from lilliput.search.space import Architecture

WARMUP, SECONDS, CALLS = 3, 0.12, 25
"""Untimed calls; seconds of timed calls; maximum number of timed calls. Their median counts."""

ROUNDS = 3
"""Rounds in which two models are timed in turn."""

INTEGER_BITS = 8
"""Bits of weights that are multiplied as integers, so that inputs are rounded, too."""

READ, LONG = 32, 0.75
"""Functions whose reading is timed; share of the attended tokens that a function needs to count as long."""


def latency_model(
    precision: str = "int8", threads: int = 1, progress: Progress | None = None, cache: Path | None = None
) -> LatencyModel:
    """The model for this machine, engine version and settings, precision and threads; measured now if not cached.

    It is cached in ``cache``, by default :func:`cache_folder`, if that is writable. Measuring takes about half a minute
    and needs the extra ``train``.
    """
    conditions = Conditions(
        cpu=cpu_name(),
        threads=threads,
        precision=precision,
        date=today(),
        versions={"openvino": version("openvino")},
    )
    settings = sorted(settings_for(PRECISIONS[precision].bits == INTEGER_BITS).items())
    key = hashlib.sha256(f"{conditions.cpu}|{conditions.versions}|{settings}".encode()).hexdigest()[:12]
    path = (cache or cache_folder()) / f"latency-{precision}-{threads}-{key}.json"
    progress = progress or Progress()
    if _is_there(path):
        try:
            return LatencyModel.load(path)
        except UserError as error:
            progress.note(f"measuring again: {error}")
    model = calibrate(measurer(precision, threads), CALIBRATION_DESIGN, conditions, progress)
    try:
        model.save(path)
    except UserError as error:  # costs half a minute next time, but no reason to fail now
        progress.note(f"{error.where}: not kept; {error.problem} {CACHE_VARIABLE} can name another folder.")
    return model


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # an unreadable cache folder, or a name that is too long
        return False


def measurer(precision: str, threads: int) -> Callable[[Architecture, int], float]:
    """A function ``(architecture, tokens) -> milliseconds`` that builds a random model and times it, batch 1."""
    require("onnx")
    return lambda architecture, tokens: measure(EncoderConfig(architecture), precision, threads, tokens)


def measure(config: EncoderConfig, precision: str, threads: int, tokens: int) -> float:
    """Median milliseconds of one pass over ``tokens`` random tokens through a model of random weights."""
    engine = Engine(only_outputs(read_graph(random_graph(config, precision)), ["vectors"]), threads)
    feeds = random_feeds(config, tokens)
    for _ in range(WARMUP):
        engine(*feeds)
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < CALLS and (not times or time.perf_counter() < end):
        start = time.perf_counter()
        engine(*feeds)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def grams_ms(grams: Grams, precision: str, tokens: int, threads: int = 1) -> float:
    """Time that a table of n-grams adds to a pass, at least 0: a small model's time with it minus without it.

    The minimum over several rounds counts, as in :func:`~lilliput.search.latency.measure_all`.
    """
    with_it = replace(SMALL, grams=grams)
    return _added(
        lambda: measure(with_it, precision, threads, tokens), lambda: measure(SMALL, precision, threads, tokens)
    )


def flow_ms(nodes: int, precision: str, tokens: int, threads: int = 1) -> float:
    """Time that data flow adds to a pass of the same length, at least 0: node embeddings and the mask.

    It is a small model's time over ``tokens`` tokens and ``nodes`` nodes, minus its time over as many tokens in all.
    """
    with_it = replace(SMALL, data_flow=DataFlow(nodes, "c"), positions=tokens)
    without = replace(SMALL, positions=tokens + nodes)
    return _added(
        lambda: measure(with_it, precision, threads, tokens),
        lambda: measure(without, precision, threads, tokens + nodes),
    )


def reading_ms(reader: FlowTokenizer, texts: Sequence[str]) -> float:
    """CPU milliseconds that finding data flow adds to preparing a long function's input: the median.

    Timed on :data:`READ` functions that fill :data:`LONG` of the attended tokens, or else the longest there are.
    """
    lengths = np.array([len(ids) for ids in reader.tokenizer.encode(texts)])
    wanted = np.minimum(lengths, LONG * reader.seen)
    chosen = np.argsort(-wanted, kind="stable")[:READ]
    times: list[list[float]] = []
    for text in (texts[place] for place in chosen):
        spent = []
        for encode in (reader.tokenizer.encode, reader.encode):
            start = time.process_time()
            encode([text])
            spent.append(time.process_time() - start)
        times.append(spent)
    plain, with_flow = np.array(times).T
    return 1e3 * float(np.median(with_flow - plain))


SMALL = EncoderConfig(Architecture(layers=1, hidden=64, heads=1, intermediate=64, vocabulary=1000))
"""The model used to time parts that do not depend on the architecture."""


def _added(with_it: Callable[[], float], without: Callable[[], float]) -> float:
    """Minimum of the times with a part minus the minimum without it, measured alternately; at least 0."""
    times = [(with_it(), without()) for _ in range(ROUNDS)]
    longer, shorter = (min(column) for column in zip(*times, strict=True))
    return max(0.0, float(longer - shorter))


def random_feeds(config: EncoderConfig, tokens: int) -> list[NDArray[Any]]:
    """One function of random tokens; if the model reads data flow, with the maximum number of nodes, two edges each."""
    random = np.random.default_rng(0)
    feeds: list[NDArray[Any]] = [random.integers(4, config.architecture.vocabulary, (1, tokens))]
    if config.data_flow:
        nodes = config.data_flow.nodes
        first = np.sort(random.integers(1, min(tokens, config.positions) - 1, nodes))
        feeds += [np.stack((first, first + 1), 1)[None], random.random((1, nodes, nodes)) < 2 / nodes]
    return feeds


def random_graph(config: EncoderConfig, precision: str, seed: int = 0) -> bytes:
    """ONNX file of a model with random weights and made-up activation ranges: realistic only in size and speed."""
    from lilliput.graph.onnx_encoder import activation_names, encoder_graph

    random = np.random.default_rng(seed)
    weights = {
        name: np.ones(shape, np.float32) if len(shape) == 1 else random.normal(0, 0.05, shape).astype(np.float32)
        for name, shape in config.shapes().items()
    }
    stored = PRECISIONS[precision]
    integer = {name: ActivationRange(-4.0, 4.0) for name in activation_names(config)}
    graph: bytes = encoder_graph(
        config, weights, stored, integer if stored.bits == INTEGER_BITS else None
    ).SerializeToString()
    return graph
