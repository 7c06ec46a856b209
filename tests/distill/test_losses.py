"""The losses against their formulas."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from lilliput.distill.losses import DistillationMix, hard_loss, hidden_loss, soft_loss
from lilliput.errors import UserError


def test_soft_loss_is_the_scaled_kl_divergence():
    random = np.random.default_rng(0)
    student, teacher, temperature = random.normal(size=(7, 3)), random.normal(size=(7, 3)), 3.0
    target = softmax(teacher / temperature, axis=1)
    gap = log_softmax(teacher / temperature, axis=1) - log_softmax(student / temperature, axis=1)
    expected = temperature**2 * (target * gap).sum(1).mean()
    found = soft_loss(torch.from_numpy(student), torch.from_numpy(teacher), temperature)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_soft_loss_is_zero_for_equal_logits():
    logits = torch.randn(4, 2)
    assert float(soft_loss(logits, logits, 2.0)) == pytest.approx(0, abs=1e-6)


def test_hard_loss_ignores_unlabelled_examples():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [5.0, -5.0]])
    expected = -log_softmax([[2.0, 0.0], [0.0, 1.0]], axis=1)[[0, 1], [0, 1]].mean()
    assert float(hard_loss(logits, torch.tensor([0, 1, -1]))) == pytest.approx(expected, rel=1e-5)
    assert float(hard_loss(logits, torch.tensor([-1, -1, -1]))) == 0


def test_hidden_loss_is_one_minus_cosine():
    vector = torch.tensor([[3.0, 4.0]])
    assert float(hidden_loss(vector, 2 * vector)) == pytest.approx(0, abs=1e-6)
    assert float(hidden_loss(vector, -vector)) == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize(
    "bad",
    [
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"soft": -1.0},
        {"hard": float("inf")},
        {"hidden": -0.1},
        {"soft": 0.0, "hard": 0.0},
    ],
)
def test_rejects_an_invalid_mix(bad):
    with pytest.raises(UserError, match=f"--{next(iter(bad))}"):
        DistillationMix(**bad)
