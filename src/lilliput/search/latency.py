"""Latency of an architecture, predicted from a few dozen measurements on the local machine.

The time of a forward pass is a sum of terms that are each proportional to a known quantity: matrix products, attention,
element-wise work, a fixed cost per block and per call. The model is a non-negative price for each, fitted to
measurements.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from lilliput.errors import UserError
from lilliput.files import read_json, write_json
from lilliput.progress import Progress
from lilliput.search.cost import attention_flops, linear_flops
from lilliput.search.space import Architecture, Architectures, FloatArray, Sizes

SCHEMA = 1
"""Version of the JSON file; changes whenever :data:`FEATURES` does."""

FEATURES: Mapping[str, Callable[[Sizes[Any], int], Any]] = {
    "calls": lambda sizes, tokens: 1.0,
    "layers": lambda sizes, tokens: sizes.layers,
    "linear GFLOP": lambda sizes, tokens: 1e-9 * sizes.layers * linear_flops(sizes.hidden, sizes.intermediate, tokens),
    "attention GFLOP": lambda sizes, tokens: 1e-9 * sizes.layers * attention_flops(sizes.hidden, tokens),
    "M attention scores": lambda sizes, tokens: 1e-6 * sizes.layers * sizes.heads * tokens**2,
    "M hidden elements": lambda sizes, tokens: 1e-6 * sizes.layers * sizes.hidden * tokens,
    "M intermediate elements": lambda sizes, tokens: 1e-6 * sizes.layers * sizes.intermediate * tokens,
    "M embedding elements": lambda sizes, tokens: 1e-6 * sizes.hidden * tokens,
}
"""What a forward pass at batch 1 spends time on: name with unit -> amount, from the sizes and the number of tokens."""


USUAL_ERROR = 0.05
"""Relative error up to which a measurement has full weight when a model is fitted."""


@dataclass(frozen=True)
class Measurement:
    """The ``milliseconds`` of one forward pass of ``architecture`` over ``tokens`` tokens at batch 1."""

    architecture: Architecture
    tokens: int
    milliseconds: float


@dataclass(frozen=True)
class Conditions:
    """Conditions under which a latency was measured.

    Attributes:
        cpu: the processor's name.
        threads: threads the engine used.
        precision: how weights were stored.
        date: ISO 8601 day of the measurements.
        versions: package -> version, most importantly the engine's.
    """

    cpu: str
    threads: int
    precision: str
    date: str
    versions: Mapping[str, str]


@dataclass(frozen=True)
class LatencyModel:
    """Predicts milliseconds.

    Attributes:
        prices: milliseconds per unit of each of :data:`FEATURES`, by name; none is negative.
        conditions: under which the measurements were taken.
    """

    prices: Mapping[str, float]
    conditions: Conditions

    @overload
    def predict(self, sizes: Architecture, tokens: int) -> float: ...
    @overload
    def predict(self, sizes: Architectures, tokens: int) -> FloatArray: ...
    def predict(self, sizes: Sizes[Any], tokens: int) -> float | FloatArray:
        """Milliseconds of one forward pass over ``tokens`` tokens, batch 1."""
        total: float | FloatArray = sum(price * FEATURES[name](sizes, tokens) for name, price in self.prices.items())
        return total

    def plus(self, milliseconds: float) -> LatencyModel:
        """The same model with an additional constant time, for a part that does not depend on the architecture."""
        return replace(self, prices={**self.prices, "calls": self.prices["calls"] + milliseconds})

    def save(self, path: Path) -> None:
        """Write the model to ``path`` as JSON, atomically."""
        write_json(path, {"schema": SCHEMA, "prices": dict(self.prices), "conditions": asdict(self.conditions)})

    @classmethod
    def load(cls, path: Path) -> LatencyModel:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: the file is absent, is not JSON, or does not hold a latency model of this version.
        """
        remedy = "Calibrate again."
        try:
            document = read_json(path)
        except (OSError, ValueError) as error:
            raise UserError(f"no latency model can be read here ({error}).", where=path, remedy=remedy) from error
        try:
            if document["schema"] != SCHEMA or set(document["prices"]) != set(FEATURES):
                raise UserError("a latency model of another version.", where=path, remedy=remedy)
            prices = {name: float(price) for name, price in document["prices"].items()}
            return cls(prices, Conditions(**document["conditions"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"not a latency model ({error!r}).", where=path, remedy=remedy) from error


def measure_all(
    measure: Callable[[Architecture, int], float],
    design: Sequence[tuple[Architecture, int]],
    progress: Progress | None = None,
    rounds: int = 2,
) -> tuple[Measurement, ...]:
    """Measure every point of ``design``; ``measure(architecture, tokens)`` returns milliseconds.

    With several ``rounds`` over the design, the minimum of each point counts: other load on the machine only ever adds
    time, and rarely hits the same point twice.
    """
    least = [float("inf")] * len(design)
    with (progress or Progress()).track("measuring latency", rounds * len(design)) as advance:
        for _ in range(rounds):
            for index, (architecture, tokens) in enumerate(design):
                milliseconds = measure(architecture, tokens)
                least[index] = min(least[index], milliseconds)
                advance(1, f"{milliseconds:.1f} ms")
    return tuple(Measurement(*point, milliseconds) for point, milliseconds in zip(design, least, strict=True))


def fit(measurements: Sequence[Measurement], conditions: Conditions) -> LatencyModel:
    """The non-negative prices that minimize the Huber loss of the *relative* errors over ``measurements``.

    Errors are relative so that a 1 ms student counts as much as a 50 ms one. The Huber loss (squared within
    :data:`USUAL_ERROR`, linear beyond it) keeps measurements slowed by other load from distorting the model. It is
    minimized by iterative reweighting (Huber, "Robust Statistics", 1981, section 7.8).

    Raises:
        ValueError: there are no measurements, or one is not a positive time.
    """
    measured = np.array([m.milliseconds for m in measurements])
    if not (measured.size and np.isfinite(measured).all() and (measured > 0).all()):
        raise ValueError("a latency model needs measurements, each a positive number of milliseconds")
    amounts = np.array([[amount(m.architecture, m.tokens) for amount in FEATURES.values()] for m in measurements])
    relative = amounts / measured[:, None]
    lengths = np.linalg.norm(relative, axis=0)
    weights = np.ones((measured.size, 1))
    for _ in range(20):
        solution = non_negative_least_squares(weights * relative / lengths, weights[:, 0])
        errors = np.abs(relative / lengths @ solution - 1)
        weights = np.sqrt(USUAL_ERROR / np.maximum(errors, USUAL_ERROR))[:, None]
    return LatencyModel(dict(zip(FEATURES, (solution / lengths).tolist(), strict=True)), conditions)


def calibrate(
    measure: Callable[[Architecture, int], float],
    design: Sequence[tuple[Architecture, int]],
    conditions: Conditions,
    progress: Progress | None = None,
    rounds: int = 2,
) -> LatencyModel:
    """Measure every point of ``design`` ``rounds`` times, and fit a model."""
    return fit(measure_all(measure, design, progress, rounds), conditions)


@dataclass(frozen=True)
class LatencyRow:
    """A measurement and its prediction in milliseconds; ``percent`` is the prediction's absolute error."""

    measurement: Measurement
    predicted: float
    percent: float


@dataclass(frozen=True)
class LatencyError:
    """Absolute errors of a model, in percent of the measured time: median, worst, and per measurement."""

    median_percent: float
    worst_percent: float
    rows: tuple[LatencyRow, ...]


def error(model: LatencyModel, measurements: Sequence[Measurement]) -> LatencyError:
    """Errors of ``model`` on ``measurements``, which should come from a design that the model was not fitted to."""
    rows = []
    for measurement in measurements:
        predicted = model.predict(measurement.architecture, measurement.tokens)
        percent = 100 * abs(predicted / measurement.milliseconds - 1)
        rows.append(LatencyRow(measurement, predicted, percent))
    percents = [row.percent for row in rows]
    return LatencyError(float(np.median(percents)), max(percents), tuple(rows))


def non_negative_least_squares(matrix: FloatArray, target: FloatArray) -> FloatArray:
    """``argmin |matrix @ x - target|`` over ``x >= 0``, for ``matrix [rows, columns]`` with columns of length near 1.

    The active-set method of Lawson and Hanson, "Solving Least Squares Problems" (1974), chapter 23.
    """
    solution = np.zeros(matrix.shape[1])
    free = np.zeros(matrix.shape[1], bool)
    tolerance = 1e-10 * max(1.0, float(np.abs(target).max()))
    for _ in range(10 * matrix.shape[1]):
        descent = np.where(free, -np.inf, matrix.T @ (target - matrix @ solution))
        if descent.max() <= tolerance:
            break
        free[descent.argmax()] = True
        while True:
            trial = np.zeros_like(solution)
            trial[free] = np.linalg.lstsq(matrix[:, free], target, rcond=None)[0]
            blocking = free & (trial <= tolerance)
            if not blocking.any():
                break
            # Move towards the trial until the first variable reaches zero, and fix it there.
            steps = solution[blocking] / np.maximum(solution[blocking] - trial[blocking], tolerance)
            solution += min(1.0, steps.min()) * (trial - solution)
            free &= solution > tolerance
            solution[~free] = 0.0
        solution = trial
    return solution


_CALIBRATION_SIZES = (
    (1, 64, 1, 256, 1000),
    (1, 128, 4, 512, 4000),
    (1, 256, 4, 1024, 8000),
    (1, 512, 8, 512, 2000),
    (2, 64, 2, 64, 8000),
    (2, 192, 3, 1536, 2000),
    (2, 320, 10, 640, 1000),
    (2, 384, 3, 384, 4000),
    (3, 128, 2, 1024, 1000),
    (3, 256, 8, 256, 2000),
    (3, 448, 7, 896, 1000),
    (4, 96, 3, 384, 6000),
    (4, 192, 6, 192, 1000),
    (4, 256, 2, 768, 4000),
    (5, 320, 5, 128, 2000),
    (6, 64, 1, 512, 2000),
    (6, 128, 4, 128, 4000),
    (6, 224, 7, 448, 1000),
    (8, 160, 5, 320, 2000),
    (8, 192, 3, 64, 1000),
    (9, 96, 2, 768, 1000),
    (10, 128, 2, 256, 2000),
    (12, 64, 2, 128, 4000),
    (12, 96, 3, 64, 1000),
    (12, 160, 5, 384, 1000),
)

CALIBRATION_DESIGN: tuple[tuple[Architecture, int], ...] = tuple(
    (Architecture(*sizes), tokens)
    for index, sizes in enumerate(_CALIBRATION_SIZES)
    for tokens in ((400, (64, 128, 256, 512)[index // 3 % 4]) if index % 3 == 0 else (400,))
)
"""Calibration points: each architecture at 400 tokens, every third at one other length too."""

VALIDATION_DESIGN: tuple[tuple[Architecture, int], ...] = tuple(
    (Architecture(*sizes), 400)
    for sizes in (
        (1, 192, 4, 768, 8000),
        (1, 384, 8, 1536, 2000),
        (2, 256, 8, 768, 4000),
        (2, 448, 7, 448, 1000),
        (3, 192, 4, 384, 6000),
        (3, 352, 11, 704, 1000),
        (4, 128, 2, 512, 3000),
        (5, 256, 2, 512, 2000),
        (6, 160, 5, 512, 3000),
        (8, 128, 4, 384, 2000),
        (10, 192, 3, 256, 1000),
        (12, 128, 2, 192, 1000),
    )
)
"""Held-out points to validate a calibrated model: architectures that are not in :data:`CALIBRATION_DESIGN`."""
