"""The training loop: AdamW by the book, and the same weights whether or not a run was interrupted."""

from __future__ import annotations

import io
import itertools
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from lilliput.batching import Batch, Batches, BatchPlan, TokenIds
from lilliput.data.dataset import Dataset
from lilliput.errors import DataError, UserError
from lilliput.progress import LogProgress
from lilliput.training import SCHEDULES, TrainingPlan, autocast, device, fit

PLAN = TrainingPlan(epochs=3, learning_rate=0.02, seed=5, bfloat16=False, checkpoint_seconds=0.0)


class Tiny(nn.Module):
    """Mean of embeddings, dropout, norm, and one layer."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.table = nn.Embedding(20, 8)
            self.norm = nn.LayerNorm(8)
            self.out = nn.Linear(8, 2)

    def forward(self, batch: Batch) -> torch.Tensor:
        weight = batch.mask[:, :, None].float()
        mean = (self.table(batch.ids) * weight).sum(1) / weight.sum(1)
        vectors = self.norm(functional.dropout(mean, 0.3, self.training))
        return self.out(functional.embedding(batch.members[:, 0], vectors))


def examples(count: int = 60, batch: int = 8) -> Batches:
    """Functions of random tokens; the class is whether token 7 occurs."""
    random = np.random.default_rng(0)
    ids = [random.integers(2, 20, size) for size in random.integers(2, 12, count)]
    labels = np.array([int(7 in row) for row in ids], np.int64)
    data = Dataset(tuple(map(str, range(count))), np.arange(count)[:, None], labels, ("no", "yes"))
    return Batches(data, TokenIds(ids, pad_id=1, max_tokens=16), BatchPlan(examples=batch, seed=1))


def cross_entropy(model: nn.Module, batch: Batch) -> torch.Tensor:
    return functional.cross_entropy(model(batch), batch.labels)


def weights_of(model: nn.Module) -> list[torch.Tensor]:
    return list(model.state_dict().values())


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(weights_of(one), weights_of(other), strict=True))


def test_steps_match_adamw_with_warm_up_clipping_and_decay():
    model, reference, data = Tiny(), Tiny(), examples()
    plan = TrainingPlan(epochs=2, learning_rate=0.02, warmup_fraction=0.25, clip=0.1, weight_decay=0.3, bfloat16=False)
    fit(model, data, cross_entropy, plan)

    torch.manual_seed(plan.seed)
    matrices, vectors = (
        [reference.table.weight, reference.out.weight],
        [*reference.norm.parameters(), reference.out.bias],
    )
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.3}, {"params": vectors, "weight_decay": 0.0}])
    steps = [rows for epoch in range(2) for rows in data.epoch(epoch)]
    for step, rows in enumerate(steps):
        done = (step + 0.5) / len(steps)
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (done / 0.25 if done < 0.25 else (1 - done) / 0.75)
        optimizer.zero_grad()
        cross_entropy(reference, data.batch(rows)).backward()
        every = [*matrices, *vectors]
        norm = math.sqrt(sum(float((weight.grad**2).sum()) for weight in every))
        for weight in every:
            weight.grad *= min(1.0, 0.1 / norm)
        optimizer.step()
    for got, expected in zip(weights_of(model), weights_of(reference), strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_learning_rate_rises_to_its_peak_and_never_again(schedule):
    plan = TrainingPlan(epochs=1, learning_rate=3.0, warmup_fraction=0.2, schedule=schedule)
    rates = [plan.rate_at(done) for done in np.linspace(0, 1, 101)]
    assert rates[0] == 0
    assert rates[20] == pytest.approx(3.0)
    assert rates[10] == pytest.approx(1.5)
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[20:]))
    assert rates[-1] == pytest.approx(0.0 if schedule != "constant" else 3.0)
    assert rates[60] == pytest.approx(1.5 if schedule != "constant" else 3.0)


@pytest.mark.parametrize("stop", [1, 8, 11, 16, 23])
def test_interrupted_run_resumes_to_the_same_bits(tmp_path, stop):
    whole, history = Tiny(), []
    fit(whole, examples(), cross_entropy, PLAN, on_history=history.append)
    calls = 0

    def interrupted_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == stop:
            raise KeyboardInterrupt
        return cross_entropy(model, batch)

    checkpoint = tmp_path / "work" / "training.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(Tiny(), examples(), interrupted_loss, PLAN, checkpoint=checkpoint)
    resumed, log = Tiny(seed=9), io.StringIO()
    again = fit(resumed, examples(), cross_entropy, PLAN, checkpoint=checkpoint, progress=LogProgress(log))
    if stop > 1:
        assert "resumed at epoch" in log.getvalue()
        assert same(whole, resumed)
        assert [line["loss"] for line in again] == [line["loss"] for line in history]
    else:
        assert not same(whole, resumed)  # no checkpoint was saved: other initial weights, another result


def test_killed_run_resumes_to_the_same_bits(tmp_path):
    script = f"""
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_training import *
calls = 0
def deadly(model, batch):
    global calls
    calls += 1
    if calls == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return cross_entropy(model, batch)
fit(Tiny(), examples(), deadly, PLAN, checkpoint=Path({str(tmp_path / "training.pt")!r}))
"""
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    assert subprocess.run([sys.executable, "-c", script], env=environment, check=False).returncode == -signal.SIGKILL
    (tmp_path / ".training.pt.left").write_bytes(b"half a checkpoint")
    whole, resumed = Tiny(), Tiny(seed=9)
    fit(whole, examples(), cross_entropy, PLAN)
    fit(resumed, examples(), cross_entropy, PLAN, checkpoint=tmp_path / "training.pt")
    assert same(whole, resumed)
    assert [path.name for path in tmp_path.iterdir()] == ["training.pt"]


def test_finished_run_is_not_trained_again(tmp_path):
    checkpoint, first = tmp_path / "training.pt", Tiny()
    history = fit(first, examples(), cross_entropy, PLAN, checkpoint=checkpoint)

    def fail_if_called(model: nn.Module, batch: Batch) -> torch.Tensor:
        raise AssertionError

    second = Tiny(seed=9)
    assert fit(second, examples(), fail_if_called, PLAN, checkpoint=checkpoint) == history
    assert same(first, second)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: fit(Tiny(), examples(), cross_entropy, PLAN, checkpoint=path, fingerprint="other"), "settings"),
        (lambda path: fit(Tiny(), examples(batch=9), cross_entropy, PLAN, checkpoint=path), "settings"),
        (lambda path: path.write_bytes(path.read_bytes()[:-500]), "cannot be read"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: torch.save({"weights": torch.ones(2)}, path), "cannot be read"),
    ],
)
def test_foreign_or_damaged_checkpoint_is_ignored_with_a_note(tmp_path, change, reason):
    checkpoint, whole, again, log = tmp_path / "training.pt", Tiny(), Tiny(), io.StringIO()
    fit(whole, examples(), cross_entropy, PLAN, checkpoint=checkpoint)
    change(checkpoint)
    fit(again, examples(), cross_entropy, PLAN, checkpoint=checkpoint, progress=LogProgress(log))
    assert "not resumed from" in log.getvalue()
    assert reason in log.getvalue()
    assert same(whole, again)


@pytest.mark.parametrize(("measure", "found"), [("accuracy", [0.5, 0.8, 0.8]), ("valid_loss", [0.8, 0.5, 0.5])])
def test_best_epoch_by_validation_is_kept(tmp_path, measure, found):
    snapshots, scores = [], iter(found)
    model = Tiny()

    def validate() -> dict[str, float]:
        assert not model.training
        snapshots.append([value.clone() for value in weights_of(model)])
        return {measure: next(scores)}

    plan = TrainingPlan(epochs=3, learning_rate=0.05, keep_best=measure, bfloat16=False)
    checkpoint = tmp_path / "training.pt"
    history = fit(model, examples(), cross_entropy, plan, validate=validate, checkpoint=checkpoint)
    assert [line[measure] for line in history] == found
    assert all(torch.equal(a, b) for a, b in zip(weights_of(model), snapshots[1], strict=True))
    reopened = Tiny(seed=9)
    fit(reopened, examples(), cross_entropy, plan, validate=validate, checkpoint=checkpoint)
    assert same(model, reopened)


def test_model_learns():
    model, data = Tiny(), examples()
    history = fit(model, data, cross_entropy, TrainingPlan(epochs=30, learning_rate=0.05, schedule="cosine"))
    batch = data.batch(np.arange(60))
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert (model(batch).argmax(1) == batch.labels).float().mean() > 0.9


def test_global_random_state_is_unchanged():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    fit(Tiny(), examples(), cross_entropy, PLAN)
    assert torch.equal(torch.rand(1), expected)


def test_nan_loss_is_reported_with_a_remedy():
    def broken(model: nn.Module, batch: Batch) -> torch.Tensor:
        return cross_entropy(model, batch) * math.nan

    with pytest.raises(UserError, match=r"step 1 of epoch 1\. Lower the learning rate \(it was 0\.02\)"):
        fit(Tiny(), examples(), broken, PLAN)


def test_nan_gradient_is_reported_with_a_remedy():
    def steep(model: nn.Module, batch: Batch) -> torch.Tensor:
        return torch.sqrt(model.out.weight.sum() * 0)  # 0, with infinite slope

    with pytest.raises(UserError, match="Lower the learning rate"):
        fit(Tiny(), examples(), steep, PLAN)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"epochs": 0}, "epochs: must be at least 1; it is 0"),
        ({"learning_rate": -1.0}, "learning_rate: must be above 0"),
        ({"warmup_fraction": 1.0}, "warmup_fraction: must be at least 0 and below 1"),
        ({"schedule": "zigzag"}, "schedule: must be one of linear, cosine, constant; it is 'zigzag'"),
    ],
)
def test_rejects_invalid_settings(settings, text):
    with pytest.raises(UserError, match=text):
        TrainingPlan(**{"epochs": 1, "learning_rate": 0.1, **settings})


def test_keeping_the_best_epoch_needs_its_measure():
    plan = TrainingPlan(epochs=1, learning_rate=0.01, keep_best="f1")
    with pytest.raises(UserError, match="'f1' is not a validation measure; there are: accuracy"):
        fit(Tiny(), examples(), cross_entropy, plan, validate=lambda: {"accuracy": 1.0})


def test_no_examples_is_an_error():
    with pytest.raises(DataError, match="no examples to train on"):
        fit(Tiny(), examples(count=0), cross_entropy, PLAN)


def test_file_size_limit_is_reported(tmp_path):
    resource = pytest.importorskip("resource")
    model = nn.Sequential(nn.Linear(300, 300))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(UserError, match="the file grew beyond the limit"):
            fit(model, examples(), lambda net, _: net[0].weight.sum(), PLAN, checkpoint=tmp_path / "training.pt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_autocast_uses_bfloat16_only_where_the_machine_is_fast_at_it():
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if device().type == "cpu" and flags:
        expected = torch.bfloat16 if "amx_bf16" in flags or "avx512_bf16" in flags else torch.float32
        with autocast():
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected
    with autocast(enabled=False):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_epoch_without_a_batch_is_reported_with_a_remedy():
    """Pairs of different functions, in sets of one function each."""
    batches = examples(4)
    pairs = np.array([[0, 1], [2, 3]])
    data = Dataset(batches.dataset.texts, pairs, np.array([0, 1]), ("no", "yes"))
    alone = Batches(data, batches.tokens, BatchPlan(functions=1))
    with pytest.raises(UserError, match=r"no batch to train on\. .*more functions per batch"):
        fit(Tiny(), alone, cross_entropy, PLAN)
