"""The latency model of this machine: measured once, kept in the cache folder, used by every search after."""

from __future__ import annotations

import datetime
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from lilliput.encoder import EncoderConfig
from lilliput.errors import UserError
from lilliput.evaluate.resources import cpu_name
from lilliput.extras import require
from lilliput.grams import Grams
from lilliput.progress import Progress
from lilliput.quantize.scheme import PRECISIONS, ActivationRange
from lilliput.runtime.engine import Engine, only_outputs, read_graph
from lilliput.search.latency import CALIBRATION_DESIGN, Conditions, LatencyModel, calibrate
from lilliput.search.space import Architecture

CACHE_VARIABLE = "LILLIPUT_CACHE"
"""Environment variable that names the cache folder; by default ``~/.cache/lilliput``."""

WARMUP, SECONDS, CALLS = 3, 0.12, 25
"""Calls before the clock counts; then as many as fit these seconds, at most this many: their median counts."""


ROUNDS = 3
"""Rounds in which two models are timed in turn."""


def cache_folder() -> Path:
    """Where measurements of this machine are kept."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else Path.home() / ".cache" / "lilliput"


def latency_model(
    precision: str = "int8", threads: int = 1, progress: Progress | None = None, cache: Path | None = None
) -> LatencyModel:
    """The model for this machine, engine version, precision and number of threads; measured now if it never was.

    It is kept in ``cache``, by default :func:`cache_folder`, where that can be written. Measuring takes about half a
    minute and needs the extra ``train``.
    """
    conditions = Conditions(
        cpu=cpu_name(),
        threads=threads,
        precision=precision,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        versions={"openvino": version("openvino")},
    )
    key = hashlib.sha256(f"{conditions.cpu}|{conditions.versions}".encode()).hexdigest()[:12]
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
    except UserError as error:  # half a minute lost next time, which is no reason to refuse this time
        progress.note(f"{error.where}: not kept; {error.problem} {CACHE_VARIABLE} can name another folder.")
    return model


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a cache folder that may not be looked into, or with too long a name
        return False


def measurer(precision: str, threads: int) -> Callable[[Architecture, int], float]:
    """A function ``(architecture, tokens) -> milliseconds`` that builds a random model and times it, batch 1."""
    require("onnx")
    return lambda architecture, tokens: measure(EncoderConfig(architecture), precision, threads, tokens)


def measure(config: EncoderConfig, precision: str, threads: int, tokens: int) -> float:
    """Median milliseconds of one pass over ``tokens`` random tokens through a model of random weights."""
    engine = Engine(only_outputs(read_graph(random_graph(config, precision)), ["vectors"]), threads)
    ids = np.random.default_rng(0).integers(4, config.architecture.vocabulary, (1, tokens))
    for _ in range(WARMUP):
        engine(ids)
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < CALLS and (not times or time.perf_counter() < end):
        start = time.perf_counter()
        engine(ids)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def grams_ms(grams: Grams, precision: str, tokens: int, threads: int = 1) -> float:
    """What a table of n-grams adds to a pass, at least 0: a small model's time with it less its time without.

    Of several rounds the least time of each counts, as in :func:`~lilliput.search.latency.measure_all`.
    """
    small = EncoderConfig(Architecture(layers=1, hidden=64, heads=1, intermediate=64, vocabulary=1000))
    both = (replace(small, grams=grams), small)
    times = [[measure(config, precision, threads, tokens) for config in both] for _ in range(ROUNDS)]
    with_it, without = (min(column) for column in zip(*times, strict=True))
    return max(0.0, float(with_it - without))


def random_graph(config: EncoderConfig, precision: str, seed: int = 0) -> bytes:
    """The ONNX file of a model with random weights and made-up activation ranges: right in size and speed only."""
    from lilliput.graph.onnx_encoder import activation_names, encoder_graph

    random = np.random.default_rng(seed)
    weights = {
        name: np.ones(shape, np.float32) if len(shape) == 1 else random.normal(0, 0.05, shape).astype(np.float32)
        for name, shape in config.shapes().items()
    }
    stored = PRECISIONS[precision]
    integer = {name: ActivationRange(-4.0, 4.0) for name in activation_names(config)}
    graph: bytes = encoder_graph(config, weights, stored, integer if stored.bits == 8 else None).SerializeToString()
    return graph
