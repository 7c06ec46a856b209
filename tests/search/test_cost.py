import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.data_flow import DataFlow
from lilliput.encoder import EncoderConfig
from lilliput.formats.packing import packed
from lilliput.formats.precision import PRECISIONS, quantize_rows
from lilliput.grams import Grams
from lilliput.search.cost import (
    GRAPH_BASE_BYTES,
    GRAPH_BYTES_OF_FLOW,
    GRAPH_BYTES_OF_GRAMS,
    GRAPH_BYTES_OF_LINEAR,
    GRAPH_BYTES_OF_PROJECTION,
    GRAPH_BYTES_PER_LAYER,
    GRAPH_BYTES_PER_ORDER,
    MANIFEST_AND_CARD_BYTES,
    StudentShape,
    artifact_bytes,
    estimated_tokenizer_bytes,
    flops,
    paper_fitness,
    paper_flops,
    paper_parameters,
    parameters,
)
from lilliput.search.space import Architecture, Architectures

PUBLISHED = [
    (3, Architecture(12, 96, 8, 64, 1000), 2.19, 3.062),
    (25, Architecture(6, 432, 16, 128, 1000), 8.97, 24.788),
    (50, Architecture(6, 480, 16, 576, 6000), 15.77, 49.870),
]
"""Target, architecture and fitness as the paper's authors published them, and the architecture's megabytes."""

OPTIMA = [
    (3, Architecture(12, 96, 8, 64, 1000), 2.192),
    (25, Architecture(12, 320, 8, 32, 2000), 10.425),
    (50, Architecture(12, 448, 8, 160, 1000), 18.531),
]

architectures = st.builds(
    Architecture,
    layers=st.integers(1, 12),
    hidden=st.integers(1, 24).map(lambda n: 16 * n),
    heads=st.sampled_from([1, 2, 4, 8]),
    intermediate=st.integers(1, 500),
    vocabulary=st.integers(3, 3000),
)
GRAMS = st.builds(
    Grams,
    order=st.integers(1, 4),
    bits=st.integers(4, 9),
    width=st.integers(1, 9),
    scale=st.sampled_from(["mean", "root", "norm"]),
)
shapes = st.builds(
    StudentShape,
    classes=st.integers(2, 9),
    arity=st.sampled_from([1, 2]),
    positions=st.integers(32, 514),
    vector=st.sampled_from([0, 0, 8, 128]),
    grams=st.none() | GRAMS,
    nodes=st.sampled_from([0, 0, 7, 128]),
    linear=st.none() | GRAMS,
)
bags = st.builds(
    StudentShape, classes=st.integers(2, 9), arity=st.sampled_from([1, 2]), positions=st.just(0),
    vector=st.sampled_from([0, 8, 128]), grams=GRAMS, linear=st.none() | GRAMS,
)  # fmt: skip
"""Students without layers."""

linear_models = st.builds(
    StudentShape, classes=st.integers(2, 9), arity=st.just(1), positions=st.just(0), linear=GRAMS,
)  # fmt: skip
"""Students without a network."""

bag_architectures = st.builds(
    Architecture, layers=st.just(0), hidden=st.integers(1, 128), heads=st.just(1), intermediate=st.just(0),
    vocabulary=st.integers(3, 3000),
)  # fmt: skip
no_architectures = st.builds(Architecture, st.just(0), st.just(0), st.just(1), st.just(0), st.integers(3, 3000))
students = (
    st.tuples(architectures, shapes) | st.tuples(bag_architectures, bags) | st.tuples(no_architectures, linear_models)
)


def config_of(architecture, shape):
    fixed = {name: getattr(shape, name) for name in ("classes", "arity", "positions", "vector", "grams", "linear")}
    return EncoderConfig(architecture, **fixed, data_flow=DataFlow(shape.nodes, "c") if shape.nodes else None)


@pytest.mark.parametrize(("megabytes", "architecture", "fitness", "size"), PUBLISHED)
def test_published_architectures_have_their_published_fitness_and_size(megabytes, architecture, fitness, size):
    assert paper_fitness(architecture, megabytes) == pytest.approx(fitness, abs=0.005)
    assert 4e-6 * paper_parameters(architecture) == pytest.approx(size, abs=0.001)


@pytest.mark.parametrize(("megabytes", "architecture", "fitness"), OPTIMA)
def test_optima_have_their_recorded_fitness(megabytes, architecture, fitness):
    assert paper_fitness(architecture, megabytes) == pytest.approx(fitness, abs=0.0005)


@settings(deadline=None)
@given(architectures)
def test_paper_formulas_match_their_written_out_form(architecture):
    h, s = architecture.hidden, 514
    v, i, a = architecture.vocabulary, architecture.intermediate, architecture.heads
    block = 6 * h * h + 3 * h + 2 * h * s + 10 * s * a + 2 * h * s + 2 * h * h + 6 * h + 5 + 4 * h * i + 9 * i + 11 * h
    rest = 2 * h * v + 2 * h * (s + 2) + 11 * h + 2 * h * h + 15 * h
    assert paper_flops(architecture) == (architecture.layers * block + rest) * s
    layer = 4 * (h * h + h) + 2 * h * i + i + 5 * h
    assert (
        paper_parameters(architecture)
        == v * h + s * h + 3 * h + architecture.layers * layer + 2 * (h * h + h) + 2 * h + 2
    )


@settings(deadline=None)
@given(students)
def test_parameters_match_the_encoder(student):
    architecture, shape = student
    tensors = config_of(architecture, shape).shapes().values()
    assert parameters(architecture, shape) == sum(math.prod(tensor) for tensor in tensors)


@settings(deadline=None)
@given(students, st.integers(1, 512))
def test_flops_are_two_per_multiply_add(student, tokens):
    architecture, shape = student
    expected = 0
    for name, tensor in config_of(architecture, shape).shapes().items():
        if len(tensor) == 2 and not name.startswith(("embeddings.", "grams.", "linear.")):
            rows = 1 if name.startswith(("head.", "projection.")) else tokens + shape.nodes
            expected += 2 * rows * math.prod(tensor)
    width = architecture.hidden
    expected += architecture.layers * 2 * (2 * (tokens + shape.nodes) ** 2 * width)
    expected += 2 * shape.nodes * tokens * width  # means of embeddings
    expected += 2 * shape.classes * shape.linear.width if shape.linear else 0
    assert flops(architecture, tokens, shape) == expected


@settings(deadline=None, max_examples=25)
@given(students, st.sampled_from(["fp32", "int8", "int4"]))
def test_bytes_match_the_stored_arrays(student, name):
    architecture, shape = student
    precision = PRECISIONS[name]
    stored, tables = 0, {"grams.weight": shape.grams, "linear.weight": shape.linear}
    for part, tensor in config_of(architecture, shape).shapes().items():
        values = np.ones(tensor, np.float32)
        table = tables.get(part)
        if table and table.scale == "norm":  # the weights of its norm, all 1
            stored += 4 * table.width
        if len(tensor) == 1 or precision.bits == 32 or part == "head.out.weight":
            stored += values.nbytes
            continue
        if table:  # 8 bits and one scale, or 16 bits for a linear model, at any precision
            stored += 2 * values.size if part == "linear.weight" else values.size + 4
            continue
        codes, scales = quantize_rows(values, precision)
        stored += (packed(codes, 4) if precision.bits == 4 else codes).nbytes + scales.nbytes
    overhead = (
        GRAPH_BASE_BYTES
        + architecture.layers * GRAPH_BYTES_PER_LAYER
        + MANIFEST_AND_CARD_BYTES
        + estimated_tokenizer_bytes(architecture.vocabulary)
        + (GRAPH_BYTES_OF_PROJECTION if shape.vector else 0)
        + (GRAPH_BYTES_OF_LINEAR if shape.linear else 0)
        + sum(GRAPH_BYTES_OF_GRAMS + table.order * GRAPH_BYTES_PER_ORDER for table in tables.values() if table)
        + sum(table.hashes(architecture.vocabulary).nbytes for table in tables.values() if table)
        + (GRAPH_BYTES_OF_FLOW if shape.nodes else 0)
    )
    assert artifact_bytes(architecture, name, shape) == stored + overhead


@settings(deadline=None)
@given(st.lists(architectures, min_size=1, max_size=5), shapes)
def test_arrays_agree_with_single_architectures(points, shape):
    many = Architectures.of(points)
    assert paper_flops(many).tolist() == [paper_flops(one) for one in points]
    assert paper_parameters(many).tolist() == [paper_parameters(one) for one in points]
    assert paper_fitness(many, 3).tolist() == [paper_fitness(one, 3) for one in points]
    assert parameters(many, shape).tolist() == [parameters(one, shape) for one in points]
    assert flops(many, 400, shape).tolist() == [flops(one, 400, shape) for one in points]
    for name in PRECISIONS:
        assert artifact_bytes(many, name, shape).tolist() == [artifact_bytes(one, name, shape) for one in points]


def test_costs_of_single_architectures_are_plain_integers():
    one = Architecture(2, 64, 2, 128, 1000)
    costs = (paper_flops(one), paper_parameters(one), parameters(one), flops(one, 400), artifact_bytes(one, "int4"))
    assert [type(cost) for cost in costs] == [int] * 5


def test_measured_tokenizer_sizes_replace_the_estimate():
    one = Architecture(2, 64, 2, 128, 1000)
    estimated = artifact_bytes(one, "int8")
    measured = artifact_bytes(one, "int8", tokenizer_bytes=lambda vocabulary: 20 * vocabulary)
    assert type(measured) is int
    assert estimated - measured == estimated_tokenizer_bytes(1000) - 20_000
    many = artifact_bytes(Architectures.of([one, one]), "int8", tokenizer_bytes=lambda vocabulary: 20 * vocabulary)
    assert many.tolist() == [measured, measured]
