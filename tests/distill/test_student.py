"""The student against transformers' RoBERTa with the same weights."""

import numpy as np
import pytest
import torch
from transformers import RobertaConfig, RobertaModel

from lilliput.distill.student import Student
from lilliput.encoder import EncoderConfig
from lilliput.grams import Grams
from lilliput.search.space import Architecture

ROBERTA = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "output_norm": "output.LayerNorm",
}


def test_token_vectors_equal_roberta():
    size = Architecture(2, 32, 4, 48, 100)
    student = Student(EncoderConfig(size, positions=40, pooling="first", activation="gelu"), seed=4).eval()
    config = RobertaConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=42,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    roberta = RobertaModel(config, add_pooling_layer=False).eval()
    state = roberta.state_dict()
    with torch.no_grad():
        state["embeddings.token_type_embeddings.weight"].zero_()
        state["embeddings.word_embeddings.weight"].copy_(student.weight("embeddings.token.weight"))
        state["embeddings.position_embeddings.weight"][2:].copy_(student.weight("embeddings.position.weight"))
        for kind in ("weight", "bias"):
            state[f"embeddings.LayerNorm.{kind}"].copy_(student.weight(f"embeddings.norm.{kind}"))
            for layer in range(2):
                for ours, theirs in ROBERTA.items():
                    state[f"encoder.layer.{layer}.{theirs}.{kind}"].copy_(
                        student.weight(f"layers.{layer}.{ours}.{kind}")
                    )
    ids = torch.from_numpy(np.random.default_rng(0).integers(4, 100, (3, 30)))
    ids[1, 20:] = 1
    mask = ids != 1
    with torch.no_grad():
        expected = roberta(input_ids=ids, attention_mask=mask.long()).last_hidden_state[:, 0]
        torch.testing.assert_close(student.vectors(ids, mask), expected, atol=1e-5, rtol=1e-5)


def test_weights_survive_export_and_load():
    config = EncoderConfig(Architecture(1, 16, 1, 16, 50))
    first, second = Student(config, seed=1), Student(config, seed=2)
    second.load(first.export())
    assert all(np.array_equal(value, second.export()[name]) for name, value in first.export().items())


def test_difference_head_ignores_the_order_of_a_pair():
    student = Student(EncoderConfig(Architecture(1, 16, 1, 16, 50), arity=2)).eval()
    vectors = torch.randn(2, 16)
    with torch.no_grad():
        logits = student.classify(vectors, torch.tensor([[0, 1], [1, 0]]))
    torch.testing.assert_close(logits[0], logits[1])


def test_stored_vector_is_rounded_with_a_straight_through_gradient():
    student = Student(EncoderConfig(Architecture(1, 16, 1, 16, 50), vector=4))
    pooled = torch.randn(3, 16, requires_grad=True)
    weight, bias = student.weight("projection.weight"), student.weight("projection.bias")
    exact = torch.tanh(pooled @ weight.T + bias) * 127 / 128
    stored = student.stored(pooled)
    torch.testing.assert_close(stored, (exact * 128).round() / 128)
    found, expected = (torch.autograd.grad(value.sum(), pooled)[0] for value in (stored, exact))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("pooling", "grams"), [("wide", None), ("mean", Grams(2, 8, 4)), ("mean", None)])
def test_layers_read_the_first_positions_and_bags_read_all(pooling, grams):
    config = EncoderConfig(Architecture(1, 16, 1, 16, 50), positions=8, pooling=pooling, grams=grams)
    student = Student(config, seed=1).eval()
    ids = torch.from_numpy(np.random.default_rng(0).integers(4, 50, (3, 12)))
    other = ids.clone()
    other[:, 8:] = (other[:, 8:] + 5) % 46 + 4
    mask = torch.ones_like(ids)
    with torch.no_grad():
        same = [torch.equal(student.pooled(x, mask)[:, :16], student.pooled(ids, mask)[:, :16]) for x in (other,)]
        assert same == [pooling != "wide"]
        assert torch.equal(student.vectors(other, mask), student.vectors(ids, mask)) == (not config.reads_on)


def test_seed_determines_the_weights():
    config = EncoderConfig(Architecture(1, 16, 1, 16, 50))
    same, other = Student(config, seed=1).export(), Student(config, seed=2).export()
    assert np.array_equal(same["layers.0.up.weight"], Student(config, seed=1).export()["layers.0.up.weight"])
    assert not np.array_equal(same["layers.0.up.weight"], other["layers.0.up.weight"])
