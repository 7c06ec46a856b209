"""A decoder's layers fused into one operation give the same results as step by step, in every architecture's graph."""

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as ops

import lilliput.runtime.graphs
from lilliput.graph.blocks import ACTIVATIONS, layer_norm, rms_norm, rotary_tables, rotated, scaled, split_heads
from lilliput.graph.rotary import Rotary
from lilliput.kernels.build import kernels
from lilliput.kernels.chain import in_a_chain
from lilliput.kernels.library import Heads, Layout
from lilliput.quantize.policy import policy
from lilliput.runtime.engine import Engine
from lilliput.runtime.loading import load
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.graph.test_decoders import EXACT
from tests.graph.test_decoders import VARIANTS as DECODERS
from tests.kernels.test_source_attention import WIDE
from tests.verbs.tiny_checkpoints import VARIANTS, checkpoint, tokens

LIBRARY = kernels().library
pytestmark = pytest.mark.skipif(LIBRARY is None, reason=f"no kernels here: {kernels().about}")


@pytest.fixture(scope="module", params=[*DECODERS, *WIDE])
def artifact(request, tmp_path_factory):
    """A random model of each architecture in 8 bits."""
    folder = tmp_path_factory.mktemp("model")
    checkpoint(folder / "checkpoint", *VARIANTS[request.param])
    quantize(folder / "checkpoint", folder / "artifact", settings=QuantizeSettings(policy("int8")))
    return folder / "artifact"


def operations(engine):
    return [str(node.get_rt_info()["originalLayersNames"]) for node in engine.compiled.get_runtime_model().get_ops()]


def test_logits_of_one_token_match_step_by_step(artifact, monkeypatch):
    chained = load(artifact, threads=2).session
    monkeypatch.setattr(lilliput.runtime.graphs, "in_a_chain", lambda *_: None)
    by_steps = load(artifact, threads=2).session
    assert len(operations(chained.single)) < len(operations(by_steps.single)) / 2
    prompt = tokens(1, 20)[0]
    found, wanted = chained.start([prompt]), by_steps.start([prompt])
    np.testing.assert_array_equal(found, wanted)
    for token in (5, 8, 13):
        found, wanted = (s.step(np.array([token]), np.zeros(1, np.int64)) for s in (chained, by_steps))
        allowed = 0.01 * np.abs(wanted).max()  # a code may round differently
        np.testing.assert_allclose(found, wanted, rtol=0, atol=allowed)


def compared(build, *shapes, seed=0):
    """Outputs of a chain and of the engine on random inputs."""
    places = [ops.parameter(shape, ov.Type.f32) for shape in shapes]
    model = ov.Model([build(*places)], places, "steps")
    chain = in_a_chain(model, LIBRARY, 2)
    assert chain is not None
    assert [node.get_type_name() for node in chain.get_ops()].count("Chain") == 1
    random = np.random.default_rng(seed)
    inputs = [random.normal(random.normal(), 2, shape).astype(np.float32) for shape in shapes]
    found, wanted = (Engine(each, 1, EXACT)(*inputs)[0].reshape(-1) for each in (chain, model))
    return found, wanted


def weight(width, seed):
    return ops.constant(np.random.default_rng(seed).normal(size=width).astype(np.float32))


norms = st.tuples(st.integers(1, 5), st.integers(1, 12).map(lambda n: 16 * n), st.integers(0, 2**31))


@settings(max_examples=25, deadline=None)
@given(norms, st.sampled_from([rms_norm, layer_norm]))
def test_norms_match_the_engine(case, norm):
    rows, width, seed = case

    def build(value):
        return norm(value, weight(width, seed), weight(width, seed + 1), 1e-5)

    found, wanted = compared(build, [1, 1, rows, width], seed=seed)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["gelu", "gelu_new", "relu"])
def test_activations_match_the_engine(name):
    """Both alone and as a gate that multiplies another value."""
    found, wanted = compared(ACTIVATIONS[name], [1, 1, 4096])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6)
    found, wanted = compared(lambda one, other: ops.multiply(ACTIVATIONS[name](one), other), *[[1, 1, 4096]] * 2)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_scaled_norm_matches_the_engine():
    found, wanted = compared(lambda value: scaled(rms_norm(value, weight(64, 0), None, 1e-5), 0.3), [1, 1, 64])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.sampled_from([(16, 16), (64, 64), (64, 16), (48, 32)]), st.integers(0, 2000))
def test_rotation_matches_the_engine(heads, widths, place):
    """Rotate all dimensions of a head or the first ones."""
    width, turned = widths
    rotary = Rotary(turned, 10000.0)

    def build(value):
        positions = ops.constant(np.array([[place]], np.int64))
        return rotated(split_heads(value, heads, width), rotary_tables(rotary, positions), width)

    found, wanted = compared(build, [1, 1, heads * width], seed=place)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_unsupported_steps_are_left_to_the_engine():
    place = ops.parameter([1, 1, 32], ov.Type.f32)
    normal = rms_norm(place, weight(32, 0), None, 1e-5)
    assert in_a_chain(ov.Model([ops.exp(normal)], [place], "ends otherwise"), LIBRARY, 2) is None
    assert in_a_chain(ov.Model([ops.exp(place)], [place], "no step"), LIBRARY, 2) is None
    assert in_a_chain(ov.Model([scaled(place, 0.3)], [place], "scales no norm"), LIBRARY, 2) is None
    uneven = ops.parameter([1, 1, 40], ov.Type.f32)
    assert in_a_chain(ov.Model([rms_norm(uneven, weight(40, 0), None, 1e-5)], [uneven], "40"), LIBRARY, 2) is None


class AlteringLibrary:
    """The kernels, with every chain's program altered on the way."""

    def __init__(self, change):
        self.change = change

    def chain(self, inputs, program, threads):
        return LIBRARY.for_one_model().chain(inputs, self.change(program), threads)


def products(value):
    codes = np.ones((32, 64), np.uint8)
    number = LIBRARY.packed(Layout(32, 64, 64, 8, 0, 0, 0), codes, np.ones((32, 1), np.float16), None, True, 1)
    return LIBRARY.products(value.output(0), [number], 1)


def attention(query, key, value):
    parts = [Heads(part.output(0), 2, 16, True) for part in (query, key, value)]
    mask, order = ops.constant(np.ones((1, 1), np.int32)), ops.constant(np.zeros(1, np.int32))
    return LIBRARY.attention_going_on(LIBRARY.attention(parts, mask.output(0), order.output(0), 1, 0.25))


@pytest.mark.parametrize(
    ("build", "shapes"),
    [
        (products, [[1, 1, 64]]),
        (attention, [[1, 1, 2, 16]] * 3),
        (lambda value: rms_norm(value, weight(64, 0), None, 1e-5), [[1, 1, 64]]),
        (lambda value: layer_norm(value, weight(64, 0), weight(64, 1), 1e-5), [[1, 1, 64]]),
        (lambda value: scaled(rms_norm(value, weight(64, 0), None, 1e-5), 0.3), [[1, 1, 64]]),
        (lambda one, other: ops.multiply(ops.relu(one), other), [[1, 1, 64]] * 2),
        (ACTIVATIONS["gelu"], [[1, 1, 64]]),
    ],
)
def test_rejects_values_of_other_sizes_than_the_program_accesses(build, shapes):
    """Nothing is read or written out of bounds, even if a graph was altered."""

    def made(change):
        places = [ops.parameter(shape, ov.Type.f32) for shape in shapes]
        return in_a_chain(ov.Model([build(*places)], places, "steps"), AlteringLibrary(change), 2)

    written = []
    assert made(lambda program: written.extend(program) or program) is not None
    for place in range(1, 1 + written[0]):  # the program starts with a list of sizes
        for size in (0, written[place] - 16, written[place] + 16):
            with pytest.raises(RuntimeError, match="numbers where"):
                made(lambda program, at=place, to=size: [*program[:at], to, *program[at + 1 :]])
