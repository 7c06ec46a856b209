"""Minimization of a convex loss by L-BFGS (Nocedal, "Updating Quasi-Newton Matrices with Limited Storage", 1980).

Uses torch's optimizer on the full batch. A run that is killed and resumed ends with the same weights as an
uninterrupted one on the same number of threads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from lilliput import torchfiles
from lilliput.errors import CheckpointError
from lilliput.progress import Progress

STEPS, TURNS = 10, 20
"""Optimizer steps between two convergence checks, and the maximum number of checks."""

ENOUGH = 1e-4
"""Fitting stops when :data:`STEPS` steps reduce the loss by less than this fraction."""

REMEMBERED = 20
"""L-BFGS history size."""

CHECKPOINT_SECONDS = 20.0
"""Minimum time between two checkpoints."""


def minimize(
    weights: Sequence[Tensor],
    loss: Callable[[], Tensor],
    checkpoint: Path | None = None,
    identity: str = "",
    progress: Progress | None = None,
) -> float:
    """Minimize ``loss()`` over ``weights``, tensors that require gradients, in place; return the final loss.

    Args:
        weights: what ``loss`` depends on.
        loss: a scalar, at least 0.
        checkpoint: file to save progress to; it is not deleted.
        identity: identifies everything that determines the result; a checkpoint with another identity is ignored.
        progress: shown while working.
    """
    optimizer = torch.optim.LBFGS(
        list(weights), max_iter=STEPS, history_size=REMEMBERED, tolerance_change=0.0, line_search_fn="strong_wolfe"
    )
    progress = progress or Progress()
    done, value = _restore(checkpoint, identity, weights, optimizer)
    if checkpoint is not None and checkpoint.exists():
        progress.note(f"{checkpoint}: {f'resumed after {done * STEPS} steps' if done else 'not resumed from'}.")
    saved = time.monotonic()

    def closure() -> float:
        optimizer.zero_grad()
        found = loss()
        torch.autograd.backward(found)
        return float(found.detach())

    with progress.track("fitting", STEPS * TURNS) as advance:
        advance(done * STEPS)
        for turn in range(done, TURNS):
            optimizer.step(closure)  # type: ignore[no-untyped-call]
            with torch.no_grad():
                before, value = value, float(loss())
            advance(STEPS, f"loss {value:.4f}")
            if before - value < ENOUGH * value:
                break
            if checkpoint is not None and time.monotonic() - saved > CHECKPOINT_SECONDS:
                state = {"identity": identity, "done": turn + 1, "loss": value, "optimizer": optimizer.state_dict()}
                torchfiles.save(checkpoint, state | {"weights": [weight.detach() for weight in weights]})
                saved = time.monotonic()
    return value


def _restore(
    checkpoint: Path | None, identity: str, weights: Sequence[Tensor], optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    """Restore weights and optimizer; return the number of finished turns and the loss after them."""
    nothing = (0, float("inf"))
    try:
        state = torchfiles.load(checkpoint) if checkpoint is not None else {}
        if state.get("identity") != identity:
            return nothing
        kept, inside, done = state["weights"], state["optimizer"], (int(state["done"]), float(state["loss"]))
    except (CheckpointError, AttributeError, KeyError, TypeError, ValueError):
        return nothing
    with torch.no_grad():
        for weight, before in zip(weights, kept, strict=True):
            weight.copy_(before)
    optimizer.load_state_dict(inside)
    return done
