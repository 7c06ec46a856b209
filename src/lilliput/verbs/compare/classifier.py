"""A classifier in a comparison: functions of a fixed length, and examples at their natural length."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lilliput.artifact import is_artifact
from lilliput.data.dataset import Dataset
from lilliput.errors import DataError
from lilliput.verbs.compare.turns import code_text, turn
from lilliput.verbs.subjects import example_runner, of_length, open_subject

FIRST_FUNCTION = "int f(int a) { return a + 1; }"
"""Input of a cold start."""

INPUTS, CHARACTERS = 16, 4_000
"""Number of distinct inputs of one length; characters of the pieces of code they are cut from."""

UNTIMED = 3
"""Untimed calls at the beginning of a turn, because other models' turns leave the caches cold."""


class ClassifierWork:
    """An opened classifier.

    Args:
        request: ``model``, ``threads``, ``task``, and ``tokenizer`` (of a checkpoint) or ``None``.
    """

    def __init__(self, request: Mapping[str, Any]) -> None:
        tokenizer = None if request["tokenizer"] is None else Path(request["tokenizer"])
        self.subject = subject = open_subject(request["model"], request["task"], tokenizer, request["threads"])
        subject.pass_over(subject.encode([FIRST_FUNCTION])[0])
        self.facts = {
            "bytes": subject.bytes(),
            "runs_in": "OpenVINO" if is_artifact(request["model"]) else "torch, fp32",
            "longest": subject.max_tokens,
            "arity": subject.arity,
            "weight_bytes_per_token": None,
        }
        self.run_fixed: Callable[[int], object] = lambda call: None
        self.run_natural: Callable[[int], object] = lambda call: None

    def prepare(self, tokens: int, texts: list[str], members: list[list[int]]) -> dict[str, Any]:
        """Choose the inputs: code of ``tokens`` tokens, and examples if there are any.

        Raises:
            DataError: the examples do not join as many functions as the model.
        """
        text = code_text()
        pieces = [text[place * CHARACTERS : (place + 1) * CHARACTERS] for place in range(INPUTS)]
        inputs = of_length(self.subject, pieces, tokens)
        self.run_fixed = lambda call: self.subject.pass_over(inputs[call % len(inputs)])
        if members:
            places = np.array(members, np.int64)
            if places.shape[1] != self.subject.arity:
                raise DataError(
                    f"joins {self.subject.arity} function(s) per example, the data join {places.shape[1]}.",
                    remedy="Give data of the models' task.",
                )
            labels = np.full(len(places), -1)
            run = example_runner(self.subject, Dataset(tuple(texts), places, labels, self.subject.label_names))
            self.run_natural = lambda call: run(call % len(places))
        return {}

    def fixed(self, first: int, calls: int) -> dict[str, Any]:
        """Functions of the chosen length, one at a time, starting at ``first``."""
        return _calls(self.run_fixed, first, calls)

    def natural(self, first: int, calls: int) -> dict[str, Any]:
        """Examples at their natural length, one at a time, tokenizing included."""
        return _calls(self.run_natural, first, calls)


def _calls(run: Callable[[int], object], first: int, calls: int) -> dict[str, Any]:
    def timed() -> list[float]:
        times = []
        for call in range(first, first + calls):
            begin = time.perf_counter()
            run(call)
            times.append(time.perf_counter() - begin)
        return times

    for call in range(first, first + UNTIMED):
        run(call)
    return turn(timed, calls)
