"""Students that read data flow: torch against the layout's own mask, and the graph in both engines against torch."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from lilliput.batching import FlowTokenIds
from lilliput.data_flow import DataFlow, GraphInput, over, stacked
from lilliput.distill.flow import attention_with
from lilliput.distill.student import Student
from lilliput.encoder import PAD_ID, EncoderConfig
from lilliput.formats.precision import PRECISIONS
from lilliput.grams import Grams
from lilliput.graph.onnx_encoder import activation_names, encoder_graph
from lilliput.graph.onnx_flow import EDGES, SPANS
from lilliput.quantize.hooks import FakeQuantizer, RangeObserver
from lilliput.runtime.classifier import EncoderRunner
from lilliput.runtime.tokens import pad
from lilliput.search.space import Architecture

FLOAT = {"INFERENCE_PRECISION_HINT": "f32"}
SMALL = Architecture(layers=2, hidden=32, heads=2, intermediate=64, vocabulary=300)
FLOW = DataFlow(nodes=20, language="c")
VARIANTS = [
    {"arity": 1, "pooling": "mean"},
    {"arity": 1, "pooling": "first", "activation": "gelu", "classes": 5},
    {"arity": 2, "pooling": "wide", "vector": 24},
    {"arity": 2, "pooling": "wide", "positions": 20},
    {"arity": 1, "pooling": "mean", "positions": 20, "grams": Grams(2, 8, 4)},
]
LENGTHS = ((5, 0), (17, 3), (40, 20), (33, 1))
"""Tokens and nodes of the functions; the first function has none."""


def made(tokens: int, nodes: int, seen: int, random: np.random.Generator) -> GraphInput:
    """A function of random tokens, with nodes that span one to three of them and about two edges per node."""
    ids = np.array([0, *random.integers(4, SMALL.vocabulary, tokens - 2), 2])
    first = np.sort(random.integers(1, min(tokens, seen) - 1, nodes))
    last = np.minimum(first + random.integers(1, 4, nodes), min(tokens - 1, seen))
    edges = np.argwhere(random.random((nodes, nodes)) < 2 / max(nodes, 1))
    return over(ids, np.stack((first, last), 1), edges)


def functions(config: EncoderConfig, seed: int = 0, lengths=LENGTHS) -> list[GraphInput]:
    random = np.random.default_rng(seed)
    return [made(tokens, nodes, config.positions, random) for tokens, nodes in lengths]


def torch_outputs(student: Student, items: list[GraphInput], members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tokens = FlowTokenIds([item.tokens for item in items], PAD_ID, 512, items)
    rows = np.arange(len(items))
    ids = tokens.padded(rows)
    with torch.no_grad():
        mask = tokens.mask(rows, ids.shape[1])
        logits, vectors = student.eval()(ids, mask, torch.from_numpy(members), tokens.nodes(rows))
    return logits.numpy(), vectors.numpy()


def test_attention_mask_matches_the_layout():
    items = functions(EncoderConfig(SMALL, data_flow=FLOW))
    tokens = FlowTokenIds([item.tokens for item in items], PAD_ID, 512, items)
    rows = np.arange(len(items))
    ids, nodes = tokens.padded(rows), tokens.nodes(rows)
    found = attention_with(nodes, ids, ids != PAD_ID)
    for row, item in enumerate(items):
        real = np.flatnonzero(found.real[row].numpy())
        assert len(real) == len(item)
        np.testing.assert_array_equal(found.attends[row].numpy()[np.ix_(real, real)], item.mask)
        assert not found.attends[row][real][:, ~found.real[row]].any()
        expected = [
            np.bincount(range(first, last), minlength=ids.shape[1]) / (last - first) for first, last in item.spans
        ]
        np.testing.assert_allclose(found.means[row, : len(expected)].numpy(), np.reshape(expected, (-1, ids.shape[1])))


@pytest.mark.parametrize("options", VARIANTS)
def test_float_graph_equals_torch_in_both_engines(options):
    config = EncoderConfig(SMALL, data_flow=FLOW, **options)
    student = Student(config, seed=3)
    with torch.no_grad():
        student.weight("embeddings.node").mul_(10)  # so that it matters
    items = functions(config)
    members = np.array([[0], [3], [1]]) if config.arity == 1 else np.array([[0, 1], [3, 2], [2, 2]])
    expected, vectors = torch_outputs(student, items, members)
    graph = encoder_graph(config, student.export(), PRECISIONS["fp32"]).SerializeToString()
    runner = EncoderRunner(graph, config, 1, FLOAT)
    np.testing.assert_allclose(runner.logits(items, members), expected, atol=1e-5)
    np.testing.assert_allclose(runner.encode(items)[-1], vectors, atol=1e-5)
    session = onnxruntime.InferenceSession(graph)
    spans, edges = stacked(items, 4)
    feed = {"input_ids": pad([item.tokens for item in items], 512), SPANS: spans, EDGES: edges}
    found = session.run(["logits"], feed | ({"pairs": members} if config.arity == 2 else {}))[0]
    np.testing.assert_allclose(found if config.arity == 2 else found[members[:, 0]], expected, atol=1e-5)


def test_data_flow_affects_only_functions_that_have_it():
    config = EncoderConfig(SMALL, data_flow=FLOW)
    items = functions(config)
    members = np.arange(len(items))[:, None]
    student = Student(config, seed=3)
    plain = Student(EncoderConfig(SMALL), seed=3)
    plain.load(student.export())
    with_it, _ = torch_outputs(student, items, members)
    ids = torch.from_numpy(pad([item.tokens for item in items], 512))
    with torch.no_grad():
        without, _ = plain.eval()(ids, ids != PAD_ID, torch.from_numpy(members))
    apart = np.abs(with_it - without.numpy()).max(1)
    assert apart[0] < 1e-6 and (apart[1:] > 1e-4).all()


def test_integer_graph_runs_in_integers_and_stays_close():
    config = EncoderConfig(Architecture(2, 128, 2, 256, 300), data_flow=FLOW)
    student = Student(config, seed=2)
    items, members = functions(config, 1, ((40, 12), (64, 20), (80, 7))), np.array([[0], [1], [2]])
    student.on_activation = observer = RangeObserver()
    expected, _ = torch_outputs(student, items, members)
    ranges = observer.ranges()
    assert list(ranges) == activation_names(config)
    graph = encoder_graph(config, student.export(), PRECISIONS["int8"], ranges).SerializeToString()
    runner = EncoderRunner(graph, config, 1)
    found = runner.logits(items, members)
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max() + 0.05
    executed = runner.encoder.executed_precisions()
    integer = [name for name, precision in executed.items() if precision in ("i8", "u8")]
    assert len(integer) >= 6 * config.architecture.layers, executed


def test_weight_only_graph_equals_torch_with_the_rounded_weights():
    config = EncoderConfig(Architecture(2, 64, 2, 128, 300), data_flow=FLOW)
    student = Student(config, seed=1)
    student.on_weight = FakeQuantizer(PRECISIONS["int4"], {}).weight
    items, members = functions(config), np.array([[0], [1], [2]])
    expected, _ = torch_outputs(student, items, members)
    graph = encoder_graph(config, student.export(), PRECISIONS["int4"]).SerializeToString()
    np.testing.assert_allclose(EncoderRunner(graph, config, 1, FLOAT).logits(items, members), expected, atol=1e-5)


def test_vector_of_a_function_does_not_depend_on_its_batch():
    config = EncoderConfig(SMALL, data_flow=FLOW)
    graph = encoder_graph(config, Student(config, seed=3).export(), PRECISIONS["fp32"]).SerializeToString()
    runner = EncoderRunner(graph, config, 1, FLOAT)
    items = functions(config, 2, ((9, 2), (60, 20), (61, 0), (58, 17)))
    together = runner.encode(items)[-1]
    for row, item in enumerate(items):
        np.testing.assert_allclose(runner.encode([item])[-1][0], together[row], atol=1e-5)
