"""The training loop of teachers and students: AdamW with warm-up, progress, and bit-exact resumption.

A run that is killed and restarted with the same arguments ends with the same weights as an uninterrupted one: bit for
bit on a CPU with the same number of threads; on CUDA as closely as two uninterrupted runs, whose order of summation
varies.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lilliput import torchfiles
from lilliput.batching import Batch, Batches
from lilliput.errors import CheckpointError, DataError, UserError
from lilliput.progress import Progress

History = dict[str, float]
"""One epoch: ``epoch`` (from 1), ``loss`` (mean over batches), ``seconds`` (of its steps), and validation measures."""

SCHEDULES: dict[str, Callable[[float], float]] = {
    "linear": lambda left: left,
    "cosine": lambda left: 0.5 - 0.5 * math.cos(math.pi * left),
    "constant": lambda left: 1.0,
}
"""Name -> learning rate after the warm-up, relative to its peak, as a function of the fraction of steps left."""

_BUSY_SAVING = 10  # the wait between checkpoints is at least this many times what writing the last one took


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Attributes:
        epochs: passes over the data.
        learning_rate: the peak.
        warmup_fraction: fraction of all steps over which the learning rate rises from 0 to its peak.
        schedule: a name in :data:`SCHEDULES`.
        weight_decay: AdamW's, on matrices only (not on biases and norms).
        clip: largest norm of the gradient; 0: no clipping.
        seed: seed of dropout and of everything else drawn in training.
        keep_best: the validation measure that selects the epoch whose weights are kept (lowest for a loss, highest for
            any other measure); ``None``: the last epoch.
        bfloat16: multiply in bfloat16 on hardware that is fast at it, see :func:`autocast`.
        checkpoint_seconds: time between checkpoints; longer if writing one takes more than a tenth of this.
    """

    epochs: int
    learning_rate: float
    warmup_fraction: float = 0.1
    schedule: str = "linear"
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    keep_best: str | None = None
    bfloat16: bool = True
    checkpoint_seconds: float = 20.0

    def __post_init__(self) -> None:
        complaints = {
            "epochs": (self.epochs >= 1, "must be at least 1"),
            "learning_rate": (0 < self.learning_rate < math.inf, "must be above 0"),
            "warmup_fraction": (0 <= self.warmup_fraction < 1, "must be at least 0 and below 1"),
            "schedule": (self.schedule in SCHEDULES, f"must be one of {', '.join(SCHEDULES)}"),
        }
        for name, (fine, complaint) in complaints.items():
            if not fine:
                raise UserError(f"{complaint}; it is {getattr(self, name)!r}.", where=name)

    def rate_at(self, done: float) -> float:
        """Learning rate after the fraction ``done`` of all steps, 0 to 1."""
        if done < self.warmup_fraction:
            return self.learning_rate * done / self.warmup_fraction
        return self.learning_rate * SCHEDULES[self.schedule]((1 - done) / (1 - self.warmup_fraction))


def device() -> torch.device:
    """The first CUDA device, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast(enabled: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Compute matrix products in bfloat16 on hardware that is fast at it (CUDA; CPUs with AMX-BF16 or AVX512-BF16).

    Does nothing on other hardware, or if not ``enabled``.
    """
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = torch.cpu.get_capabilities()
        fast = bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    return torch.autocast(device().type, torch.bfloat16) if enabled and fast else contextlib.nullcontext()


@dataclass
class _Run:
    """The state that a checkpoint holds: the model, its optimizer, and the progress of training."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    identity: str
    epoch: int = 0  # completed
    batch: int = 0  # completed, of the current epoch
    examples: int = 0  # seen, over all epochs
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[History] = field(default_factory=list)
    best: dict[str, Tensor] | None = None

    PLAIN: ClassVar = ("identity", "epoch", "batch", "examples", "loss_sum", "seconds", "history", "best")

    def save(self, path: Path) -> None:
        """Write a checkpoint atomically."""
        state = {name: getattr(self, name) for name in self.PLAIN}
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        state["random"] = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
        torchfiles.save(path, state)

    def restore(self, path: Path) -> str:
        """Resume from a checkpoint and return an empty string, or return why not and change nothing."""
        try:
            state = torchfiles.load(path)
            plain, random = {name: state[name] for name in self.PLAIN}, state["random"]
        except (CheckpointError, KeyError, TypeError):
            return "it cannot be read"
        if plain["identity"] != self.identity:
            return "it belongs to a run with other settings"
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        vars(self).update(plain)
        torch.set_rng_state(random[0])
        for index, value in zip(range(torch.cuda.device_count()), random[1:], strict=False):
            torch.cuda.set_rng_state(value, index)
        return ""


def fit(
    model: nn.Module,
    batches: Batches,
    step_loss: Callable[[nn.Module, Batch], Tensor],
    plan: TrainingPlan,
    *,
    validate: Callable[[], Mapping[str, float]] | None = None,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Progress | None = None,
    on_history: Callable[[History], None] | None = None,
) -> list[History]:
    """Train ``model`` in place.

    Args:
        model: on :func:`device`; left in evaluation mode.
        batches: the examples to train on, and how they are cut into batches.
        step_loss: the scalar loss of a batch (moved to the model's device); called under :func:`autocast`.
        plan: hyperparameters.
        validate: returns measures after each epoch; called in evaluation mode, without gradients.
        checkpoint: file for the run's state; training resumes from an existing file of this run and ignores any other
            with a note. Half-written checkpoints that a killed run left beside it are removed.
        fingerprint: identifies everything else that decides the result (data, base weights); together with the plans
            and the model's shapes it tells whether a checkpoint belongs to this run.
        progress: shown while training.
        on_history: called after each epoch of this call with its line of history.

    Returns:
        The history of all epochs, those before a resumption included.

    Raises:
        DataError: there are no examples.
        UserError: the loss or its gradient became infinite or NaN; ``plan.keep_best`` is not a measure of ``validate``;
            or the checkpoint cannot be written.
    """
    if not len(batches.dataset):
        raise DataError("there are no examples to train on.", remedy="Give at least one labelled example.")
    progress = progress or Progress()
    run = _Run(model, _optimizer(model, plan), _identity(model, batches, plan, fingerprint))
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(plan.seed)
        if checkpoint is not None:
            _resume(run, checkpoint, progress)
        save = _saver(run, checkpoint, plan.checkpoint_seconds)
        with progress.track("training", plan.epochs * batches.examples() - run.examples) as advance:
            for _ in range(run.epoch, plan.epochs):
                for seen in _train_epoch(run, batches, step_loss, plan):
                    advance(seen, f"epoch {run.epoch + 1}/{plan.epochs}, loss {run.loss_sum / run.batch:.4f}")
                    save(False)
                line = _close_epoch(run, validate, plan)
                save(True)
                if on_history is not None:
                    on_history(line)
    if run.best is not None:
        model.load_state_dict(run.best)
    model.eval()
    return run.history


def _train_epoch(
    run: _Run, batches: Batches, step_loss: Callable[[nn.Module, Batch], Tensor], plan: TrainingPlan
) -> Iterator[int]:
    """Take the remaining steps of the current epoch; yields the number of examples of each."""
    home = next(run.model.parameters()).device
    weights = [weight for group in run.optimizer.param_groups for weight in group["params"]]
    cut = batches.epoch(run.epoch)
    run.model.train()
    for index in range(run.batch, len(cut)):
        started = time.monotonic()
        for group in run.optimizer.param_groups:
            group["lr"] = plan.rate_at((run.epoch + (index + 0.5) / len(cut)) / plan.epochs)
        batch = batches.batch(cut[index]).to(home)
        with autocast(plan.bfloat16):
            loss = step_loss(run.model, batch)
        run.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        norm = nn.utils.clip_grad_norm_(weights, plan.clip or math.inf)
        if not math.isfinite(loss.item()) or not math.isfinite(norm.item()):
            raise UserError(
                f"training diverged: loss {loss.item()}, gradient norm {norm.item()}, "
                f"at step {index + 1} of epoch {run.epoch + 1}.",
                remedy=f"Lower the learning rate (it was {plan.learning_rate:g}).",
                where="learning_rate",
            )
        run.optimizer.step()
        run.batch, run.examples = index + 1, run.examples + len(batch)
        run.loss_sum += loss.item()
        run.seconds += time.monotonic() - started
        yield len(batch)


def _close_epoch(run: _Run, validate: Callable[[], Mapping[str, float]] | None, plan: TrainingPlan) -> History:
    """Validate, keep the weights if they are the best so far, and append to the history."""
    if not run.batch:
        raise DataError("there is no batch to train on.", remedy="Give more examples or more functions per batch.")
    run.model.eval()
    with torch.no_grad():
        measures = {} if validate is None else {name: float(value) for name, value in validate().items()}
    if plan.keep_best is not None:
        if plan.keep_best not in measures:
            raise UserError(
                f"'{plan.keep_best}' is not a validation measure; there are: {', '.join(measures) or 'none'}.",
                where="keep_best",
                remedy="Name one of these, or give validation data.",
            )
        sign = -1 if plan.keep_best.endswith("loss") else 1
        if all(sign * measures[plan.keep_best] > sign * line[plan.keep_best] for line in run.history):
            run.best = {name: value.detach().cpu().clone() for name, value in run.model.state_dict().items()}
    line = {"epoch": run.epoch + 1, "loss": run.loss_sum / run.batch, "seconds": round(run.seconds, 3), **measures}
    run.history.append(line)
    run.epoch, run.batch, run.loss_sum, run.seconds = run.epoch + 1, 0, 0.0, 0.0
    return line


def _saver(run: _Run, path: Path | None, seconds: float) -> Callable[[bool], None]:
    """Return ``save(now)``, which writes a checkpoint if ``now`` or if one is due."""
    last, wait = time.monotonic(), seconds

    def save(now: bool) -> None:
        nonlocal last, wait
        started = time.monotonic()
        if path is not None and (now or started - last >= wait):
            run.save(path)
            last = time.monotonic()
            wait = max(seconds, _BUSY_SAVING * (last - started))

    return save


def _resume(run: _Run, checkpoint: Path, progress: Progress) -> None:
    """Resume from ``checkpoint`` if it exists and belongs to this run."""
    for leftover in checkpoint.parent.glob(f".{checkpoint.name}.*"):
        leftover.unlink()
    if not checkpoint.exists():
        return
    refusal = run.restore(checkpoint)
    if refusal:
        progress.note(f"{checkpoint}: not resumed from, {refusal}; starting over.")
    else:
        progress.note(f"{checkpoint}: resumed at epoch {run.epoch + 1}, batch {run.batch + 1}.")


def _identity(model: nn.Module, batches: Batches, plan: TrainingPlan, fingerprint: str) -> str:
    """A hash of everything that decides the run's result."""
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    decisive = dataclasses.replace(plan, checkpoint_seconds=0.0)
    return hashlib.sha256(
        repr((decisive, batches.plan, len(batches.dataset), shapes, fingerprint)).encode()
    ).hexdigest()


def _optimizer(model: nn.Module, plan: TrainingPlan) -> torch.optim.Optimizer:
    """AdamW; vectors and scalars (biases, norms) are not decayed."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [weight for weight in trained if weight.ndim > 1], "weight_decay": plan.weight_decay},
        {"params": [weight for weight in trained if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, fused=True)
