"""The least value of a convex loss, by L-BFGS (Nocedal, "Updating Quasi-Newton Matrices with Limited Storage", 1980).

torch's optimizer, all data in every step. A run that is killed and started again ends with the same weights as an
undisturbed one, on as many threads.
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
"""Steps between two looks at how far it is, and looks at most."""

ENOUGH = 1e-4
"""It is over where :data:`STEPS` steps take less than this part off the loss."""

REMEMBERED = 20
"""Steps whose gradients the next one goes by."""

CHECKPOINT_SECONDS = 20.0
"""Between two checkpoints, at least."""


def minimize(
    weights: Sequence[Tensor],
    loss: Callable[[], Tensor],
    checkpoint: Path | None = None,
    identity: str = "",
    progress: Progress | None = None,
) -> float:
    """Bring ``weights``, tensors that require gradients, in place to where ``loss()`` is least; what it is there.

    Args:
        weights: what ``loss`` depends on.
        loss: a scalar, at least 0.
        checkpoint: where to write how far it is; it is left there.
        identity: of all that decides the result; a checkpoint of another is not gone on from.
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
    """Turns that are over, and the loss after them; weights and optimizer become what they were then."""
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
