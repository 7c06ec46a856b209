"""Our attention and its cache: against numpy for any shape, and against transformers in every decoder's graph."""

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as ops

from lilliput.graph.blocks import causal_mask
from lilliput.kernels.attention import SHARED, one_more_token, use_attention
from lilliput.kernels.build import kernels
from lilliput.kernels.library import Heads
from lilliput.runtime.engine import Engine
from lilliput.runtime.sessions import DecoderSession
from tests.graph.test_decoders import EXACT, VARIANTS, Case, padded_batch, tokens

LIBRARY = kernels().library
pytestmark = pytest.mark.skipif(LIBRARY is None, reason=f"no kernels here: {kernels().about}")

ROUNDED = 0.01
"""The share of the logits' norm that 8-bit keys and values may cost."""


def attention(heads, kv_heads, width, window=0, threads=2, tokens_first=(True, True, True), distances=0):
    """The compiled operation alone."""
    counts = (heads, kv_heads, kv_heads)
    shapes = [
        [-1, -1, c, width] if first else [-1, c, -1, width] for c, first in zip(counts, tokens_first, strict=True)
    ]
    places = [ov.opset13.parameter(shape, ov.Type.f32) for shape in shapes]
    places += [ov.opset13.parameter([-1] * rank, ov.Type.i32) for rank in (2, 1)]
    places += [ov.opset13.parameter([heads, distances], ov.Type.f32)] if distances else []
    parts = [Heads(p.output(0), c, width, first) for p, c, first in zip(places[:3], counts, tokens_first, strict=True)]
    own = LIBRARY.for_one_model()
    real, order, *bias = (place.output(0) for place in places[3:])
    node = own.attention(parts, real, order, threads, width**-0.5, window, *bias)
    return Engine(ov.Model([node], places, "attention"), 1, EXACT, library=own)


def stored(values):
    """``values [..., width]`` as kept in 8 bits: a float16 scale for every SHARED numbers."""
    shares = values.reshape(*values.shape[:-1], values.shape[-1] // SHARED, SHARED)
    scale = (np.abs(shares).max(-1, keepdims=True) / np.float32(127)).astype(np.float16).astype(np.float32)
    inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale > 0)
    codes = np.clip(np.rint(shares * inverse), -127, 127)  # in float32, as in the kernel
    return (codes.astype(np.float64) * scale).reshape(values.shape)


def expected(query, key, value, real, window=0, bias=None):
    """Attention of the last tokens ``query [B, T, H, D]`` to all of ``key``, ``value [B, S, K, D]``, in float64."""
    length, new = key.shape[1], query.shape[1]
    key, value = (np.repeat(part, query.shape[2] // key.shape[2], 2) for part in (key, value))
    scores = np.einsum("bthd,bshd->bhts", query.astype(np.float64), key) / np.sqrt(query.shape[-1])
    place, other = np.arange(length - new, length)[:, None], np.arange(length)
    if bias is not None:
        furthest = bias.shape[1] // 2
        scores += bias[:, np.clip(other - place, -furthest, furthest) + furthest]
    seen = (other <= place) & ((other > place - window) if window else True)
    scores = np.where(seen & (real[:, None, None, :] != 0), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return np.einsum("bhts,bshd->bthd", weights / weights.sum(-1, keepdims=True), value).reshape(len(query), new, -1)


cases = st.fixed_dictionaries(
    {
        "kv_heads": st.integers(1, 3),
        "sharing": st.sampled_from([1, 2, 7]),
        "width": st.sampled_from([16, 48, 64, 80]),
        "parts": st.lists(st.sampled_from([1, 1, 2, 17, 64, 130]), min_size=1, max_size=4),
        "rows": st.integers(1, 3),
        "window": st.sampled_from([0, 0, 1, 5, 100]),
        "threads": st.integers(1, 5),
        "tokens_first": st.tuples(st.booleans(), st.booleans(), st.booleans()),
        "padded": st.booleans(),
        "furthest": st.sampled_from([None, None, 0, 3, 90]),
        "seed": st.integers(0, 2**31),
    }
)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_any_shape_matches_numpy(case):
    """Tokens arrive in chunks, sequences are reordered between chunks, and keys are far from zero, as with biases."""
    random = np.random.default_rng(case["seed"])
    heads, rows, length = case["kv_heads"] * case["sharing"], case["rows"], sum(case["parts"])
    query, key, value = (
        random.normal(size=(rows, length, count, case["width"])).astype(np.float32)
        for count in (heads, case["kv_heads"], case["kv_heads"])
    )
    key += random.normal(size=(1, 1, 1, case["width"])).astype(np.float32) * 3
    real = np.ones((rows, length), np.int32)
    if case["padded"]:
        for row in range(rows):
            real[row, : random.integers(0, case["parts"][0])] = 0
    distances = 0 if case["furthest"] is None else 2 * case["furthest"] + 1
    bias = [random.normal(size=(heads, distances)).astype(np.float32)] if distances else []
    sizes = heads, case["kv_heads"], case["width"], case["window"]
    engine = attention(*sizes, case["threads"], case["tokens_first"], distances)
    kept, kept_value, kept_real = (stored(key[:, :0]), stored(value[:, :0]), real[:, :0])
    begin = 0
    for count in case["parts"]:
        part = slice(begin, begin + count)
        order = random.permutation(rows) if begin else np.arange(rows)
        kept = np.concatenate((kept[order], stored(key[:, part])), 1)
        kept_value = np.concatenate((kept_value[order], stored(value[:, part])), 1)
        kept_real = np.concatenate((kept_real[order], real[:, part]), 1)
        given_parts = [
            np.ascontiguousarray(array[:, part] if first else array[:, part].swapaxes(1, 2))
            for array, first in zip((query, key, value), case["tokens_first"], strict=True)
        ]
        (found,) = engine(*given_parts, kept_real, order.astype(np.int32), *bias)
        with np.errstate(invalid="ignore"):
            wanted = expected(query[:, part], kept, kept_value, kept_real, case["window"], *bias)
        seen = kept_real[:, part].astype(bool)  # results at padding do not matter
        np.testing.assert_allclose(found[seen], wanted[seen], rtol=0, atol=1e-4 * np.abs(value).max())
        assert np.isfinite(found).all()
        begin += count


@pytest.mark.parametrize("size", [1, 1e-3, 1e-4, 1e-5, 1e-6])
def test_small_values_lose_only_precision(size):
    """Below 2^-14, float16 scales have little precision; the largest number still gets a code."""
    engine = attention(1, 1, 64)
    query, key, value = (numbers(1, 1, 1, 64, seed=seed) * np.float32(size) for seed in range(3))
    (found,) = engine(query, key, value, ones(1, 1), np.zeros(1, np.int32))
    step = np.abs(value.reshape(4, 16)).max(1, keepdims=True) / 127 + 2.0**-24
    assert (np.abs(found.reshape(4, 16) - value.reshape(4, 16)) <= 0.51 * step).all()


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def ones(rows, length):
    return np.ones((rows, length), np.int32)


def test_samples_of_one_prompt_do_not_overwrite_each_other():
    """They share the prompt's pages, the last of which is partly filled."""
    engine = attention(2, 1, 16)
    prompt = [numbers(1, 70, count, 16, seed=count) for count in (2, 1, 1)]
    engine(*prompt, ones(1, 70), np.zeros(1, np.int32))
    steps = [[numbers(3, 1, count, 16, seed=9 * step + count) for count in (2, 1, 1)] for step in (1, 2)]
    engine(*steps[0], ones(3, 71), np.zeros(3, np.int32))
    (found,) = engine(*steps[1], ones(3, 72), np.arange(3, dtype=np.int32))
    key, value = (
        np.concatenate([stored(np.repeat(prompt[i], 3, 0)), stored(steps[0][i]), stored(steps[1][i])], 1)
        for i in (1, 2)
    )
    np.testing.assert_allclose(found, expected(steps[1][0], key, value, ones(3, 72)), rtol=0, atol=1e-3)


def test_new_prompt_resets_the_cache():
    engine = attention(2, 1, 16)
    first, second = ([numbers(1, n, count, 16, seed=n + count) for count in (2, 1, 1)] for n in (40, 9))
    alone = attention(2, 1, 16)(*second, ones(1, 9), np.zeros(1, np.int32))[0]
    engine(*first, ones(1, 40), np.zeros(1, np.int32))
    np.testing.assert_array_equal(engine(*second, ones(1, 9), np.zeros(1, np.int32))[0], alone)


@pytest.mark.parametrize(
    ("mask", "order", "complaint"),
    [
        (ones(1, 9), [0], "not of what was read"),
        (ones(2, 5), [0], "not of as many sequences"),
        (ones(1, 5), [1], "no such sequence"),
        (ones(1, 5), [-1], "no such sequence"),
    ],
)
def test_rejects_inputs_that_contradict_the_cache(mask, order, complaint):
    engine = attention(2, 1, 16)
    engine(*(numbers(1, 4, count, 16) for count in (2, 1, 1)), ones(1, 4), np.zeros(1, np.int32))
    with pytest.raises(RuntimeError, match=complaint):
        engine(*(numbers(1, 1, count, 16) for count in (2, 1, 1)), mask, np.array(order, np.int32))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_rejects_keys_or_values_of_another_number_of_tokens(place):
    shapes = [(1, 4, 2, 16), (1, 4, 1, 16), (1, 4, 1, 16)]
    shapes[place] = (1, 3, *shapes[place][2:])
    with pytest.raises(RuntimeError, match=r"of other tokens|not of what was read"):
        attention(2, 1, 16)(*(numbers(*shape) for shape in shapes), ones(1, 4), np.zeros(1, np.int32))


@pytest.mark.parametrize("tokens", [3, 70])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_nan_in_the_last_token_gives_nan(place, tokens):
    """Earlier tokens get NaN only from the last token's value, which they weight with zero."""
    parts = [numbers(1, tokens, count, 16, seed=count) for count in (2, 1, 1)]
    parts[place][0, -1, 0, 3] = np.nan
    (found,) = attention(2, 1, 16)(*parts, ones(1, tokens), np.zeros(1, np.int32))
    assert place == 2 or np.isfinite(found[:, :-1]).all()
    assert np.isnan(found[:, -1]).any()


def test_failures_are_reported_to_the_model_that_failed():
    failing, sound = attention(2, 1, 16), attention(2, 1, 16)
    good = [*(numbers(1, 4, count, 16) for count in (2, 1, 1)), ones(1, 4), np.zeros(1, np.int32)]
    bad = [*good[:3], ones(1, 9), good[4]]
    failing.request.infer(bad)  # the engine does not report it
    assert np.isfinite(sound(*good)[0]).all()
    with pytest.raises(RuntimeError, match="not of what was read"):
        failing.library.raise_failure()


def test_no_tokens_give_an_empty_result():
    engine = attention(2, 1, 16)
    (found,) = engine(*(numbers(1, 0, count, 16) for count in (2, 1, 1)), ones(1, 0), np.zeros(1, np.int32))
    assert found.shape == (1, 0, 32)


@pytest.fixture(scope="module", params=VARIANTS)
def case(request, tmp_path_factory):
    """A random model of each architecture, with our attention."""
    made = Case(*VARIANTS[request.param], tmp_path_factory.mktemp("model"))
    made.names = use_attention(made.model, LIBRARY, 2)
    made.ours = Engine(made.model, 1, EXACT)
    return made


def near(found, wanted):
    assert np.linalg.norm(found - wanted) < ROUNDED * np.linalg.norm(wanted)


def test_attention_of_every_decoder_is_replaced(case):
    assert len(case.names) == 2
    assert not case.model.get_sinks()
    assert not case.model.get_variables()
    kinds = [node.get_type_name() for node in case.model.get_ops()]
    assert kinds.count("CachedAttention") == 2
    assert not {"ScaledDotProductAttention", "ReadValue", "Assign"} & set(kinds)


def test_prefill_chunks_and_single_tokens_match_transformers(case):
    ids = tokens(1, 20)
    mask = np.ones_like(ids)
    wanted = case.expected(ids, mask)
    near(case.run(ids, mask), wanted)
    parts = [case.run(ids[:, a:b], mask[:, :b]) for a, b in ((0, 9), (9, 16), (16, 17), (17, 18), (18, 20))]
    near(np.concatenate(parts, 1), wanted)


def test_padded_batch_matches_transformers(case):
    ids, mask = padded_batch()
    found = np.concatenate([case.run(ids[:, :10], mask[:, :10]), case.run(ids[:, 10:], mask)], 1)
    real = mask.astype(bool)
    near(found[real], case.expected(ids, mask)[real])


def attention_with_states(orders=(0, 0), axis=0, kept=("keys", "values")):
    """The graph of one attention with its states, as in decoders except for the arguments."""
    ids, mask = (ops.parameter([-1, -1], ov.Type.i64) for _ in range(2))
    given = [ops.parameter([-1], ov.Type.i32) for _ in range(2)]
    query, *new = (ops.parameter([-1, 2, -1, 16], ov.Type.f32) for _ in range(3))
    states, wholes = {}, []
    for name, order, value in zip(("keys", "values"), orders, new, strict=True):
        info = ov.op.util.VariableInfo()
        info.data_shape, info.data_type, info.variable_id = ov.PartialShape([-1, 2, -1, 16]), ov.Type.f32, name
        states[name] = ov.op.util.Variable(info)
        past = ops.gather(ops.read_value(query, states[name]), given[order], ops.constant(axis))
        wholes.append(ops.concat([past, value], 2))
    sinks = [ops.assign(whole, states[name]) for whole, name in zip(wholes, kept, strict=True)]
    found = ops.scaled_dot_product_attention(query, *wholes, causal_mask(ids, mask, None))
    joined = ops.reshape(ops.transpose(found, ops.constant([0, 2, 1, 3])), ops.constant([0, 0, 32]), True)
    return ov.Model([ops.result(joined)], sinks, [ids, mask, *given, query, *new], "one attention")


def test_only_states_as_decoders_keep_them_are_replaced():
    assert len(use_attention(attention_with_states(), LIBRARY, 2)) == 1
    assert use_attention(attention_with_states(orders=(0, 1)), LIBRARY, 2) == []
    assert use_attention(attention_with_states(axis=2), LIBRARY, 2) == []
    assert use_attention(attention_with_states(kept=("values", "keys")), LIBRARY, 2) == []


class CountingSession(DecoderSession):
    """Counts the tokens read by the graph of fixed shapes."""

    alone = 0

    def _one(self, token, place):
        self.alone += 1
        return super()._one(token, place)


def after(session, prompts, *steps):
    """Logits after the prompts and steps of ``(tokens, parents)``."""
    logits = session.start(prompts)
    for read, parents in steps:
        logits = session.step(np.array(read), np.array(parents))
    return logits


def test_graph_of_fixed_shapes_reads_single_tokens(case):
    """It does so wherever a session has one sequence without padding. A cached value may round to the next code if sums
    were added in another order."""
    single = Engine(one_more_token(case.model, LIBRARY), 1, EXACT)
    first, second = tokens(1, 9, seed=2)[0], tokens(1, 4, seed=3)[0]
    steps = [([token], [0]) for token in (5, 8, 13)]
    session = CountingSession(case.ours, single=single)
    wanted = after(DecoderSession(case.ours), [first], *steps)
    np.testing.assert_allclose(after(session, [first], *steps), wanted, rtol=0, atol=1e-3)
    assert session.alone == 3
    mixed = [([5, 5], [0, 1]), ([8], [1]), ([13], [0])]  # the sequence that remains has padding
    wanted = after(DecoderSession(case.ours), [second], *steps)
    np.testing.assert_allclose(after(session, [first, second], *mixed), wanted, rtol=0, atol=1e-3)
    assert session.alone == 3
    samples = [([5, 6], [0, 0]), ([8], [0]), ([13], [0])]  # no padding, but two sequences until the second step
    wanted = after(DecoderSession(case.ours), [first], *steps)
    np.testing.assert_allclose(after(session, [first], *samples), wanted, rtol=0, atol=1e-3)
    assert session.alone == 4


def test_no_graph_of_fixed_shapes_if_the_engine_keeps_the_state(tmp_path):
    made = Case(*VARIANTS["llama"], tmp_path)
    assert one_more_token(made.model, LIBRARY) is None


def test_no_graph_of_fixed_shapes_if_there_are_other_states(tmp_path):
    """The graph of one token would lose a state that does not belong to attention."""
    made = Case(*VARIANTS["llama"], tmp_path)
    use_attention(made.model, LIBRARY, 2)
    info = ov.op.util.VariableInfo()
    info.data_shape, info.data_type, info.variable_id = ov.PartialShape([1]), ov.Type.f32, "more"
    variable = ov.op.util.Variable(info)
    value = ov.opset13.read_value(ov.opset13.constant(np.zeros(1, np.float32)), variable)
    made.model.add_variables([variable])
    made.model.add_sinks([ov.opset13.assign(value, variable)])
    assert one_more_token(made.model, LIBRARY) is None
