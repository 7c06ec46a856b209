"""A classifier artifact, loaded and run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.artifact import GRAPH, TOKENIZER, Artifact, open_artifact
from lilliput.data.dataset import Dataset
from lilliput.encoder import EncoderConfig
from lilliput.errors import DataError
from lilliput.runtime.engine import Engine, from_vectors, only_outputs, read_graph
from lilliput.runtime.tokens import CodeTokenizer, length_buckets, pad

BATCH_TOKENS = 4096
"""Tokens a batch, padding included: enough to keep two cores busy, little memory."""


@dataclass(frozen=True)
class Prediction:
    """The verdict on one example.

    Attributes:
        label: name of the likeliest class.
        probability: of that class, 0 to 1.
        probabilities: of every class, by name.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float]


class EncoderRunner:
    """Runs an encoder graph on token ids: vectors, then logits.

    Args:
        graph: path or bytes of the ONNX file.
        config: what the graph was built from.
        threads: processor threads; ``None`` leaves the choice to the engine.
        options: further properties of the CPU plugin.
    """

    def __init__(
        self,
        graph: Path | bytes,
        config: EncoderConfig,
        threads: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = config
        self._model = read_graph(graph)
        self._threads = threads
        self._options = options
        outputs = ["logits", "vectors"] if config.arity == 1 else ["vectors"]
        self.encoder = Engine(only_outputs(self._model, outputs), threads, options)

    @cached_property
    def head(self) -> Engine:
        """The pair head: two blocks of vectors to logits."""
        return Engine(from_vectors(self._model, ["left", "right"]), self._threads, self._options)

    def encode(self, ids: Sequence[NDArray[np.integer]]) -> list[NDArray[np.float32]]:
        """Each input through the encoder once, in batches of like length.

        Returns:
            The encoder's outputs, one row an input: ``[logits, vectors]`` for arity 1, ``[vectors]`` for pairs.
        """
        results: list[NDArray[np.float32]] = []
        for rows in length_buckets([len(item) for item in ids], BATCH_TOKENS):
            outputs = self.encoder(pad([ids[row] for row in rows], self.config.positions))
            if not results:
                results = [np.empty((len(ids), output.shape[1]), np.float32) for output in outputs]
            for result, output in zip(results, outputs, strict=True):
                result[rows] = output
        return results

    def logits(self, ids: Sequence[NDArray[np.integer]], members: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits ``[examples, classes]`` of examples that join the inputs ``members [examples, arity]``."""
        first, *_ = self.encode(ids)
        if self.config.arity == 1:
            return first[members[:, 0]]
        return self.head(first[members[:, 0]], first[members[:, 1]])[0]


class Classifier:
    """A small classifier of code.

    Load one with :func:`lilliput.load`.
    """

    def __init__(self, artifact: Artifact, threads: int | None = None) -> None:
        self.artifact = artifact
        self.manifest = artifact.manifest
        self.labels = self.manifest.labels
        self.tokenizer = CodeTokenizer.from_file(artifact.file(TOKENIZER), self.manifest.max_tokens)
        self.runner = EncoderRunner(artifact.file(GRAPH), self.manifest.config, threads)

    @property
    def arity(self) -> int:
        """Functions an example joins: 1, or 2 for pairs."""
        return self.manifest.config.arity

    def vectors(self, functions: Sequence[str]) -> NDArray[np.float32]:
        """One vector a function, ``[functions, hidden]``, such as an index of a repository keeps."""
        return self.runner.encode(self.tokenizer.encode(functions))[-1]

    def logits(self, dataset: Dataset) -> NDArray[np.float32]:
        """Logits ``[examples, classes]``; each distinct function is encoded once."""
        return self.runner.logits(self.tokenizer.encode(dataset.texts), dataset.members)

    def predict(self, examples: Sequence[str] | Sequence[tuple[str, str]]) -> list[Prediction]:
        """Classify functions (or pairs of functions, for a model of pairs).

        Raises:
            DataError: pairs given to a model of single functions, or the other way round.
        """
        if not examples:
            return []
        rows = [(example,) if isinstance(example, str) else tuple(example) for example in examples]
        wrong = next((row for row, parts in enumerate(rows) if len(parts) != self.arity), None)
        if wrong is not None:
            wanted = "one function (a string)" if self.arity == 1 else "two functions (a pair of strings)"
            raise DataError(
                f"example {wrong} joins {len(rows[wrong])} function(s).",
                remedy=f"An example of task '{self.manifest.task}' is {wanted}.",
            )
        index: dict[str, int] = {}
        members = np.array([[index.setdefault(text, len(index)) for text in parts] for parts in rows], np.int64)
        logits = self.runner.logits(self.tokenizer.encode(list(index)), members)
        return [self._prediction(row) for row in softmax(logits)]

    def _prediction(self, probabilities: NDArray[np.float32]) -> Prediction:
        table = {label: float(p) for label, p in zip(self.labels, probabilities, strict=True)}
        best = max(table, key=lambda label: table[label])
        return Prediction(best, table[best], table)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)


def load(path: str | Path, threads: int | None = None) -> Classifier:
    """Open an artifact and make it ready to predict.

    Args:
        path: the artifact's folder.
        threads: processor threads; ``None`` leaves the choice to the engine.
    """
    return Classifier(open_artifact(path), threads)
