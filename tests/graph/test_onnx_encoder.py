"""The ONNX graph against the same model in torch, in both engines, and its integer arithmetic against numpy."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.distill.student import Student
from lilliput.encoder import PAD_ID, EncoderConfig
from lilliput.formats.precision import PRECISIONS, ActivationRange
from lilliput.grams import Grams
from lilliput.graph.onnx_encoder import activation_names, encoder_graph
from lilliput.quantize.hooks import FakeQuantizer, RangeObserver
from lilliput.runtime.classifier import EncoderRunner
from lilliput.runtime.tokens import pad
from lilliput.search.space import Architecture

FLOAT = {"INFERENCE_PRECISION_HINT": "f32"}
SMALL = Architecture(layers=2, hidden=32, heads=2, intermediate=64, vocabulary=300)


def inputs(lengths, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(4, SMALL.vocabulary, length) for length in lengths]


def torch_logits(student, ids, members):
    batch = torch.from_numpy(pad(ids, 512))
    with torch.no_grad():
        logits, vectors = student.eval()(batch, batch != PAD_ID, torch.from_numpy(members))
    return logits.numpy(), vectors.numpy()


VARIANTS = [
    {"arity": 1, "pooling": "mean", "activation": "relu"},
    {"arity": 1, "pooling": "first", "activation": "gelu", "classes": 5},
    {"arity": 2, "pooling": "wide", "join": "difference"},
    {"arity": 2, "pooling": "first", "join": "concat", "activation": "gelu"},
    {"arity": 2, "pooling": "wide", "vector": 24},
    {"arity": 1, "pooling": "mean", "vector": 8, "classes": 3},
    {"arity": 2, "pooling": "wide", "positions": 20},
    {"arity": 1, "grams": Grams(3, 10, 6)},
    {"arity": 2, "pooling": "wide", "vector": 24, "grams": Grams(2, 8, 4)},
    {"arity": 2, "grams": Grams(2, 8, 5, "root")},
    {"arity": 2, "vector": 24, "positions": 0, "grams": Grams(2, 8, 5, "norm")},
    {"arity": 1, "positions": 0, "grams": Grams(2, 8, 5, "norm")},
    {"arity": 1, "linear": Grams(2, 10, 1, "root")},
    {"arity": 1, "vector": 8, "grams": Grams(2, 8, 4), "linear": Grams(3, 9, 3, "root"), "classes": 3},
    {"arity": 1, "positions": 0, "linear": Grams(2, 9, 1, "root")},
]


@pytest.mark.parametrize("options", VARIANTS)
def test_float_graph_equals_torch_in_both_engines(options):
    config = EncoderConfig(SMALL, **options)
    student = Student(config, seed=3)
    for name in ("linear.weight", "linear.bias") if config.linear else ():  # which start at zero
        torch.nn.init.normal_(student.weight(name), generator=torch.Generator().manual_seed(4))
    ids = inputs((5, 17, 40, 33))
    members = np.array([[0], [3], [1]]) if config.arity == 1 else np.array([[0, 1], [3, 2], [2, 2]])
    expected, vectors = torch_logits(student, ids, members)
    graph = encoder_graph(config, student.export(), PRECISIONS["fp32"]).SerializeToString()
    runner = EncoderRunner(graph, config, 1, FLOAT)
    np.testing.assert_allclose(runner.logits(ids, members), expected, atol=1e-5)
    np.testing.assert_allclose(runner.encode(ids)[-1], vectors, atol=1e-5)
    session = onnxruntime.InferenceSession(graph)
    feed = {"input_ids": pad(ids, 512)} | ({"pairs": members} if config.arity == 2 else {})
    found = session.run(["logits"], feed)[0]
    np.testing.assert_allclose(found if config.arity == 2 else found[members[:, 0]], expected, atol=1e-5)


def test_stored_vectors_are_8_bit_integers_in_both_engines():
    config = EncoderConfig(SMALL, arity=2, pooling="wide", vector=24)
    graph = encoder_graph(config, Student(config, seed=3).export(), PRECISIONS["int8"]).SerializeToString()
    ids = inputs((5, 17, 40))
    session = onnxruntime.InferenceSession(graph)
    members = np.array([[0, 1]])
    feeds = session.run(["vectors"], {"input_ids": pad(ids, 512), "pairs": members})[0]
    for vectors in (EncoderRunner(graph, config, 1).encode(ids)[-1], feeds):
        assert vectors.shape == (3, 24)
        np.testing.assert_array_equal(vectors * 128, np.rint(vectors * 128))
        assert np.abs(vectors * 128).max() <= 127 and len(np.unique(vectors)) > 20


def test_padding_changes_nothing():
    config = EncoderConfig(SMALL)
    graph = encoder_graph(config, Student(config).export(), PRECISIONS["fp32"]).SerializeToString()
    runner = EncoderRunner(graph, config, 1, FLOAT)
    ids = inputs((9, 60))
    alone = runner.encoder(ids[0][None])[0]
    together = runner.encoder(pad(ids, 512))[0][:1]
    np.testing.assert_allclose(alone, together, atol=1e-5)


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_weight_only_graph_equals_torch_with_the_rounded_weights(name):
    precision = PRECISIONS[name]
    config = EncoderConfig(Architecture(2, 64, 2, 128, 300))
    student = Student(config, seed=1)
    student.on_weight = FakeQuantizer(precision, {}).weight
    ids, members = inputs((20, 31)), np.array([[0], [1]])
    expected, _ = torch_logits(student, ids, members)
    graph = encoder_graph(config, student.export(), precision).SerializeToString()
    np.testing.assert_allclose(EncoderRunner(graph, config, 1, FLOAT).logits(ids, members), expected, atol=1e-5)
    # By default, ONNX Runtime also rounds the activations of such layers, which moves logits by a percent.
    plain = onnxruntime.SessionOptions()
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(graph, plain)
    found = session.run(["logits"], {"input_ids": pad(ids, 512)})[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_integer_graph_runs_in_integers_and_stays_close():
    config = EncoderConfig(Architecture(2, 128, 2, 256, 300))
    student = Student(config, seed=2)
    ids, members = inputs((40, 64, 80)), np.array([[0], [1], [2]])
    student.on_activation = observer = RangeObserver()
    expected, _ = torch_logits(student, ids, members)
    ranges = observer.ranges()
    assert list(ranges) == activation_names(config)
    graph = encoder_graph(config, student.export(), PRECISIONS["int8"], ranges).SerializeToString()
    runner = EncoderRunner(graph, config, 1)
    found = runner.logits(ids, members)
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max() + 0.05
    executed = runner.encoder.executed_precisions()
    integer = [name for name, precision in executed.items() if precision in ("i8", "u8")]
    assert len(integer) >= 6 * config.architecture.layers, executed


def test_both_engines_give_the_same_labels_from_the_integer_graph():
    config = EncoderConfig(SMALL, arity=2)
    student = Student(config, seed=5)
    ids = inputs(range(8, 72), seed=1)
    members = np.random.default_rng(0).integers(0, len(ids), (200, 2))
    ranges = {name: ActivationRange(-4.0, 4.0) for name in activation_names(config)}
    graph = encoder_graph(config, student.export(), PRECISIONS["int8"], ranges).SerializeToString()
    ours = EncoderRunner(graph, config, 1, FLOAT).logits(ids, members)
    feed = {"input_ids": pad(ids, 512), "pairs": members}
    theirs = onnxruntime.InferenceSession(graph).run(["logits"], feed)[0]
    clear = np.abs(ours[:, 1] - ours[:, 0]) > 0.02  # closer to the boundary, rounding decides
    assert clear.mean() > 0.7
    assert (ours.argmax(1) == theirs.argmax(1))[clear].all()


def test_weights_are_stored_at_their_precision():
    config = EncoderConfig(Architecture(1, 64, 2, 128, 500))
    weights = Student(config).export()
    size = {name: len(encoder_graph(config, weights, PRECISIONS[name]).SerializeToString()) for name in PRECISIONS}
    parameters = sum(value.size for value in weights.values())
    assert parameters * 4 < size["fp32"] < parameters * 4 + 10_000
    assert parameters < size["int8"] < parameters * 1.1 + 12_000
    assert parameters / 2 < size["int4"] < parameters * 0.6 + 12_000
    stored = onnx.load_from_string(encoder_graph(config, weights, PRECISIONS["int8"]).SerializeToString())
    kinds = {tensor.name: tensor.data_type for tensor in stored.graph.initializer}
    assert kinds["embeddings.token"] == kinds["layers.0.up.weight"] == onnx.TensorProto.INT8


@settings(deadline=None, max_examples=10)
@given(st.lists(st.integers(2, 120), min_size=1, max_size=12))
def test_vectors_do_not_depend_on_the_mix_of_lengths(lengths):
    config = EncoderConfig(Architecture(1, 32, 1, 32, 300))
    graph = encoder_graph(config, Student(config).export(), PRECISIONS["fp32"]).SerializeToString()
    runner = EncoderRunner(graph, config, 1, FLOAT)
    ids = inputs(lengths)
    together = runner.encode(ids)[-1]
    for row, item in enumerate(ids):
        np.testing.assert_allclose(runner.encode([item])[-1][0], together[row], atol=1e-5)


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_linear_model_is_stored_in_16_bits_in_integer_formats(name):
    """Few of its weights are large and many small: a single scale would round the small ones to zero."""
    config = EncoderConfig(Architecture(0, 0, 1, 0, 300), positions=0, linear=Grams(2, 10, 1, "root"))
    student, precision = Student(config), PRECISIONS[name]
    with torch.no_grad():
        student.weight("linear.weight").copy_(torch.randn(1024, 1, generator=torch.Generator().manual_seed(0)) ** 3)
    ids, members = inputs((5, 40)), np.array([[0], [1]])
    exact, _ = torch_logits(student, ids, members)
    student.on_weight = FakeQuantizer(precision, {}).weight
    rounded, _ = torch_logits(student, ids, members)
    graph = encoder_graph(config, student.export(), precision).SerializeToString()
    np.testing.assert_allclose(EncoderRunner(graph, config, 1, FLOAT).logits(ids, members), rounded, atol=1e-5)
    np.testing.assert_allclose(
        onnxruntime.InferenceSession(graph).run(["logits"], {"input_ids": pad(ids, 512)})[0], rounded, atol=1e-5
    )
    np.testing.assert_allclose(rounded, exact, atol=2e-3)
