"""The kernels compute a graph's products with quantized weights, whatever their shape and format."""

import gc

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as ops

from lilliput.graph.stored import write_graphs
from lilliput.kernels.build import kernels
from lilliput.kernels.library import Layout
from lilliput.kernels.products import stored_products, use_kernels
from lilliput.runtime.engine import Engine
from tests.graph.test_stored import (
    EXACT,
    ROWS,
    SCHEMES,
    STEPS,
    WIDTH,
    linear_graph,
    matrix,
    meant,
    streamed,
    tied_graph,
)
from tests.kernels.rounding import rounded, slack

LIBRARY = kernels().library
pytestmark = pytest.mark.skipif(LIBRARY is None, reason=f"no kernels here: {kernels().about}")

MADE_FOR = {name for name, scheme in SCHEMES.items() if scheme.kind.name.startswith(("int8", "int4", "int3"))}


def replaced(model, input_group=WIDTH, threads=2):
    names = use_kernels(model, LIBRARY, input_group, threads)
    return names, Engine(model, 1, EXACT)


def read(build, scheme, folder):
    weights, entries = streamed(matrix(), scheme, folder)
    (path,) = write_graphs(lambda values: {"graph": build(values)}, entries, weights.parent, weights)
    return ov.Core().read_model(str(path), str(weights))


@pytest.mark.parametrize("name", SCHEMES)
def test_every_stored_format_is_multiplied_right(name, tmp_path):
    """Supported formats are computed by the kernels, the rest by the engine."""
    names, engine = replaced(read(linear_graph, SCHEMES[name], tmp_path / "work"))
    expected = meant(matrix(), SCHEMES[name])
    by_kernels = name in MADE_FOR and name != "int8, one scale and zero point"
    assert len(names) == by_kernels
    for tokens in (1, 5, 9, 200):
        value = np.random.default_rng(2).normal(size=(2, tokens, WIDTH)).astype(np.float32)
        (found,) = engine(value)
        group = SCHEMES[name].fitted(WIDTH).group if "groups" in name else WIDTH
        scaled = rounded(value * STEPS, group) if by_kernels else value * STEPS.astype(np.float64)
        weights = np.abs(expected) * 2.0**-10 + 2**-24
        allowed = np.abs(scaled) @ weights.T + slack(value * STEPS, group) @ np.abs(expected).T + 1e-5
        assert (np.abs(found.reshape(2, tokens, ROWS) - scaled @ expected.T) <= allowed).all()


def test_table_that_is_also_the_output_layer(tmp_path):
    """Looking up rows of the table is left to the engine."""
    names, engine = replaced(read(tied_graph, SCHEMES["int8, rows"], tmp_path / "work"))
    expected = meant(matrix(), SCHEMES["int8, rows"])
    ids = np.array([[0, 5, 6, 9]])
    assert len(names) == 1
    vectors = rounded(expected[ids], WIDTH)
    np.testing.assert_allclose(engine(ids)[0], vectors @ expected.T, rtol=2e-3, atol=2e-3 * np.abs(expected).max() ** 2)


def test_products_of_unrounded_inputs_are_left_to_the_engine(tmp_path):
    model = read(linear_graph, SCHEMES["int4, groups"], tmp_path / "work")
    assert use_kernels(model, LIBRARY, 0, 1) == []
    assert len(stored_products(model)) == 1


shapes = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 150),
        "groups": st.integers(1, 5),
        "group": st.sampled_from([16, 32, 48, 112, 128]),
        "bits": st.sampled_from([4, 8]),
        "grouped": st.booleans(),
        "zeros": st.booleans(),
        "signed": st.booleans(),
        "tokens": st.sampled_from([1, 2, 6, 7, 8, 20, 97, 150]),
        "seed": st.integers(0, 2**31),
    }
)


@settings(max_examples=100, deadline=None)
@given(shapes)
def test_any_shape_matches_numpy(case):
    """Codes, scales and zeros come straight from numpy; rounding leaves the inputs unchanged, so sums are exact."""
    random = np.random.default_rng(case["seed"])
    rows, columns, bits = case["rows"], case["groups"] * case["group"], case["bits"]
    codes = random.integers(0, 2**bits, (rows, columns), np.uint8)
    scales = random.uniform(0.5, 2, (rows, case["groups"] if case["grouped"] else 1)).astype(np.float16)
    zeros = random.integers(0, 2**bits, scales.shape, np.uint8)
    meant_zeros = zeros.astype(int) if case["zeros"] else 2 ** (bits - 1)
    wide = [
        np.repeat(part, columns // scales.shape[1], 1) for part in (scales, np.broadcast_to(meant_zeros, scales.shape))
    ]
    weights = (codes.astype(np.float64) - wide[1]) * wide[0]
    flip = np.uint8(2 ** (bits - 1) if case["signed"] else 0)
    layout = Layout(rows, columns, case["group"], bits, int(case["grouped"]), int(case["zeros"]), 0)
    number = LIBRARY.packed(
        layout,
        packed(codes ^ flip, bits),
        scales,
        packed(zeros ^ flip, bits) if case["zeros"] else None,
        case["signed"],
        2,
    )
    place = ov.opset13.parameter([-1, -1, columns], ov.Type.f32)
    engine = Engine(ov.Model([LIBRARY.products(place.output(0), [number], 2)], [place], "product"), 1)
    inputs = random.integers(-127, 128, (1, case["tokens"], columns)).astype(np.float32)
    inputs[..., :: case["group"]] = 127
    (found,) = engine(inputs)
    np.testing.assert_allclose(
        found, inputs @ weights.T, rtol=1e-5, atol=1e-5 * np.abs(inputs).max() * np.abs(weights).sum(1).max()
    )


def packed(codes, bits):
    """Codes as artifacts store them: two 4-bit codes per byte, the first in the low half."""
    flat = codes.reshape(-1)
    if bits == 8:
        return flat
    flat = np.append(flat, np.zeros(len(flat) % 2, np.uint8))
    return flat[::2] | flat[1::2] << 4


def product_of(columns, numbers, gated=False):
    place = ov.opset13.parameter([-1, -1, columns], ov.Type.f32)
    node = LIBRARY.products(place.output(0), numbers, 2, gated)
    return ov.Model(node.outputs(), [place], "products")


def simple(value, rows=16, columns=32):
    """8-bit weights that are all one number."""
    codes = np.full((rows, columns), np.uint8(128 + value))
    return LIBRARY.packed(Layout(rows, columns, 16, 8, 0, 0, 0), codes, np.ones((rows, 1), np.float16), None, False, 1)


def test_several_weights_of_one_input():
    engine = Engine(product_of(32, [simple(1, 16), simple(2, 40), simple(-3, 5)]), 1)
    for tokens in (1, 3):
        found = engine(np.ones((1, tokens, 32), np.float32))
        assert [part.shape[-1] for part in found] == [16, 40, 5]
        assert [set(np.rint(part).ravel()) for part in found] == [{32}, {64}, {-96}]


def test_no_tokens_and_zeros():
    engine = Engine(product_of(32, [simple(1)]), 1)
    assert engine(np.zeros((1, 0, 32), np.float32))[0].shape == (1, 0, 16)
    assert (engine(np.zeros((1, 2, 32), np.float32))[0] == 0).all()


@pytest.mark.parametrize("tokens", [1, 40])
@pytest.mark.parametrize("size", [1e-6, 1e-20, 1e-36, 1e-38, 1e-44])
def test_tiny_inputs_are_rounded_or_vanish(size, tokens):
    """They vanish where float32 cannot represent the inverse of their scale."""
    inputs = (np.random.default_rng(0).uniform(-1, 1, (1, tokens, 32)) * size).astype(np.float32)
    (found,) = Engine(product_of(32, [simple(3)]), 1)(inputs)
    exact = 3 * inputs.astype(np.float64).sum(-1, keepdims=True)
    rounding = 3 * 32 * 0.51 * size / 127
    assert (np.abs(found - exact) <= (rounding if size > 1e-37 else 1e-25)).all()


def test_weights_live_as_long_as_an_operation_uses_them():
    number = simple(1)
    first = product_of(32, [number])
    second = product_of(32, [number])
    del first
    found = Engine(second, 1)(np.ones((1, 1, 32), np.float32))
    assert found[0].max() == 32
    del second
    gc.collect()
    with pytest.raises(RuntimeError, match="no weights have that number"):
        product_of(32, [number])


def test_products_with_equal_inputs_and_other_weights_stay_separate():
    """The engine merges operations with equal inputs and attributes."""
    place = ov.opset13.parameter([-1, -1, 32], ov.Type.f32)
    nodes = [LIBRARY.products(place.output(0), [simple(value)], 1) for value in (1, 2)]
    engine = Engine(ov.Model([node.output(0) for node in nodes], [place], "two"), 1)
    assert [found.max() for found in engine(np.ones((1, 1, 32), np.float32))] == [32, 64]


@pytest.mark.parametrize("tokens", [1, 3, 20])
@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_nan_and_infinity_stay_in_their_token(strange, tokens):
    inputs = np.ones((1, tokens, 32), np.float32)
    inputs[0, -1, 17] = strange
    found = Engine(product_of(32, [simple(1)]), 1)(inputs)[0][0]
    assert (np.rint(found[:-1]) == 32).all()
    assert not np.isfinite(found[-1]).any()


@pytest.mark.parametrize("shape", [(-1, -1, 16), (-1, -1, 48), ()])
def test_rejects_inputs_of_another_width(shape):
    place = ov.opset13.parameter(shape, ov.Type.f32)
    with pytest.raises(RuntimeError, match="QuantizedProducts"):
        LIBRARY.products(place.output(0), [simple(1)], 1)
    own, place = LIBRARY.for_one_model(), ov.opset13.parameter([-1, -1, -1], ov.Type.f32)
    engine = Engine(ov.Model([own.products(place.output(0), [simple(1)], 1)], [place], "any"), 1, library=own)
    with pytest.raises(RuntimeError, match="not as wide as the weights"):
        engine(np.ones((1, 2, 16), np.float32))


def test_rejects_weights_that_do_not_fit_together():
    place = ov.opset13.parameter([-1, -1, 32], ov.Type.f32)
    for numbers, gated in (([simple(1), simple(1, 16, 64)], False), ([simple(1, 16), simple(1, 40)], True)):
        with pytest.raises(RuntimeError, match="QuantizedProducts"):
            LIBRARY.products(place.output(0), numbers, 1, gated)


def test_forgotten_weights_are_gone():
    number = simple(1)
    LIBRARY.forget(number)
    with pytest.raises(RuntimeError, match="no weights have that number"):
        product_of(32, [number])


def test_invalid_numbers_of_threads_are_harmless():
    codes = np.full((16, 32), np.uint8(129))
    layout = Layout(16, 32, 16, 8, 0, 0, 0)
    assert LIBRARY.packed(layout, codes, np.ones((16, 1), np.float16), None, False, -1) > 0
    assert LIBRARY.packed(layout, codes, np.ones((16, 1), np.float16), None, False, 0) > 0


def weights_of(codes, scales, turned, width):
    """A product whose stored weights have these shapes and are reshaped to ``turned`` before the product."""
    place = ov.opset13.parameter([-1, -1, width], ov.Type.f32)
    value = ops.convert(ops.constant(np.ones(codes, np.int8)), "f16")
    value = ops.multiply(value, ops.constant(np.ones(scales, np.float16)))
    value = ops.convert(ops.reshape(value, ops.constant(list(turned)), False), "f32")
    return ov.Model([ops.matmul(place, value, False, True)], [place], "product")


@pytest.mark.parametrize(
    ("codes", "scales", "turned", "fits"),
    [
        ((64, 32), (64, 1), (64, 32), True),
        ((64, 2, 16), (64, 2, 1), (64, 32), True),
        ((64, 2, 16), (1, 1, 1), (64, 32), True),
        ((64, 32), (64, 1), (32, 64), False),
        ((64, 2, 16), (64, 1, 1), (64, 32), False),
        ((16, 4, 32), (16, 1, 1), (64, 32), False),
        ((2, 2, 16, 32), (2, 2, 16, 1), (64, 32), False),
    ],
)
def test_only_weights_whose_rows_fit_the_product_are_replaced(codes, scales, turned, fits):
    """With codes in other rows than the product's, the kernels would write out of bounds."""
    assert len(stored_products(weights_of(codes, scales, turned, turned[1]))) == fits


def test_two_graphs_run_concurrently():
    """While the worker threads are busy, the second graph works alone: both are right."""
    from concurrent.futures import ThreadPoolExecutor

    engines = [Engine(product_of(32, [simple(value, 640)]), 1) for value in (1, 2)]

    def work(engine):
        return {float(engine(np.ones((1, tokens, 32), np.float32))[0].mean()) for tokens in [1, 40] * 50}

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, engines)) == [{32.0}, {64.0}]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("rows", [16, 40, 130])
def test_gated_layer_is_one_operation(rows, reverse):
    """``silu(gate) * up``, as in Llama's feed-forward layers."""
    random = np.random.default_rng(3)
    columns, place = 64, ov.opset13.parameter([-1, -1, 64], ov.Type.f32)
    codes = random.integers(-128, 128, (2, rows, columns)).astype(np.int8)
    scales = random.uniform(1e-4, 1e-3, (2, rows, 1)).astype(np.float16)
    weights = [
        ops.convert(ops.multiply(ops.convert(ops.constant(c), "f16"), ops.constant(s)), "f32")
        for c, s in zip(codes, scales, strict=True)
    ]
    gate, up = (ops.matmul(place, weight, False, True) for weight in weights)
    both = [up, ops.swish(gate)] if reverse else [ops.swish(gate), up]
    model = ov.Model([ops.multiply(*both)], [place], "gated")
    names, engine = replaced(model, 32)
    assert len(names) == 2
    assert [node.get_type_name() for node in model.get_ops()].count("Swish") == 0
    dense = codes.astype(np.float64) * scales
    for tokens in (1, 11, 100):
        inputs = random.integers(-127, 128, (1, tokens, columns)).astype(np.float32)
        inputs[..., ::32] = 127
        first, second = inputs @ dense[0].T, inputs @ dense[1].T
        assert np.abs(first).max() > 10
        np.testing.assert_allclose(engine(inputs)[0], first / (1 + np.exp(-first)) * second, rtol=2e-4, atol=1e-4)


def test_gates_saturate_without_overflow():
    """Gates far from zero pass everything or nothing."""
    gates = [1, 100, -100]
    for value in gates:
        engine = Engine(product_of(32, [simple(value), simple(1)], gated=True), 1)
        found = engine(np.full((1, 2, 32), 127, np.float32))[0]
        first = 32.0 * 127 * value
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, max(first, 0) * 32 * 127, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("rows", [16, 40])
def test_additions_are_fused(rows):
    """A bias, a residual connection, or both; a product that is also read elsewhere keeps its sum in the graph."""
    random = np.random.default_rng(4)
    place, other = (ov.opset13.parameter([-1, -1, width], ov.Type.f32) for width in (32, rows))
    bias = random.normal(size=(1, 1, rows)).astype(np.float32)
    codes = random.integers(-128, 128, (rows, 32)).astype(np.int8)
    chain = ops.multiply(ops.convert(ops.constant(codes), "f16"), ops.constant(np.full((rows, 1), 0.5, np.float16)))
    inputs = random.integers(-127, 128, (1, 9, 32)).astype(np.float32)
    inputs[..., ::16] = 127
    added = random.normal(size=(1, 9, rows)).astype(np.float32)
    expected = inputs @ (codes.T * 0.5)
    for build, wanted, sums_left in (
        (lambda product: [ops.add(product, ops.constant(bias))], [expected + bias], 0),
        (lambda product: [ops.add(other, product)], [expected + added], 0),
        (lambda product: [ops.add(ops.add(ops.constant(bias), product), other)], [expected + bias + added], 0),
        (lambda product: [ops.add(product, other), product], [expected + added, expected], 1),
        (lambda product: [ops.add(product, product)], [2 * expected], 1),
        (lambda product: [ops.add(product, ops.constant(np.float32(3)))], [expected + 3], 1),
    ):
        results = build(ops.matmul(place, ops.convert(chain, "f32"), False, True))
        model = ov.Model(results, [place, other], "sums")
        names, engine = replaced(model, 16)
        assert len(names) == 1
        assert [node.get_type_name() for node in model.get_ops()].count("Add") == sums_left
        for tokens in (1, 9):
            found = engine(inputs[:, :tokens], added[:, :tokens])
            for part, whole in zip(found, wanted, strict=True):
                np.testing.assert_allclose(part, whole[:, :tokens], rtol=1e-5, atol=1e-2)
