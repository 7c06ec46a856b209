"""Our cross-attention to a source: against numpy for any shape, and against transformers in every encoder-decoder."""

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openvino import opset13 as ops

from lilliput.graph.seq2seq import encoder_graph
from lilliput.kernels.attention import SHARED, one_more_token, use_attention
from lilliput.kernels.build import kernels
from lilliput.kernels.library import SOURCE_ATTENTION, Heads
from lilliput.kernels.sources import CROSS, SOURCE_MASK, use_source_attention
from lilliput.runtime.engine import Engine
from lilliput.runtime.sessions import Seq2SeqSession
from tests.graph.test_decoders import EXACT
from tests.graph.test_seq2seq import VARIANTS, Case, padded_sources, tokens
from tests.kernels.test_kernel_attention import near, numbers, ones, stored

LIBRARY = kernels().library
pytestmark = pytest.mark.skipif(LIBRARY is None, reason=f"no kernels here: {kernels().about}")


class Pair:
    """The operation that keeps a source and the one that attends to it, compiled alone."""

    def __init__(self, heads, width, scale=1.0, threads=2, tokens_first=(True, False, False)):
        shapes = [[-1, -1, heads, width] if first else [-1, heads, -1, width] for first in tokens_first]
        places = [ov.opset13.parameter(shape, ov.Type.f32) for shape in shapes]
        masks = [ov.opset13.parameter([-1] * rank, ov.Type.i32) for rank in (2, 1, 2)]
        parts = [Heads(p.output(0), heads, width, first) for p, first in zip(places, tokens_first, strict=True)]
        own = LIBRARY.for_one_model()
        real, order, target = (mask.output(0) for mask in masks)
        memory, attention = own.source_attention(parts[0], parts[1:], (real, target), order, threads, scale)
        self.read = Engine(ov.Model([memory], places[1:], "source"), 1, EXACT, library=own)
        self.look_model = ov.Model([attention], [places[0], *masks], "attention")
        self.look = Engine(self.look_model, 1, EXACT, library=own)
        self.library = own


def expected(query, key, value, real, scale):
    """Attention of ``query [B, T, H, D]`` to all of ``key``, ``value [B, S, H, D]`` but padding, in float64."""
    scores = np.einsum("bthd,bshd->bhts", query.astype(np.float64), key) * scale
    scores = np.where(real[:, None, None, :] != 0, scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = np.einsum("bhts,bshd->bthd", weights / weights.sum(-1, keepdims=True), value)
    return mixed.reshape(*query.shape[:2], -1)


cases = st.fixed_dictionaries(
    {
        "heads": st.integers(1, 5),
        "width": st.sampled_from([16, 48, 64]),
        "length": st.sampled_from([1, 2, 63, 64, 65, 200]),
        "parts": st.lists(st.sampled_from([1, 1, 2, 30]), min_size=1, max_size=4),
        "rows": st.integers(1, 3),
        "threads": st.integers(1, 4),
        "scale": st.sampled_from([1.0, 0.125]),
        "tokens_first": st.tuples(st.booleans(), st.booleans(), st.booleans()),
        "seed": st.integers(0, 2**31),
    }
)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_any_shape_matches_numpy(case):
    """Target tokens arrive in chunks, sequences are reordered between them, and sources differ in length."""
    random = np.random.default_rng(case["seed"])
    rows, length, heads, width = (case[name] for name in ("rows", "length", "heads", "width"))
    key, value = random.normal(size=(2, rows, length, heads, width)).astype(np.float32)
    real = (np.arange(length) < random.integers(1, length + 1, (rows, 1))).astype(np.int32)
    kept, kept_value = stored(key), stored(value)
    pair = Pair(heads, width, case["scale"], case["threads"], case["tokens_first"])
    source = [
        np.ascontiguousarray(part if first else part.swapaxes(1, 2))
        for part, first in zip((key, value), case["tokens_first"][1:], strict=True)
    ]
    np.testing.assert_array_equal(pair.read(*source)[0], np.full(rows, length))
    read = 0
    for count in case["parts"]:
        order = random.permutation(rows) if read else np.arange(rows)
        kept, kept_value, real = kept[order], kept_value[order], real[order]
        query = random.normal(size=(rows, count, heads, width)).astype(np.float32)
        new = np.ascontiguousarray(query if case["tokens_first"][0] else query.swapaxes(1, 2))
        read += count
        (found,) = pair.look(new, real, order.astype(np.int32), ones(rows, read))
        wanted = expected(query, kept, kept_value, real, case["scale"])
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-4 * np.abs(value).max())


def sources(rows, length, seed=0):
    return [numbers(rows, 2, length, 16, seed=seed + part) for part in (1, 2)]


def test_new_source_resets_the_cache():
    query, order = numbers(2, 1, 2, 16), np.arange(2, dtype=np.int32)
    found = []
    for lengths in ([9], [70, 9]):
        pair = Pair(2, 16)
        for length in lengths:
            pair.read(*sources(2, length, seed=length))
        found.append(pair.look(query, ones(2, 9), order, ones(2, 1))[0])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("mask", "order", "target", "complaint"),
    [
        (ones(1, 5), [0], ones(1, 1), "not of the source"),
        (ones(2, 4), [0], ones(1, 1), "not of as many sequences"),
        (ones(1, 4), [0], ones(2, 1), "not of as many sequences"),
        (ones(1, 4), [1], ones(1, 2), "no such sequence"),
        (ones(1, 4), [-1], ones(1, 2), "no such sequence"),
    ],
)
def test_rejects_inputs_that_contradict_the_cache(mask, order, target, complaint):
    pair = Pair(2, 16)
    pair.read(*sources(1, 4))
    with pytest.raises(RuntimeError, match=complaint):
        pair.look(numbers(1, 1, 2, 16), mask, np.array(order, np.int32), target)


def test_rejects_another_number_of_sources_than_targets():
    pair = Pair(2, 16)
    pair.read(*sources(3, 4))
    with pytest.raises(RuntimeError, match="of so many sequences"):
        pair.look(numbers(1, 1, 2, 16), ones(1, 4), np.zeros(1, np.int32), ones(1, 1))


def test_rejects_sources_of_other_heads_than_the_targets():
    """Two graphs share a cache and disagree."""
    pair = Pair(2, 32)
    places = [ov.opset13.parameter([-1, -1, 2, 16], ov.Type.f32)]
    places += [ov.opset13.parameter([-1] * rank, ov.Type.i32) for rank in (2, 1, 2)]
    attributes = {**nodes(pair.look_model, SOURCE_ATTENTION)[0].get_attributes(), "width": 16}
    node = pair.library._made(SOURCE_ATTENTION, [place.output(0) for place in places], attributes)
    look = Engine(ov.Model([node], places, "attention"), 1, EXACT, library=pair.library)
    pair.read(*(numbers(1, 2, 4, 32, seed=part) for part in (1, 2)))
    with pytest.raises(RuntimeError, match="of other heads"):
        look(numbers(1, 1, 2, 16), ones(1, 4), np.zeros(1, np.int32), ones(1, 1))


def test_source_of_no_tokens():
    pair = Pair(2, 16)
    pair.read(*sources(1, 0))
    with pytest.raises(RuntimeError, match="were read"):
        pair.look(numbers(1, 1, 2, 16), ones(1, 0), np.zeros(1, np.int32), ones(1, 1))


def test_rejects_keys_of_other_tokens_than_the_values():
    with pytest.raises(RuntimeError, match="of other sequences or tokens"):
        Pair(2, 16).read(numbers(1, 2, 4, 16), numbers(1, 2, 3, 16))


class Kernels(Case):
    """A random model and our graphs of it, with our attention in the decoder."""

    def __init__(self, kind, options, folder):
        super().__init__(kind, options, folder)
        encoder = encoder_graph(self.config, self.weights)
        own = LIBRARY.for_one_model()
        self.names = use_attention(self.decoder, own, 2), use_source_attention(self.decoder, encoder, own, 2)
        self.encoder, self.ours = (Engine(model, 1, EXACT, library=own) for model in (encoder, self.decoder))

    def start(self, source, mask=None):
        self.mask = np.ones_like(source) if mask is None else mask
        self.encoder(source, self.mask)

    def run(self, ids, mask=None, beams=None):
        mask = np.ones_like(ids) if mask is None else mask
        positions = np.maximum(mask.cumsum(1) - 1, 0)[:, -ids.shape[1] :]
        beams = np.arange(len(ids), dtype=np.int32) if beams is None else beams
        return self.ours(ids, mask, positions, beams, self.mask)[0]


WIDE = {name: variant for name, variant in VARIANTS.items() if "narrow" not in name}


@pytest.fixture(scope="module", params=WIDE)
def case(request, tmp_path_factory):
    return Kernels(*WIDE[request.param], tmp_path_factory.mktemp("model"))


def test_all_attention_of_a_decoder_is_replaced(case):
    assert [len(names) for names in case.names] == [2, 2]
    assert not case.decoder.get_sinks()
    kinds = [node.get_type_name() for node in case.decoder.get_ops()]
    assert kinds.count("CachedAttention") == kinds.count("SourceAttention") == 2
    assert not {"ScaledDotProductAttention", "ReadValue", "Assign"} & set(kinds)


def test_padded_batch_of_sources_in_chunks_matches_transformers(case):
    source, mask = padded_sources()
    ids = tokens(3, 20)
    case.start(source, mask)
    parts = [case.run(ids[:, a:b], np.ones_like(ids[:, :b])) for a, b in ((0, 9), (9, 16), (16, 17), (17, 20))]
    near(np.concatenate(parts, 1), case.expected(source, ids, mask))


def test_reordered_sequences_match_transformers(case):
    """The caller reorders the source masks with the sequences; sources themselves keep their order."""
    source, mask = padded_sources()
    ids, order = tokens(3, 9), np.array([2, 0, 0])
    case.start(source, mask)
    case.run(ids[:, :8])
    case.mask = mask[order]
    found = case.run(np.full((3, 1), 7), np.ones((3, 9), np.int64), order.astype(np.int32))
    ids = np.concatenate((ids[order, :8], np.full((3, 1), 7)), 1)
    near(found, case.expected(source[order], ids, mask[order])[:, -1:])


def test_too_narrow_heads_are_left_to_the_engine(tmp_path):
    kind, options = next(variant for name, variant in VARIANTS.items() if "narrow" in name)
    assert options["d_kv"] % SHARED
    made = Case(kind, options, tmp_path)
    encoder = encoder_graph(made.config, made.weights)
    assert use_attention(made.decoder, LIBRARY, 2) == []
    assert use_source_attention(made.decoder, encoder, LIBRARY, 2) == []
    assert one_more_token(made.decoder, LIBRARY) is None
    assert CROSS in made.decoder.input(4).get_names()


def another_end(encoder, change=lambda parts: parts, axis=0):
    """An encoder with another output."""
    parts = encoder.get_results()[0].input_value(0).get_node().input_values()
    return ov.Model([ops.concat(change(list(parts)), axis)], encoder.get_parameters(), "encoder")


def with_heads(parts, heads, width):
    """All parts, their values split into other heads."""
    return [ops.reshape(part, ops.constant([1, 0, heads, -1, width]), True) for part in parts]


@pytest.mark.parametrize(
    "change",
    [
        lambda encoder: ov.Model(
            [ops.relu(encoder.get_results()[0].input_value(0))], encoder.get_parameters(), "encoder"
        ),
        lambda encoder: another_end(encoder, axis=1),
        lambda encoder: another_end(encoder, lambda parts: parts[:2]),
        lambda encoder: another_end(encoder, lambda parts: with_heads(parts, 2, 32)),
        lambda encoder: another_end(encoder, lambda parts: with_heads(parts, 8, 8)),
    ],
)
def test_encoder_with_another_output_is_left_unchanged(change, tmp_path):
    made = Case(*WIDE["t5"], tmp_path)
    encoder = encoder_graph(made.config, made.weights)
    assert use_source_attention(made.decoder, change(encoder), LIBRARY, 2) == []
    assert one_more_token(made.decoder, LIBRARY) is None
    assert use_source_attention(made.decoder, encoder, LIBRARY, 2)


def nodes(model, kind):
    return [node for node in model.get_ordered_ops() if node.get_type_name() == kind]


def other_mask(decoder):
    """Give the target's mask to the second layer's cross-attention."""
    *_, last = [node for node in nodes(decoder, "NotEqual") if SOURCE_MASK in node.input_value(0).get_names()]
    last.input(0).replace_source_output(decoder.input("attention_mask"))


def read_elsewhere(decoder):
    result = ops.result(ops.shape_of(decoder.input(CROSS)))
    decoder.add_results([result])


def part_read_elsewhere(decoder):
    decoder.add_results([ops.result(nodes(decoder, "Squeeze")[0])])


def causal(decoder):
    """With ``causal``, the engine does not look at the mask."""
    node = nodes(decoder, "ScaledDotProductAttention")[1]
    other = ops.scaled_dot_product_attention(*node.input_values(), causal=True)
    node.output(0).replace(other.output(0))


@pytest.mark.parametrize("change", [other_mask, read_elsewhere, part_read_elsewhere, causal])
def test_decoder_with_another_meaning_is_left_to_the_engine(change, tmp_path):
    made = Case(*WIDE["t5"], tmp_path)
    change(made.decoder)
    assert use_source_attention(made.decoder, encoder_graph(made.config, made.weights), LIBRARY, 2) == []


def counted_elsewhere(decoder):
    """Count the distances of the relative bias in the source."""
    column = nodes(decoder, "Clamp")[0].input_value(0).get_node().input_value(0)
    shape = column.get_node().input_value(0).get_node().input_value(1).get_node().input_value(0).get_node()
    shape.input(0).replace_source_output(decoder.input(SOURCE_MASK))


def one_row(decoder):
    """Make the relative bias the same for all heads."""
    gather = nodes(decoder, "Clamp")[0].output(0).get_target_inputs().pop().get_node()
    gather = gather.output(0).get_target_inputs().pop().get_node()
    first = ops.gather(gather.input_value(0), ops.constant([0]), ops.constant(0))
    gather.input(0).replace_source_output(first.output(0))


@pytest.mark.parametrize("change", [counted_elsewhere, one_row])
def test_other_distances_are_left_to_the_engine(change, tmp_path):
    made = Case(*WIDE["t5"], tmp_path)
    change(made.decoder)
    made.decoder.validate_nodes_and_infer_types()
    assert use_attention(made.decoder, LIBRARY, 2) == []


def test_attention_of_an_encoder_is_left_to_the_engine(case):
    assert use_attention(encoder_graph(case.config, case.weights), LIBRARY, 2) == []


class CountingSession(Seq2SeqSession):
    """Counts the tokens read by the graph of fixed shapes."""

    alone = 0

    def _one(self, token, place):
        self.alone += 1
        return super()._one(token, place)


def test_graph_of_fixed_shapes_reads_single_tokens(case):
    """It does so wherever a session has one sequence and neither it nor its source has padding."""
    single = Engine(one_more_token(case.decoder, LIBRARY), 1, EXACT)
    session, plain = CountingSession(case.encoder, case.ours, 0, single), Seq2SeqSession(case.encoder, case.ours, 0)
    first, second = tokens(1, 9, seed=2)[0], tokens(1, 4, seed=3)[0]
    alone = [([token], [0]) for token in (5, 8, 13)]
    for sources, steps, read in (
        ([first], alone, 3),
        ([first, second], [([5, 5], [0, 1]), ([8], [1]), ([13], [0])], 0),  # the sequence that remains has padding
        ([second, first], [([5, 5], [0, 1]), ([8], [1]), ([13], [0])], 1),
        ([first], [([5, 6, 7], [0, 0, 0]), ([8, 9], [2, 0]), ([13], [1]), ([14], [0])], 1),  # samples
    ):
        before = session.alone
        runs = []
        for made in (session, plain):
            logits = [made.start(sources).copy()]
            logits += [made.step(np.array(ids), np.array(parents)).copy() for ids, parents in steps]
            runs.append(logits)
        for found, wanted in zip(*runs, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-3)
        assert session.alone == before + read
