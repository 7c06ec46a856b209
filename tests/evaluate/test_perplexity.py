"""Perplexity against transformers' own loss."""

import math

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from lilliput.errors import UserError
from lilliput.evaluate import perplexity as measured
from lilliput.evaluate.perplexity import costs, perplexity
from lilliput.quantize.activations import Activations
from lilliput.quantize.policy import policy
from lilliput.verbs.quantize import QuantizeSettings, quantize
from tests.verbs.tiny_checkpoints import LLAMA, VARIANTS, checkpoint

IDS = np.random.default_rng(0).integers(3, 300, (5, 40))
EXACT = QuantizeSettings(policy("fp32"), Activations("none"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    checkpoint(folder / "model", *LLAMA)
    quantize(folder / "model", folder / "artifact", settings=EXACT)
    return folder


@pytest.mark.parametrize("tokens", [7, 39, 128])
def test_matches_the_loss_of_transformers(tokens, llama, monkeypatch):
    monkeypatch.setattr(measured, "PASS_TOKENS", tokens)
    found = perplexity(llama / "artifact", IDS, 1)
    model = AutoModelForCausalLM.from_pretrained(llama / "model").eval()
    with torch.no_grad():
        losses = [float(model(torch.from_numpy(row[None]), labels=torch.from_numpy(row[None])).loss) for row in IDS]
    assert found.pieces == pytest.approx(losses, abs=1e-4)
    assert found.nll == pytest.approx(np.mean(losses), abs=1e-4)
    assert found.perplexity == pytest.approx(math.exp(found.nll))
    assert found.interval[0] < found.perplexity < found.interval[1]
    assert found.tokens == 5 * 39


def test_equal_pieces_give_no_interval(llama):
    for ids in (IDS[:1], np.repeat(IDS[:1], 3, axis=0)):
        assert perplexity(llama / "artifact", ids, 1).interval is None


def test_infinite_perplexity_is_none(llama, monkeypatch):
    def costly(logits, tokens):
        return costs(logits, tokens) + 800

    monkeypatch.setattr(measured, "costs", costly)
    found = perplexity(llama / "artifact", IDS, 1)
    assert found.perplexity is found.interval is None
    assert found.nll == pytest.approx(np.mean(found.pieces))
    assert found.nll > 800


def test_rejects_an_encoder_decoder(tmp_path):
    checkpoint(tmp_path / "model", *VARIANTS["t5"])
    quantize(tmp_path / "model", tmp_path / "artifact", settings=EXACT)
    with pytest.raises(UserError, match="has an encoder"):
        perplexity(tmp_path / "artifact", IDS)
