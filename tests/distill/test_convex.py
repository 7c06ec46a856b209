"""L-BFGS against a closed-form solution, and resumed after a kill."""

import numpy as np
import pytest
import torch

from lilliput import torchfiles
from lilliput.distill import convex
from lilliput.distill.convex import minimize


def ridge(seed=0):
    random = np.random.default_rng(seed)
    inputs, targets = torch.from_numpy(random.normal(size=(50, 8))), torch.from_numpy(random.normal(size=50))
    weights = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    exact = torch.linalg.solve(inputs.T @ inputs + torch.eye(8), inputs.T @ targets)
    return weights, (lambda: (inputs @ weights - targets).square().sum() + weights.square().sum()), exact


def test_finds_the_ridge_regression_solution():
    weights, loss, exact = ridge()
    assert minimize([weights], loss) == pytest.approx(float(loss().detach()), abs=1e-9)
    torch.testing.assert_close(weights.detach(), exact, atol=1e-5, rtol=0)


def hard_problem():
    """A problem that takes many iterations: its curvatures differ widely."""
    scales = torch.logspace(0, 5, 60, dtype=torch.float64)
    weights = torch.zeros(60, dtype=torch.float64, requires_grad=True)
    return weights, lambda: (scales * (weights - 1).square()).sum() + torch.cosh(weights - 1).sum()


def test_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    monkeypatch.setattr(convex, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(convex, "STEPS", 3)
    undisturbed, loss = hard_problem()
    minimize([undisturbed], loss)

    weights, loss = hard_problem()
    calls = 0

    def killed():
        nonlocal calls
        calls += 1
        if calls == 20:
            raise KeyboardInterrupt
        return loss()

    with pytest.raises(KeyboardInterrupt):
        minimize([weights], killed, tmp_path / "c.pt", "this")
    assert torchfiles.load(tmp_path / "c.pt")["done"] >= 1
    again, loss = hard_problem()
    minimize([again], loss, tmp_path / "c.pt", "this")
    assert torch.equal(again, undisturbed)


@pytest.mark.parametrize("content", ["other", "damaged"])
def test_does_not_resume_from_a_foreign_checkpoint(tmp_path, content):
    weights, loss, exact = ridge()
    torchfiles.save(tmp_path / "c.pt", {"identity": "other", "weights": [torch.ones(3)], "done": 4, "loss": 0.0})
    if content == "damaged":
        (tmp_path / "c.pt").write_bytes(b"damage")
    minimize([weights], loss, tmp_path / "c.pt", "this")
    torch.testing.assert_close(weights.detach(), exact, atol=1e-5, rtol=0)
