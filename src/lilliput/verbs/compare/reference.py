"""Work that never changes, timed beside the models in every round: how steady this machine is, and how fast it reads.

A product of two matrices (arithmetic, in the caches), and a look at every number of an array that no cache holds
(memory). What slows one of these down from round to round slows models down as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any

import numpy as np

WIDTH, PRODUCTS = 1024, 2
"""Rows and columns of the matrices; products a turn."""

ARRAY_BYTES, LOOKS = 1 << 28, 3
"""Read by all threads together, so often a turn."""


class ReferenceWork:
    """The work, ready to be done.

    Args:
        request: ``threads``: of the reading; numpy's own libraries are told theirs by the environment.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.matrix = np.full((WIDTH, WIDTH), 1 / WIDTH, np.float32)
        self.parts = [np.ones(ARRAY_BYTES // request["threads"], np.int8) for _ in range(request["threads"])]
        self.measure()
        self.facts: dict[str, Any] = {}

    def measure(self) -> dict[str, Any]:
        """Seconds of both, and the most bytes a second that were read."""
        looks = [_seconds(self._look) for _ in range(LOOKS)]  # first: threads of a product spin for a while after it
        products = [_seconds(lambda: self.matrix @ self.matrix) for _ in range(PRODUCTS)]
        size = sum(part.nbytes for part in self.parts)
        return {"product": sum(products), "read": sum(looks), "bytes_per_second": size / min(looks)}

    def _look(self) -> None:
        # The largest byte, because numpy finds it as fast as memory brings them, which it does not add numbers up.
        threads = [Thread(target=part.max) for part in self.parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
