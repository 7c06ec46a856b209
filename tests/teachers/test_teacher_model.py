"""The teacher's arithmetic against the same computation example by example, without padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_teachers import ENCODERS, SHAPE, pairs, singles
from transformers import RobertaConfig, RobertaForSequenceClassification

from lilliput.batching import TokenIds, make_batch
from lilliput.data.dataset import Dataset
from lilliput.errors import DataError
from lilliput.teachers.inference import CHUNK_TOKENS, dataset_logits, function_chunks
from lilliput.teachers.model import EncoderClassifier, OutputConvention, SequenceClassifier


def random_tokens(data: Dataset) -> TokenIds:
    random = np.random.default_rng(0)
    ids = [random.integers(3, 90, size) for size in random.integers(2, 40, len(data.texts))]
    return TokenIds(ids, pad_id=1, max_tokens=62)


def one_by_one(model: EncoderClassifier, data: Dataset, tokens: TokenIds) -> torch.Tensor:
    """Logits computed for each example alone, without padding."""
    rows = []
    for members in data.members:
        vectors = []
        for function in members:
            ids = torch.from_numpy(tokens.ids[function])[None]
            states = model.encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
            bag = model.encoder.get_input_embeddings()(ids)[0].sum(0) / len(states) ** 0.5
            pooled = {"first": states[0], "mean": states.mean(0), "wide": states.mean(0) + bag}
            vectors.append(pooled[model.pooling])
        joined = vectors[0]
        if len(vectors) == 2:
            one, other = vectors
            joined = torch.cat({"concat": (one, other), "difference": ((one - other).abs(), one * other)}[model.join])
        head = model.head
        rows.append(head.out.weight @ torch.tanh(head.dense.weight @ joined + head.dense.bias) + head.out.bias)
    return torch.stack(rows)


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize(
    ("pooling", "join", "arity"), [("first", "concat", 1), ("first", "concat", 2), ("wide", "difference", 2)]
)
def test_logits_equal_those_of_each_example_alone(kind, pooling, join, arity):
    torch.manual_seed(0)
    model = EncoderClassifier(ENCODERS[kind](100), 2, arity=arity, pooling=pooling, join=join).eval()
    data = singles(12) if arity == 1 else pairs(12, texts=8)
    tokens = random_tokens(data)
    with torch.no_grad():
        expected = one_by_one(model, data, tokens)
        batched = model(make_batch(data, tokens, np.arange(12)))
    torch.testing.assert_close(batched, expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(dataset_logits(model, data, tokens, exact=True), expected, rtol=0, atol=1e-5)


def test_layers_are_the_hidden_states_of_the_encoder():
    model = EncoderClassifier(ENCODERS["roberta"](100), 2).eval()
    ids = torch.randint(3, 90, (2, 9))
    mask = torch.ones_like(ids)
    encoded = model.encode(ids, mask, layers=True)
    assert [tuple(states.shape) for states in encoded.layers] == [(2, 9, 16)] * 3
    assert torch.equal(encoded.layers[-1][:, 0], encoded.vectors)
    assert model.encode(ids, mask).layers == ()


def test_conventions_give_logits_in_label_order():
    raw = torch.tensor([[1.0, 2.0, 5.0]])
    assert OutputConvention("logits", (2, 0, 1)).apply(raw).tolist() == [[5.0, 1.0, 2.0]]
    log_odds = torch.tensor([[0.7], [-3.0]])
    logits = OutputConvention("sigmoid", (0, 1)).apply(log_odds)
    torch.testing.assert_close(torch.softmax(logits, -1)[:, 1], torch.sigmoid(log_odds[:, 0]))
    convention = OutputConvention("sigmoid", (0, 1))
    assert OutputConvention.from_dict(convention.as_dict()) == convention


@pytest.mark.parametrize("outputs", [1, 3])
def test_sequence_classifier_keeps_its_own_head(outputs):
    torch.manual_seed(0)
    config = RobertaConfig(vocab_size=100, max_position_embeddings=66, num_labels=outputs, **SHAPE)
    wrapped = RobertaForSequenceClassification(config).eval()
    convention = OutputConvention("sigmoid", (0, 1)) if outputs == 1 else OutputConvention("logits", (1, 2, 0))
    data = singles(6)
    tokens = random_tokens(data)
    model = SequenceClassifier(wrapped, convention)
    with torch.no_grad():
        encoded = model.encode(
            torch.from_numpy(tokens.ids[0])[None], torch.ones(1, len(tokens.ids[0]), dtype=torch.long)
        )
        states = wrapped.roberta(torch.from_numpy(tokens.ids[0])[None]).last_hidden_state
        raw = torch.cat([wrapped(torch.from_numpy(ids)[None]).logits for ids in tokens.ids])
    torch.testing.assert_close(encoded.vectors, states.mean(1), rtol=0, atol=1e-5)
    got = dataset_logits(model, data, tokens, exact=True)
    expected = torch.cat((-raw / 2, raw / 2), 1) if outputs == 1 else raw[:, [1, 2, 0]]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_chunks_hold_every_function_once_within_the_budget():
    lengths = np.random.default_rng(0).integers(1, 400, 500)
    chunks = function_chunks(lengths)
    assert sorted(np.concatenate(chunks).tolist()) == list(range(500))
    assert all(len(chunk) * lengths[chunk].max() <= CHUNK_TOKENS for chunk in chunks)
    assert all(lengths[chunk].min() * 8 >= lengths[chunk].max() * 7 for chunk in chunks)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (pairs(5), r"pairs: its examples join 2 function\(s\), the teacher classifies 1"),
        (singles(4).subset(np.arange(0)), "no examples to classify"),
    ],
)
def test_rejects_data_that_do_not_fit(data, text):
    model = EncoderClassifier(ENCODERS["bert"](100), 2)
    with pytest.raises(DataError, match=text):
        dataset_logits(model, data, random_tokens(data))
