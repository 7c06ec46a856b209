"""A classifier artifact, loaded and run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lilliput.arrays import require_finite
from lilliput.artifact import GRAPH, TOKENIZER, Artifact
from lilliput.data.dataset import Dataset
from lilliput.data_flow import GraphInput, stacked
from lilliput.encoder import EncoderConfig
from lilliput.errors import ArtifactError, DataError, require_text
from lilliput.progress import Progress
from lilliput.runtime.engine import Engine, from_vectors, only_outputs, read_graph, require_threads
from lilliput.runtime.flow import Input, reader_for, tokens_of
from lilliput.runtime.tokens import END, START, STEP, CodeTokenizer, length_buckets, pad

LONGEST = 1 << 20
"""Longest input, in tokens, for models without a limit of their own."""

BATCH_TOKENS = 4096
"""Tokens per batch, padding included: enough to keep two cores busy with little memory."""


@dataclass(frozen=True)
class Prediction:
    """The prediction for one example.

    Attributes:
        label: name of the likeliest class.
        probability: probability of that class, 0 to 1.
        probabilities: probability of every class, by name.
    """

    label: str
    probability: float
    probabilities: Mapping[str, float]


class EncoderRunner:
    """Runs an encoder graph on token ids: vectors, then logits.

    Args:
        graph: path or bytes of the ONNX file.
        config: the configuration that the graph was built from.
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
        given = {name for value in self._model.outputs for name in value.get_names()}
        if not given.issuperset({"logits", "vectors"}) or (config.arity == 2) != self._takes_pairs:
            raise ArtifactError(
                "is the graph of another kind of model than its manifest says.",
                where=graph if isinstance(graph, Path) else None,
                remedy="Get the artifact again.",
            )
        self.encoder = Engine(only_outputs(self._model, outputs), threads, options)

    @property
    def _takes_pairs(self) -> bool:
        return any("pairs" in value.get_names() for value in self._model.inputs)

    @property
    def widths(self) -> tuple[int, ...]:
        """Expected width of each of the encoder's outputs."""
        return (self.config.classes, self.config.width)[self.config.arity - 1 :]

    @property
    def gives(self) -> tuple[int, ...]:
        """Width of each of the encoder's outputs in the graph; -1 if dynamic."""
        last = [output.partial_shape[-1] for output in self.encoder.compiled.outputs]
        return tuple(-1 if size.is_dynamic else int(size.get_length()) for size in last)

    @cached_property
    def head(self) -> Engine:
        """The pair head: two blocks of vectors to logits."""
        return Engine(from_vectors(self._model, ["left", "right"]), self._threads, self._options)

    def feeds(self, inputs: Sequence[Input]) -> list[NDArray[Any]]:
        """The encoder graph's input arrays for a batch of inputs."""
        limit = LONGEST if self.config.reads_on else self.config.positions
        flows = [item for item in inputs if isinstance(item, GraphInput)]
        ids = pad([tokens_of(item) for item in inputs], limit)
        return [ids, *stacked(flows, STEP)] if self.config.data_flow else [ids]

    def encode(self, ids: Sequence[Input], progress: Progress | None = None) -> list[NDArray[np.float32]]:
        """Run each input through the encoder once, in batches of similar length.

        Args:
            ids: token ids, or for a model that reads data flow, inputs with it.
            progress: shown while working.

        Returns:
            The encoder's outputs, one row per input: ``[logits, vectors]`` for arity 1, ``[vectors]`` for pairs.
        """
        results = [np.empty((len(ids), width), np.float32) for width in self.widths]
        with (progress or Progress()).track("scoring functions", len(ids)) as advance:
            for rows in length_buckets([len(item) for item in ids], BATCH_TOKENS):
                outputs = self.encoder(*self.feeds([ids[row] for row in rows]))
                for result, output in zip(results, outputs, strict=True):
                    result[rows] = output
                advance(len(rows))
        return results

    def logits(
        self, ids: Sequence[Input], members: NDArray[np.int64], progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Logits ``[examples, classes]`` of examples made of the inputs ``members [examples, arity]``.

        Raises:
            NumericError: a logit is infinite or NaN.
        """
        first, *_ = self.encode(ids, progress)
        parts = [first[members[:, place]] for place in range(self.config.arity)]
        found = parts[0] if self.config.arity == 1 else self.head(*parts)[0]
        require_finite(found)
        return found


class Classifier:
    """A small classifier of code.

    Load one with :func:`lilliput.load`.
    """

    def __init__(self, artifact: Artifact, threads: int | None = None) -> None:
        require_threads(threads)
        self.artifact = artifact
        self.manifest = artifact.classifier
        self.labels = self.manifest.labels
        config = self.manifest.config
        tokenizer = CodeTokenizer.from_file(artifact.file(TOKENIZER), self.manifest.max_tokens)
        known = 1 + max(tokenizer.tokenizer.get_vocab().values(), default=-1)
        if None in (tokenizer.start, tokenizer.end) or known > config.architecture.vocabulary:
            raise ArtifactError(
                f"does not belong to the model: its token ids go up to {known - 1:,}, the model embeds "
                f"{config.architecture.vocabulary:,}, and both {START} and {END} must be among them.",
                where=artifact.file(TOKENIZER),
                remedy="Get the artifact again.",
            )
        self.tokenizer = reader_for(config.data_flow, tokenizer, config.positions)
        self.runner = EncoderRunner(artifact.file(GRAPH), config, threads)
        if self.runner.gives != self.runner.widths:
            raise ArtifactError(
                f"gives {self.runner.gives} numbers where its manifest says {self.runner.widths}.",
                where=artifact.file(GRAPH),
                remedy="Get the artifact again.",
            )

    @property
    def arity(self) -> int:
        """Functions per example: 1, or 2 for pairs."""
        return self.manifest.config.arity

    def vectors(self, functions: Sequence[str]) -> NDArray[np.float32]:
        """One vector per function, ``[functions, config.width]``, as an index of a repository stores them.

        Raises:
            DataError: ``functions`` is not a list of strings.
        """
        rows = _listed(functions, "functions")
        texts = [require_text(text, f"function {row}") for row, text in enumerate(rows)]
        return self.runner.encode(self.tokenizer.encode(texts))[-1]

    def logits(self, dataset: Dataset, progress: Progress | None = None) -> NDArray[np.float32]:
        """Logits ``[examples, classes]``; each distinct function is encoded once."""
        return self.runner.logits(self.tokenizer.encode(dataset.texts), dataset.members, progress)

    def predict(self, examples: Sequence[str] | Sequence[tuple[str, str]]) -> list[Prediction]:
        """Classify functions (or pairs of functions, for a model of pairs).

        Raises:
            DataError: ``examples`` is not a list, or has pairs for a model of single functions, or the reverse.
        """
        rows = [_parts(example, f"example {row}") for row, example in enumerate(_listed(examples, "examples"))]
        if not rows:
            return []
        wrong = next((row for row, parts in enumerate(rows) if len(parts) != self.arity), None)
        if wrong is not None:
            wanted = "one function (a string)" if self.arity == 1 else "two functions (a pair of strings)"
            raise DataError(
                f"example {wrong} has {len(rows[wrong])} function(s).",
                remedy=f"An example of task '{self.manifest.task}' is {wanted}.",
            )
        index: dict[str, int] = {}
        members = np.array([[index.setdefault(text, len(index)) for text in parts] for parts in rows], np.int64)
        return [self.prediction(row) for row in self.probabilities(list(index), members)]

    def probabilities(
        self, functions: Sequence[str], members: NDArray[np.int64], progress: Progress | None = None
    ) -> NDArray[np.float32]:
        """Class probabilities, ``[examples, classes]``; each function is encoded once.

        Args:
            functions: source code.
            members: indices into ``functions`` for each example, ``[examples, arity]``.
            progress: shown while working.
        """
        return softmax(self.runner.logits(self.tokenizer.encode(functions), members, progress))

    def prediction(self, probabilities: NDArray[np.float32]) -> Prediction:
        """The prediction from a row of :meth:`probabilities`."""
        table = {label: float(p) for label, p in zip(self.labels, probabilities, strict=True)}
        best = max(table, key=lambda label: table[label])
        return Prediction(best, table[best], table)


def _listed(items: Iterable[Any], what: str) -> list[Any]:
    """``items`` as a list. Rejects a string, which would be split into characters."""
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        given = "a single string" if isinstance(items, str) else f"a value of type {type(items).__name__}"
        raise DataError(f"{given} was given where a list of {what} is expected.", remedy="Put it in a list: [code].")
    return list(items)


def _parts(example: Any, what: str) -> tuple[str, ...]:
    """The functions of an example."""
    parts = example if isinstance(example, tuple | list | np.ndarray) else (example,)
    return tuple(require_text(part, what) for part in parts)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)
