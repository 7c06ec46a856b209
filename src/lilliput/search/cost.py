"""Cost of an architecture in parameters, FLOPs and bytes on disk: the paper's formulas, and our own.

Every function takes one :class:`~lilliput.search.space.Architecture` or many
:class:`~lilliput.search.space.Architectures`, and returns a number or an array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from lilliput.formats.precision import PRECISIONS, Precision
from lilliput.grams import STORED_BYTES, Grams, table_storage
from lilliput.search.space import Architecture, Architectures, Count, FloatArray, IntArray, Sizes

PAPER_TOKENS = 514
"""The sequence length the paper counts FLOPs at: RoBERTa's position table."""


def paper_flops(sizes: Sizes[Count]) -> Count:
    """FLOPs of one forward pass over 514 tokens as the paper counts them (ASE 2022, section 3.2, and released code).

    The count includes dropout, and a product with the whole embedding table, neither of which inference performs.
    """
    h, i, s = sizes.hidden, sizes.intermediate, PAPER_TOKENS
    attention = 8 * h * h + 4 * h * s + 10 * s * sizes.heads + 9 * h + 5
    feed_forward = 4 * h * i + 9 * i + 11 * h
    embedding = 2 * h * sizes.vocabulary + 2 * h * (s + 2) + 11 * h
    head = 2 * h * h + 15 * h
    total: Count = sizes.layers * (s * (attention + feed_forward)) + s * (embedding + head)
    return total


def paper_parameters(sizes: Sizes[Count]) -> Count:
    """Parameters as the paper counts them: RoBERTa with a pooler and a two-class head (released code)."""
    h, i = sizes.hidden, sizes.intermediate
    layer = 4 * (h * h + h) + 2 * h * i + i + 5 * h
    rest = PAPER_TOKENS * h + 3 * h + 2 * (h * h + h) + 2 * h + 2
    total: Count = sizes.layers * layer + (h * sizes.vocabulary + rest)
    return total


@overload
def paper_fitness(sizes: Architecture, megabytes: float) -> float: ...
@overload
def paper_fitness(sizes: Architectures, megabytes: float) -> FloatArray: ...
def paper_fitness(sizes: Sizes[Any], megabytes: float) -> float | FloatArray:
    """The paper's fitness (ASE 2022, section 3.2): GFLOPs less the distance from ``megabytes`` (10^6 bytes, fp32).

    The target is soft on both sides: an architecture may exceed it if the gain in FLOPs makes up for that.
    """
    missing = abs(4e-6 * paper_parameters(sizes) - megabytes)
    fitness: float | FloatArray = 1e-9 * paper_flops(sizes) - missing
    return fitness


@dataclass(frozen=True)
class StudentShape:
    """What determines a student's size besides its architecture.

    Attributes:
        classes: output logits.
        arity: functions an example joins, 1 or 2.
        positions: rows of the position table; 0: there are no embeddings, and the architecture should have no layers.
        vector: length of a function's stored vector; 0: the pooled vector, without a projection layer.
        grams: the table of n-grams, if any.
        nodes: maximum number of data-flow nodes that the layers see beside the tokens.
        linear: the table of a linear model, if any.
    """

    classes: int = 2
    arity: int = 1
    positions: int = 512
    vector: int = 0
    grams: Grams | None = None
    nodes: int = 0
    linear: Grams | None = None

    @property
    def network(self) -> bool:
        """Whether there is more than a linear model."""
        return self.positions > 0 or self.grams is not None


DEFAULT_SHAPE = StudentShape()
"""Two classes over one function of up to 512 tokens."""


def parameters(sizes: Sizes[Count], shape: StudentShape = DEFAULT_SHAPE) -> Count:
    """Weights of the student: tables, embeddings, post-norm blocks, a head of two linear layers, biases included."""
    h, i = sizes.hidden, sizes.intermediate
    embedding = (sizes.vocabulary + shape.positions + 2 + (shape.nodes > 0)) * h * _layered(shape)
    layer = 4 * (h * h + h) + 2 * h * i + i + h + 4 * h
    tables = sum(grams.rows * grams.width for grams in (shape.grams, shape.linear) if grams)
    tables += shape.classes if shape.linear else 0
    projection = shape.vector * (_pooled(h, shape) + 1)
    head = ((shape.arity * _width(h, shape) + 1) * h + shape.classes * (h + 1)) * shape.network
    total: Count = sizes.layers * layer + (embedding + tables + projection + head)
    return total


def flops(sizes: Sizes[Count], tokens: int, shape: StudentShape = DEFAULT_SHAPE) -> Count:
    """FLOPs (2 per multiply-add of a matrix product) of one encoder pass over ``tokens`` tokens, and of the head.

    Embeddings are look-ups and cost nothing, except those of nodes, counted at their maximum number. The functions of a
    pair are encoded one by one: this counts one of them.
    """
    h, i = sizes.hidden, sizes.intermediate
    means, places = 2 * shape.nodes * tokens * h, tokens + shape.nodes
    head = 2 * (shape.vector * _pooled(h, shape) + shape.arity * _width(h, shape) * h + shape.classes * h)
    head += 2 * shape.classes * shape.linear.width if shape.linear else 0
    total: Count = sizes.layers * (linear_flops(h, i, places) + attention_flops(h, places)) + means + head
    return total


def linear_flops(hidden: Count, intermediate: Count, tokens: int) -> Count:
    """FLOPs of one block's six linear layers: query, key, value, output, up, down."""
    return 2 * tokens * (4 * hidden * hidden + 2 * hidden * intermediate)


def attention_flops(hidden: Count, tokens: int) -> Count:
    """FLOPs of one block's attention scores and of the weighted sum of values, over all heads."""
    return 4 * tokens * tokens * hidden


GRAPH_BASE_BYTES = 2900
"""Bytes of an inference graph without blocks and weights."""

GRAPH_BYTES_OF_PROJECTION = 500
"""Bytes that a projection to a stored vector adds to the graph, excluding weights."""

GRAPH_BYTES_OF_GRAMS, GRAPH_BYTES_PER_ORDER = 900, 900
"""Bytes that a table of n-grams adds to the graph, excluding weights and hashes: once, and per n-gram length."""

GRAPH_BYTES_OF_LINEAR = 500
"""Bytes that a linear model adds to the graph, excluding its table."""

GRAPH_BYTES_OF_FLOW = 1600
"""Bytes that data flow adds to the graph, excluding weights."""

GRAPH_BYTES_PER_LAYER = 3400
"""Bytes that each block adds to the graph, excluding weights."""

MANIFEST_AND_CARD_BYTES = 14000
"""Bytes of an artifact's manifest, model card and evidence."""

TokenizerBytes = Callable[[IntArray], IntArray]
"""Vocabulary sizes -> measured bytes of their tokenizer files."""


def estimated_tokenizer_bytes(vocabulary: Count) -> Count:
    """Estimate the bytes of a byte-level BPE's ``tokenizer.json``: a header, and 33 per token (its entry and merge)."""
    return 33 * vocabulary + 1200


def artifact_bytes(
    sizes: Sizes[Count],
    precision: str,
    shape: StudentShape = DEFAULT_SHAPE,
    tokenizer_bytes: TokenizerBytes | None = None,
) -> Count:
    """Bytes on disk of the whole artifact: weights at ``precision``, graph, tokenizer, manifest and card.

    Args:
        sizes: one architecture, or many.
        precision: a name in :data:`lilliput.formats.precision.PRECISIONS`.
        shape: classes, arity and positions of the student.
        tokenizer_bytes: measured sizes of tokenizers by vocabulary; estimated by default.
    """
    stored = PRECISIONS[precision]
    h, i, vocabulary = sizes.hidden, sizes.intermediate, sizes.vocabulary
    norm = 8 * h
    layer = (
        4 * _linear_bytes(h, h, stored)
        + _linear_bytes(i, h, stored)
        + _linear_bytes(h, i, stored)
        + 2 * norm
        + GRAPH_BYTES_PER_LAYER
    )
    embedding = _matrix_bytes(vocabulary, h, stored) + _matrix_bytes(shape.positions, h, stored) + norm
    embedding *= _layered(shape)
    flow = 4 * h + GRAPH_BYTES_OF_FLOW if shape.nodes else 0
    output = _linear_bytes(shape.classes, h, PRECISIONS["fp32"]) * shape.network
    projection = _linear_bytes(shape.vector, _pooled(h, shape), stored) if shape.vector else 0
    tables = _table_bytes(vocabulary, shape.grams, "grams", stored)
    tables += _table_bytes(vocabulary, shape.linear, "linear", stored)
    extras = GRAPH_BYTES_OF_PROJECTION if shape.vector else 0
    extras += GRAPH_BYTES_OF_LINEAR + 4 * shape.classes if shape.linear else 0
    head = projection + extras + tables + flow + _linear_bytes(h, shape.arity * _width(h, shape), stored) + output
    tokenizer = _measured(vocabulary, tokenizer_bytes) if tokenizer_bytes else estimated_tokenizer_bytes(vocabulary)
    total: Count = sizes.layers * layer + (embedding + head + tokenizer + GRAPH_BASE_BYTES + MANIFEST_AND_CARD_BYTES)
    return total


def _width(hidden: Count, shape: StudentShape) -> Count:
    """Length of a function's vector; an array if ``hidden`` is one."""
    width: Count = hidden * 0 + shape.vector if shape.vector else _pooled(hidden, shape)
    return width


def _pooled(hidden: Count, shape: StudentShape) -> Count:
    """Length of the pooled vector: the tokens' part, and the n-grams' if there are any."""
    return hidden * _layered(shape) + (shape.grams.width if shape.grams else 0)


def _layered(shape: StudentShape) -> int:
    """1 if tokens go through embeddings and layers, else 0."""
    return int(shape.positions > 0)


def _table_bytes(vocabulary: Count, grams: Grams | None, name: str, precision: Precision) -> Count:
    """A table of n-grams, with its scale if it has one, and the token hashes."""
    if grams is None:
        return 0 * vocabulary
    stored = table_storage(name, precision.bits)
    codes = grams.rows * grams.width * STORED_BYTES[stored] + (4 if stored == "int8" else 0)
    codes += 4 * grams.width if grams.scale == "norm" else 0
    return 4 * grams.order * vocabulary + (codes + GRAPH_BYTES_OF_GRAMS + GRAPH_BYTES_PER_ORDER * grams.order)


def _matrix_bytes(rows: Count | int, width: Count, precision: Precision) -> Count:
    """Codes of ``rows * width`` weights, plus an fp32 scale per group of a row unless the weights are fp32."""
    codes = (rows * width * precision.bits + 7) // 8
    if precision.bits == 32:
        return codes
    groups = -(-width // precision.group) if precision.group else 1
    return codes + 4 * rows * groups


def _linear_bytes(rows: Count | int, width: Count, precision: Precision) -> Count:
    """A linear layer ``[rows, width]`` with its fp32 bias."""
    return _matrix_bytes(rows, width, precision) + 4 * rows


def _measured(vocabulary: Count, tokenizer_bytes: TokenizerBytes) -> Count:
    sizes = np.asarray(tokenizer_bytes(np.asarray(vocabulary, np.int64)), np.int64)
    return int(sizes) if isinstance(vocabulary, int) else sizes
