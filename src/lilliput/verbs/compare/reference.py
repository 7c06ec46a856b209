"""Fixed work timed beside the models in every round: it shows how steady the machine is, and its memory bandwidth.

It multiplies two matrices (arithmetic, in the caches) and reads an array that no cache holds (memory). Whatever slows
one of these from round to round also slows the models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any

import numpy as np

WIDTH, PRODUCTS = 1024, 2
"""Rows and columns of the matrices; products per turn."""

ARRAY_BYTES, LOOKS = 1 << 28, 3
"""Bytes read by all threads together; reads per turn."""


class ReferenceWork:
    """The fixed work, ready to run.

    Args:
        request: ``threads`` for reading; numpy's libraries get theirs from the environment.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.matrix = np.full((WIDTH, WIDTH), 1 / WIDTH, np.float32)
        self.parts = [np.ones(ARRAY_BYTES // request["threads"], np.int8) for _ in range(request["threads"])]
        self.measure()
        self.facts: dict[str, Any] = {}

    def measure(self) -> dict[str, Any]:
        """Seconds of both kinds of work, and the highest read rate in bytes per second."""
        looks = [_seconds(self._look) for _ in range(LOOKS)]  # reads first: threads spin for a while after a product
        products = [_seconds(lambda: self.matrix @ self.matrix) for _ in range(PRODUCTS)]
        size = sum(part.nbytes for part in self.parts)
        return {"product": sum(products), "read": sum(looks), "bytes_per_second": size / min(looks)}

    def _look(self) -> None:
        # The maximum, because numpy computes it at memory speed, unlike a sum.
        threads = [Thread(target=part.max) for part in self.parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
